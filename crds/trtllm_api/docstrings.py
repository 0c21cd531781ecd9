"""Docstrings of enum members. Python does not keep them, so generators read them from the source."""

from __future__ import annotations

import ast
import inspect
from enum import Enum
from itertools import pairwise
from textwrap import dedent


def member_docstrings(enum: type[Enum]) -> dict[str, str]:
    """The text below each member, by the member's value; each run of white space becomes one blank."""
    body = ast.parse(dedent(inspect.getsource(enum))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{enum} is not a class")
    found: dict[str, str] = {}
    for statement, below in pairwise(body.body):
        text = below.value if isinstance(below, ast.Expr) else None
        if isinstance(statement, ast.Assign) and isinstance(text, ast.Constant) and isinstance(text.value, str):
            name = statement.targets[0]
            if isinstance(name, ast.Name):
                found[str(enum[name.id].value)] = " ".join(text.value.split())
    return found
