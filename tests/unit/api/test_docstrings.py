"""Docstrings begin with a verb or with a noun that says what a thing is, never with a preposition or "what"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.english import PREPOSITIONS

REPOSITORY = Path(__file__).parents[3]
DISTRIBUTIONS = {
    "crds/trtllm_api": 750,
    "diagnosis/trtllm_diagnosis": 200,
    "planner/trtllm_planner": 580,
    "report/trtllm_report": 55,
    "operator/trtllm_operator": 580,
    "cli/trtllm_cli": 150,
    "builder-image/trtllm_builder": 800,
    "hack": 400,
}
"""Directories, with a number of docstrings that each of them has at least."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, those of attributes included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield statement.lineno, text


def begins_badly(text: str) -> bool:
    """True if the first word is a preposition or "what"."""
    words = text.split()
    return bool(words) and words[0].lower().strip(",.:;") in PREPOSITIONS | {"what"}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_no_docstring_begins_with_a_preposition(distribution: str) -> None:
    found = [
        (f"{file.relative_to(REPOSITORY)}:{line}", text)
        for file in sorted((REPOSITORY / distribution).rglob("*.py"))
        for line, text in docstrings(file.read_text(encoding="utf-8"))
    ]
    assert len(found) >= DISTRIBUTIONS[distribution]
    assert {place: text.splitlines()[0] for place, text in found if begins_badly(text)} == {}


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ('"""Of all templates."""', True),
        ('class A:\n    """Name."""\n    x: int\n    """By path, its size."""', True),
        ('def f():\n    """What it returns."""', True),
        ('def f():\n    """Size of the file."""\n    return "of no docstring"', False),
    ],
)
def test_a_docstring_that_begins_badly_is_found(source: str, *, bad: bool) -> None:
    assert any(begins_badly(text) for _, text in docstrings(source)) is bad
