"""JSON that a builder's pod could leave: within the bounds of the contract, and with values that nobody expects.

`wires` reads the bounds of the models, so that most of what it makes can be read; `spoilt` puts hostile values into it.
"""

from __future__ import annotations

import copy
import json
import math
from typing import Any

from hypothesis import strategies as st

from trtllm_api.base import ApiModel

Wire = Any
_LONG = 5000
_HOSTILE: tuple[Any, ...] = (
    10**30,
    2**63,
    2**63 - 1,
    2**53,
    2**31,
    -1,
    0,
    0.5,
    1e300,
    math.inf,
    math.nan,
    True,
    None,
    "",
    "x" * _LONG,
    "é" * 1025,
    "a/" * 600,
    "nul \x00, escape \x1b[31m, line\nline",
    "Infinity",
    [],
    {},
    ["x"] * 200,
    {"unexpected": {}},
)


def wires(model: type[ApiModel]) -> st.SearchStrategy[Wire]:
    """JSON values within the bounds of a model, the bounds themselves more often than not."""
    schema = model.model_json_schema(by_alias=True)
    return _strategy(schema, schema.get("$defs", {}))


@st.composite
def spoilt(draw: st.DrawFn, wire: st.SearchStrategy[Wire]) -> Wire:
    """One of these values with up to two of its leaves or branches replaced."""
    value = copy.deepcopy(draw(wire))
    for _ in range(draw(st.integers(0, 2))):
        places = [place for place in _places(value) if place[0] is not None]
        if places:
            holder, key = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(draw(st.sampled_from(_HOSTILE)))
    return value


def as_json(wire: Wire) -> str:
    """What Python's reader takes: Infinity and NaN included."""
    return json.dumps(wire, ensure_ascii=False)


def _places(value: Wire, holder: Any = None, key: Any = None) -> list[tuple[Any, Any]]:
    found = [(holder, key)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for inner, item in list(items):
        found += _places(item, value, inner)
    return found


def _strategy(node: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Wire]:
    if "$ref" in node:
        return _strategy(defs[node["$ref"].rsplit("/", 1)[-1]], defs)
    if "anyOf" in node:
        return st.one_of(*(_strategy(option, defs) for option in node["anyOf"]))
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node.get("type"):
        case "object" if "properties" in node:
            return _object(node, defs)
        case "array":
            most, item = node.get("maxItems", 3), _strategy(node["items"], defs)
            few = st.lists(item, min_size=node.get("minItems", 0), max_size=min(most, 3))
            # as many as there may be, of one kind: drawing each would take most of the time
            return few | item.map(lambda one: [one] * most)
        case "string":
            return _text(node)
        case "integer":
            least, most = node.get("minimum", -(2**70)), node.get("maximum", 2**70)
            return st.sampled_from([least, most, (least + most) // 2]) | st.integers(least, most)
        case "number":
            return st.floats(node.get("minimum"), node.get("maximum"), allow_nan=False) | st.just(
                node.get("maximum", math.inf)
            )
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    raise AssertionError(f"no strategy for {node}")


def _object(node: dict[str, Any], defs: dict[str, Any]) -> st.SearchStrategy[Wire]:
    required = set(node.get("required", ()))
    fields = {name: _strategy(inner, defs) for name, inner in node["properties"].items()}
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _text(node: dict[str, Any]) -> st.SearchStrategy[str]:
    least, most = node.get("minLength", 0), node.get("maxLength", _LONG)
    if "pattern" in node:
        return st.from_regex(node["pattern"].replace("$", r"\Z"), fullmatch=True).filter(lambda t: len(t) <= most)
    longest = st.sampled_from(["x" * most, "é" * most, "\x00" * most])
    return st.text(min_size=least, max_size=min(most, 40)) | longest
