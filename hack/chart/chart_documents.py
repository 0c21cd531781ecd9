"""values.yaml, values.schema.json and the README's table of the Helm chart, from chart_values; `make generate` runs it.

`python hack/chart/chart_documents.py charts/trtllm-operator` writes them. A value whose default is None is not in
values.yaml.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from chart_values import Values
from trtllm_api.base import ApiModel
from trtllm_api.markdown import replaced, table

_WIDTH = 118
_HEAD = "Generated from hack/chart/chart_values.py by `make generate`; do not edit."


def schema() -> dict[str, Any]:
    """JSON Schema of the values, strict in every block."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": _HEAD,
        **Values.model_json_schema(by_alias=True),
        "title": "Values of trtllm-operator",
    }
    cleaned: dict[str, Any] = _without_titles(found)
    return cleaned


def _without_titles(node: Any) -> Any:
    """Drop what pydantic derives from names: titles, and the defaults of whole blocks."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    block = "$ref" in node or node.get("default", 0) is None
    kept = {
        key: value
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str) and "$schema" not in node)
        and not (key == "default" and block)
    }
    return {key: _without_titles(value) for key, value in kept.items()}


def values_yaml() -> str:
    """The default values, each below a comment with its meaning."""
    return f"# {_HEAD}\n" + "\n".join(_entries(Values(), "")) + "\n"


def _entries(block: ApiModel, indent: str) -> Iterator[str]:
    for name, field in type(block).model_fields.items():
        value, key = getattr(block, name), field.alias or name
        if value is None:
            continue
        if not indent:
            yield ""
        text = meaning(block, name)
        yield from textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        if isinstance(value, ApiModel):
            yield f"{indent}{key}:"
            yield from _entries(value, indent + "  ")
        else:
            written = yaml.safe_dump({key: block.to_wire()[key]}, default_flow_style=False, sort_keys=False)
            yield textwrap.indent(written.rstrip("\n").replace("''", '""'), indent)


def meaning(block: ApiModel, name: str) -> str:
    """The field's docstring, or that of the block that it is."""
    value = getattr(block, name)
    text = type(block).model_fields[name].description or (value.__doc__ if isinstance(value, ApiModel) else "")
    return " ".join(str(text).split())


def values_table() -> str:
    """Every value with its path, its default and its meaning."""
    return table(("value", "default", "meaning"), _rows(Values(), ""))


def _rows(block: ApiModel, path: str) -> Iterator[tuple[str, str, str]]:
    for name, field in type(block).model_fields.items():
        value, here = getattr(block, name), f"{path}{field.alias or name}"
        if isinstance(value, ApiModel):
            yield f"**`{here}`**", "", meaning(block, name)
            yield from _rows(value, f"{here}.")
        else:
            default = "" if value is None else f"`{json.dumps(block.to_wire()[field.alias or name])}`"
            yield f"`{here}`", default, meaning(block, name)


def main(chart: Path) -> None:
    """Write the three files."""
    (chart / "values.yaml").write_text(values_yaml(), encoding="utf-8")
    (chart / "values.schema.json").write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
    readme = chart / "README.md"
    readme.write_text(replaced(readme.read_text(encoding="utf-8"), "values", values_table()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
