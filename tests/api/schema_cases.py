"""How the tables of the schema tests are written, and what they must cover.

The tables say what a field takes and refuses in numbers of their own; the schema is read only to find what they miss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane import ApiServer, Kind, Spec

BOUNDS = (
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_SIZE_OF = {"string": ("maxLength", "enum"), "integer": ("minimum", "enum"), "array": ("maxItems",)}


@dataclass(frozen=True)
class Taken:
    """A value that is taken."""

    phrase: str
    value: Any


@dataclass(frozen=True)
class Refused:
    """A value that a bound refuses, and what the API server says."""

    phrase: str
    value: Any
    bound: str
    says: str


@dataclass(frozen=True)
class Values:
    """What a field takes and refuses."""

    taken: tuple[Taken, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Field:
    """A bounded field of a spec; `spec` is one that is accepted and has everything around the field."""

    path: str
    name: str
    values: Values
    spec: Spec


@dataclass(frozen=True)
class Rejection:
    """A spec that is refused for one reason, which `bound` of `path` in the schema gives."""

    id: str
    spec: Spec
    field: str
    says: str
    path: str
    bound: str
    object_name: str = "example"


@dataclass(frozen=True)
class Acceptance:
    """A spec that is accepted."""

    id: str
    spec: Spec
    object_name: str = "example"


def broken_rule(sentence: str, spec: Spec, path: str, message: str, object_name: str = "example") -> Rejection:
    """A spec that one CEL rule at `path` refuses; the API server calls the whole object <nil>."""
    return Rejection(sentence, spec, as_printed(path) or "<nil>", message, path, message, object_name)


def text(
    longest: int,
    *,
    shortest: int = 0,
    pattern: str = "",
    wrong: Mapping[str, str] | None = None,
    right: Mapping[str, str] | None = None,
    fill: Callable[[int], str] = "a".__mul__,
) -> Values:
    """A text of bounded length; `wrong` and `right` are texts that the pattern refuses and takes, by a phrase."""
    taken = [Taken(f"of {longest} characters", fill(longest))]
    taken += [Taken(phrase, value) for phrase, value in (right or {}).items()]
    too_long = f"Too long: may not be more than {longest} bytes"
    refused = [Refused(f"of {longest + 1} characters", fill(longest + 1), "maxLength", too_long)]
    if shortest:
        taken.append(Taken(f"of {shortest} character", fill(shortest)))
        refused.append(Refused("without a character", "", "minLength", f"should be at least {shortest} chars long"))
    says = f"in body should match '{pattern}'"
    refused += [Refused(phrase, value, "pattern", says) for phrase, value in (wrong or {}).items()]
    return Values(tuple(taken), tuple(refused))


def number(least: int, most: int | None = None, *, step: int = 1) -> Values:
    """An integer between bounds."""
    taken = [Taken(f"of {least}", least)]
    below = least - step
    refused = [Refused(f"of {below}", below, "minimum", f"should be greater than or equal to {least}")]
    if most is not None:
        above = most + step
        taken.append(Taken(f"of {most}", most))
        refused.append(Refused(f"of {above}", above, "maximum", f"should be less than or equal to {most}"))
    if step > 1:
        between = least + step // 2
        refused.append(Refused(f"of {between}", between, "multipleOf", f"should be a multiple of {step}"))
    return Values(tuple(taken), tuple(refused))


def choice(*values: str, besides: Iterable[str] = ()) -> Values:
    """One of a few words; those `besides` are supported too, but need another spec around them."""
    supported = ", ".join(f'"{value}"' for value in (*values, *besides))
    return Values(
        tuple(Taken(value, value) for value in values),
        (Refused("of an unknown name", "Sometimes", "enum", f"supported values: {supported}"),),
    )


def items(most: int, one: object, *, least: int = 0) -> Values:
    """A list of bounded length."""
    taken = [Taken(f"of {count} items", [one] * count) for count in (least, most)]
    refused = [Refused(f"of {most + 1} items", [one] * (most + 1), "maxItems", f"must have at most {most} items")]
    if least:
        refused.append(Refused("without items", [], "minItems", f"should have at least {least} items"))
    return Values(tuple(taken), tuple(refused))


def entries(most: int, value: str) -> Values:
    """A map of bounded size."""
    full = {f"key{index}": value for index in range(most + 1)}
    return Values(
        (Taken(f"of {most} entries", dict(list(full.items())[:most])), Taken("without entries", {})),
        (Refused(f"of {most + 1} entries", full, "maxProperties", f"must have at most {most} items"),),
    )


def put(spec: Spec, path: str, value: object) -> Spec:
    """A copy of the spec with the field set; `[]` is a list's first item and `{}` is the map entry `example`."""
    changed = {"spec": json.loads(json.dumps(spec))}
    holder, last = _descend(changed, path)
    holder[last] = value
    return dict(changed["spec"])


def leave_out(spec: Spec, path: str) -> Spec:
    """A copy of the spec without the field."""
    changed = {"spec": json.loads(json.dumps(spec))}
    holder, last = _descend(changed, path)
    del holder[last]
    return dict(changed["spec"])


