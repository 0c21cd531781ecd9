"""Markdown that is generated: tables, and parts of a page between marks; pure, used by the generators."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a line break in a cell is a space, and a bar is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def replaced(page: str, name: str, body: str) -> str:
    """The page with another text between the marks of this name. Raises ValueError for a page without them."""
    begin, end = marks(name)
    pattern = re.compile(f"({re.escape(begin)}\n).*?(\n{re.escape(end)})", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no part {begin} ... {end}")
    return pattern.sub(lambda found: found[1] + body + found[2], page)


def marks(name: str) -> tuple[str, str]:
    """First and last line around a generated part."""
    return f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
