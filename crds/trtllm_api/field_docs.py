"""Tables of docs/spec: one for each block of both kinds, from the schema that the CRDs have.

`python -m trtllm_api.field_docs docs/spec` writes them between the marks of each page; `make generate` calls that.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtllm_api.base import ApiModel
from trtllm_api.crd import default_text, structural
from trtllm_api.digest import canonical_json
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.markdown import replaced, table
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import QuantizedModelSpec

PAGES: dict[str, dict[str, type[ApiModel]]] = {
    "quantizedmodel.md": {"spec": QuantizedModelSpec, "status": QuantizedModelStatus},
    "enginebuild.md": {"spec": EngineBuildSpec, "status": EngineBuildStatus},
}
_HEADS = {"spec": ("field", "type", "default", "meaning"), "status": ("field", "type", "meaning")}
_PUNCTUATION = re.compile(r"[^-a-z0-9 ]")
_Schema = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """Fields of one object, which may be at several places."""

    schema: _Schema
    paths: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """All places."""
        return ", ".join(self.paths)

    @property
    def anchor(self) -> str:
        """Fragment of the heading's address."""
        return _PUNCTUATION.sub("", self.title.lower()).replace(" ", "-")


def blocks(schema: _Schema, root: str) -> dict[str, Block]:
    """Blocks by an identity of their fields, in the order of the schema."""
    found: dict[str, Block] = {}
    for path, node in _objects(schema, root):
        found.setdefault(_identity(node), Block(node)).paths.append(path)
    return found


def _objects(node: _Schema, path: str) -> Iterator[tuple[str, _Schema]]:
    if "properties" in node:
        yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from _objects(inner, f"{path}.{name}")
    if "items" in node:
        yield from _objects(node["items"], f"{path}[]")


def _identity(node: _Schema) -> str:
    return canonical_json([node["properties"], node.get("required", [])])


def sections(schema: _Schema, root: str) -> str:
    """A heading and a table for each block."""
    found = blocks(schema, root)
    return "\n\n".join(f"### {block.title}\n{_table(block, found, root)}" for block in found.values())


def _table(block: Block, found: dict[str, Block], root: str) -> str:
    rows = []
    for name, node in block.schema["properties"].items():
        cells = [f"`{name}`", _type(node, found), _meaning(node)]
        if root == "spec":
            required = name in block.schema.get("required", ())
            cells.insert(2, "required" if required else _default(node))
        rows.append(cells)
    return table(_HEADS[root], rows)


def _type(node: _Schema, found: dict[str, Block]) -> str:
    """Words for a type, with a link to the table of an object."""
    if "properties" in node:
        return f"[object](#{found[_identity(node)].anchor})"
    if "items" in node:
        return f"list of {_type(node['items'], found)}, at most {node['maxItems']}"
    if "additionalProperties" in node:
        return f"map of {_type(node['additionalProperties'], found)}, at most {node['maxProperties']}"
    if node.get("type") == "integer" and "minimum" in node and "maximum" in node:
        return f"integer, {node['minimum']} to {node['maximum']}"
    return str(node["type"])


def _default(node: _Schema) -> str:
    default = node.get("default")
    return "" if default is None or "properties" in node else f"`{default_text(default)}`"


def _meaning(node: _Schema) -> str:
    """The description; each value of an enum on a line of its own."""
    prose, *values = str(node["description"]).split("\n - ")
    return "<br>".join([prose, *(re.sub(r"^([^:]+):", r"`\1`:", value) for value in values)])


def main(directory: Path) -> None:
    """Write the tables into the pages of docs/spec."""
    for name, parts in PAGES.items():
        page = directory / name
        text = page.read_text(encoding="utf-8")
        for root, model in parts.items():
            text = replaced(text, f"fields of {root}", sections(structural(model), root))
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