def _descend(root: dict[str, Any], path: str) -> tuple[Any, Any]:
    special: dict[str, str | int] = {"[]": 0, "{}": "example"}
    keys = [special.get(part, part) for part in re.findall(r"\[\]|\{\}|[^.\[\]{}]+", path)]
    holder: Any = root
    for key in keys[:-1]:
        holder = holder[key]
    return holder, keys[-1]


def as_printed(path: str) -> str:
    """The field as kubectl names it."""
    return path.replace("[]", "[0]").replace("{}", ".example")


def rejections(fields: Iterable[Field], required: Mapping[str, tuple[str, Spec]]) -> Iterator[Rejection]:
    """A spec for every refused value, and one for every required field, left out; `required` by path."""
    for field in fields:
        for refused in field.values.refused:
            yield Rejection(
                f"{field.name} {refused.phrase} is refused",
                put(field.spec, field.path, refused.value),
                as_printed(field.path),
                refused.says,
                field.path,
                refused.bound,
            )
    for path, (name, spec) in required.items():
        yield Rejection(
            f"{name} is required", leave_out(spec, path), as_printed(path), "Required value", path, "required"
        )


def acceptances(fields: Iterable[Field]) -> Iterator[Acceptance]:
    """A spec for every value that is taken."""
    for field in fields:
        for taken in field.values.taken:
            yield Acceptance(f"{field.name} {taken.phrase} is accepted", put(field.spec, field.path, taken.value))


def assert_refused(api: ApiServer, kind: Kind, case: Rejection) -> None:
    """Errors of this field alone, with the message; the scale subresource repeats one of replicas, at `.spec`."""
    answer = api.try_create(kind, case.spec, case.object_name)
    assert answer.code == 422, f"expected: {case.says}; the API server: {answer.code} {answer.message}"
    assert {field.removeprefix(".") for field, _ in answer.causes} == {case.field}
    assert any(case.says in message for _, message in answer.causes)


def assert_accepted(api: ApiServer, kind: Kind, case: Acceptance) -> None:
    """Created as it was sent, with nothing lost."""
    created = api.try_create(kind, case.spec, case.object_name).succeeded()
    lost = [path for path, value in _leaves(case.spec, "spec") if (path, value) not in _leaves(created["spec"], "spec")]
    assert not lost


def _leaves(value: object, path: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, f"{path}[{index}]")]
    return [(path, value)]


def installed_schema(api: ApiServer, kind: Kind) -> dict[str, Any]:
    """The schema that the API server applies."""
    schema: dict[str, Any] = api.get(kind.crd)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def spec_schema(api: ApiServer, kind: Kind) -> dict[str, Any]:
    """The part that users fill in."""
    schema: dict[str, Any] = installed_schema(api, kind)["properties"]["spec"]
    return schema


def status_schema(api: ApiServer, kind: Kind) -> dict[str, Any]:
    """The part that the operator fills in."""
    schema: dict[str, Any] = installed_schema(api, kind)["properties"]["status"]
    return schema


def uncovered(api: ApiServer, kind: Kind, cases: Iterable[Rejection]) -> list[tuple[str, str]]:
    """Bounds, required fields and rules that no case breaks, and cases of which the schema has no such thing."""
    schema = installed_schema(api, kind)
    held = {*bounds(schema["properties"]["spec"], "spec"), *_users_rules(schema)}
    return sorted(held ^ {(case.path, case.bound) for case in cases})


def _users_rules(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rules about what users write: the operator alone writes a status."""
    return ((path, message) for path, message in rules(schema, "") if not path.startswith("status"))


def unaccepted(api: ApiServer, kind: Kind, fields: Iterable[Field]) -> list[str]:
    """Bounded fields without a value that is taken."""
    held = {path for path, bound in bounds(spec_schema(api, kind), "spec") if bound != "required"}
    return sorted(held - {field.path for field in fields if field.values.taken})


def bounds(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Path and bound of everything below, required fields included."""
    for name in BOUNDS:
        if name in schema:
            yield path, name
    for name in schema.get("required", ()):
        yield f"{path}.{name}", "required"
    for below, inner in _inner(schema, path):
        yield from bounds(inner, below)


def rules(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Path and message of every CEL rule below."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    for below, inner in _inner(schema, path):
        yield from rules(inner, below)


def unbounded(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields that could hold anything of any size."""
    kind = schema.get("type")
    wanted = ("maxProperties",) if "additionalProperties" in schema else _SIZE_OF.get(str(kind), ())
    free_form = kind == "object" and not {"properties", "additionalProperties", "maxProperties"} & schema.keys()
    if free_form or kind is None or (wanted and not any(name in schema for name in wanted)):
        yield path
    for below, inner in _inner(schema, path):
        yield from unbounded(inner, below)


def _inner(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}" if path else name, inner
    if "items" in schema:
        yield f"{path}[]", schema["items"]
    if "additionalProperties" in schema:
        yield f"{path}{{}}", schema["additionalProperties"]
