"""The chart's values: their schema is strict, every value is described, and the templates use exactly these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import chart_documents
from chart_values import Values
from trtllm_api.base import ApiModel
from trtllm_api.markdown import replaced, table

CHART = Path(__file__).parents[3] / "charts" / "trtllm-operator"
SCHEMA = Draft202012Validator(json.loads((CHART / "values.schema.json").read_text()))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def blocks(block: ApiModel, path: str = "") -> Iterator[tuple[str, ApiModel]]:
    """Every block with its path."""
    yield path, block
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        if isinstance(value, ApiModel):
            yield from blocks(value, f"{path}{field.alias or name}.")


BLOCKS = list(blocks(Values()))


def with_value(path: str, value: object) -> dict[str, Any]:
    """The default values with one changed."""
    changed: dict[str, Any] = json.loads(json.dumps(DEFAULTS))
    *parents, last = path.split(".")
    holder = changed
    for name in parents:
        holder = holder[name]
    holder[last] = value
    return changed


def paths() -> set[str]:
    """Every value that is no block."""
    return {
        f"{path}{field.alias or name}"
        for path, block in BLOCKS
        for name, field in type(block).model_fields.items()
        if not isinstance(getattr(block, name), ApiModel)
    }


def test_the_default_values_are_those_of_the_model_and_fit_the_schema() -> None:
    assert Values().to_wire() == DEFAULTS
    assert list(SCHEMA.iter_errors(DEFAULTS)) == []


@pytest.mark.parametrize("path", [path for path, _ in BLOCKS])
def test_an_unknown_value_is_refused_in_every_block(path: str) -> None:
    (error,) = SCHEMA.iter_errors(with_value(f"{path}noSuchValue", 1))
    assert "'noSuchValue' was unexpected" in error.message


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("image.repository", "", "minLength"),
        ("image.pullPolicy", "Sometimes", "enum"),
        ("builderImage.env", {"NOT-A-NAME": "x"}, "pattern"),
        ("builderImage.env", {"A": 1}, "type"),
        ("replicas", -1, "minimum"),
        ("replicas", "1", "type"),
        ("watchNamespaces", ["a", "a"], "uniqueItems"),
        ("watchNamespaces", [""], "minLength"),
        ("drainSeconds", 0, "minimum"),
        ("drainSeconds", 86401, "maximum"),
        ("log.level", "trace", "enum"),
        ("log.format", "xml", "enum"),
        ("metrics.port", 65536, "maximum"),
        ("metrics.serviceMonitor.interval", "30", "pattern"),
        ("nodeSelector", {"pool": 1}, "type"),
        ("tolerations", {"key": "a"}, "type"),
    ],
)
def test_a_value_that_the_chart_cannot_use_is_refused(path: str, value: object, rule: str) -> None:
    assert [error.validator for error in SCHEMA.iter_errors(with_value(path, value))] == [rule]


def test_an_image_without_a_repository_is_refused() -> None:
    without = with_value("image", {"tag": "1"})
    assert [error.validator for error in SCHEMA.iter_errors(without)] == ["required"]


def test_every_value_is_described_in_the_schema_and_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    for path, block in BLOCKS:
        for name, field in type(block).model_fields.items():
            text = chart_documents.meaning(block, name)
            assert re.fullmatch(r"[A-Z].{15,}\.", text), f"{path}{name}: {text!r}"
            assert f"`{path}{field.alias or name}`" in readme


def test_the_templates_use_every_value_and_no_other() -> None:
    text = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
    used = set(re.findall(r"\.Values\.([a-zA-Z.]+)", text))
    whole = {"resources"}
    known = {path for path in paths() if path.split(".")[0] not in whole} | whole
    assert used == known - {"global"}


def test_a_part_of_a_page_is_replaced_between_its_marks() -> None:
    page = "a\n<!-- generated: x -->\nold\nold\n<!-- end: x -->\nb\n"
    assert replaced(page, "x", r"new \1") == "a\n<!-- generated: x -->\nnew \\1\n<!-- end: x -->\nb\n"
    with pytest.raises(ValueError, match="no part <!-- generated: y -->"):
        replaced(page, "y", "new")


def test_a_cell_keeps_to_its_line_and_column() -> None:
    assert table(("a", "b"), [("1\n2", "x|y")]) == "| a | b |\n| --- | --- |\n| 1 2 | x\\|y |"
