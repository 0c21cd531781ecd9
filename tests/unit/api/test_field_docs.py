"""docs/spec has a row for every field of the CRDs, with the description, the default and the type's own table."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trtllm_api import field_docs

ROOT = Path(__file__).parents[3]
_DEFAULT = re.compile(r" Default: (.+?)\.(?= - |$)")
"""The end of a description that `kubectl explain` prints; the pages have a column for it."""
PAGES = {"quantizedmodels": "quantizedmodel.md", "enginebuilds": "enginebuild.md"}


def fields(node: dict[str, Any], path: str) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Every field below: the path of its object, its name, its schema, and whether it is required."""
    if "items" in node:
        yield from fields(node["items"], f"{path}[]")
    for name, inner in node.get("properties", {}).items():
        yield path, name, inner, name in node.get("required", ())
        yield from fields(inner, f"{path}.{name}")


def of_crd(plural: str) -> list[tuple[str, str, dict[str, Any], bool]]:
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    parts = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return [field for root in ("spec", "status") for field in fields(parts[root], root)]


def tables(page: str) -> dict[str, dict[str, list[str]]]:
    """Cells of each row by the path of its block and the name of its field."""
    found: dict[str, dict[str, list[str]]] = {}
    rows: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "spec" / page).read_text().splitlines():
        if line.startswith(("### spec", "### status")):
            rows = {}
            found.update(dict.fromkeys(line.removeprefix("### ").split(", "), rows))
        elif line.startswith("| `"):
            name, *cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            rows[name.strip("`")] = cells
    return found


def words(text: str) -> str:
    return " ".join(text.replace("<br>", " - ").replace("`", "").split())


@pytest.mark.parametrize("plural", PAGES)
def test_every_field_of_a_crd_has_a_row_with_its_description_and_default(plural: str) -> None:
    found = tables(PAGES[plural])
    every = of_crd(plural)
    assert len(every) > 100
    for path, name, schema, required in every:
        cells = found[path][name]
        description = words(schema["description"].replace("|", "\\|"))
        default = _DEFAULT.search(description)
        assert words(cells[-1]) == _DEFAULT.sub("", description), f"{path}.{name}"
        if path.startswith("spec"):
            expected = "required" if required else words(default[1]) if default else ""
            assert words(cells[1]) == expected, f"{path}.{name}"


@pytest.mark.parametrize("plural", PAGES)
def test_a_field_that_is_an_object_leads_to_the_table_of_its_own_fields(plural: str) -> None:
    headings = {line.removeprefix("### ") for line in (ROOT / "docs/spec" / PAGES[plural]).read_text().splitlines()}
    anchors = {"".join(c for c in text.lower().replace(" ", "-") if c.isalnum() or c == "-"): text for text in headings}
    found = tables(PAGES[plural])
    for path, name, schema, _ in of_crd(plural):
        inner, where = schema, f"{path}.{name}"
        while "items" in inner:
            inner, where = inner["items"], f"{where}[]"
        if "properties" in inner:
            anchor = found[path][name][0].split("](#")[1].split(")")[0]
            assert where in anchors[anchor].split(", "), where


def test_the_pages_are_as_the_schema_is_now(tmp_path: Path) -> None:
    for page in PAGES.values():
        shutil.copy(ROOT / "docs" / "spec" / page, tmp_path)
    field_docs.main(tmp_path)
    for page in PAGES.values():
        assert (tmp_path / page).read_text() == (ROOT / "docs" / "spec" / page).read_text(), "run make generate"
