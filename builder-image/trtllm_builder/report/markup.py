"""Sections and tables of the report's page, from cells that are markup already; page.py and refusals.py call it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def section(title: str, content: str) -> str:
    """A heading and what is below it."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]], numeric: int | None = None
) -> str:
    """A table from cells of markup: "th" for a row's header, "num" for a number, "td" for anything else.

    Columns from `numeric` on hold numbers. The table scrolls by itself on narrow screens, and the keyboard reaches it.
    """
    head = "".join(
        f'<th scope="col"{" class=num" if numeric is not None and index >= numeric else ""}>{text}</th>'
        for index, text in enumerate(heads)
    )
    body = "".join("<tr>" + "".join(_cell(kind, markup) for kind, markup in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption, quote=True)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(kind: str, markup: str) -> str:
    if kind == "th":
        return f'<th scope="row">{markup}</th>'
    return f'<td class="num">{markup}</td>' if kind == "num" else f"<td>{markup}</td>"
