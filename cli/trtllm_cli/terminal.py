"""Colours, tables and bars on a terminal; plain text elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PARTS: Final = " ▏▎▍▌▋▊▉█"


def plain(text: str) -> str:
    """The text without control characters: a log or a cluster must not control the terminal."""
    return _CONTROL.sub("", text.replace("\t", " "))


class Terminal:
    """Output of a command: its width, and whether it takes colours."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.interactive = self.stream.isatty()
        self.colours = self.interactive and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.width = min(140, max(40, shutil.get_terminal_size((110, 24)).columns))

    def paint(self, text: str, *styles: str) -> str:
        """The text in a colour if the terminal takes colours."""
        if not self.colours or not styles:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def wrapped(self, text: str, indent: str, first: str | None = None) -> str:
        """The text, broken into lines of at most the terminal's width."""
        return textwrap.fill(
            plain(text),
            self.width,
            initial_indent=indent if first is None else first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def bar(self, percent: float, width: int = 30) -> str:
        """A bar with a resolution of an eighth of a character."""
        eighths = round(max(0.0, min(100.0, percent)) / 100 * width * 8)
        full, rest = divmod(eighths, 8)
        drawn = "█" * full + (_PARTS[rest] if rest else "")
        return self.paint(drawn, "cyan") + self.paint("·" * (width - len(drawn)), "dim")

    def print(self, *lines: str) -> None:
        """Write the lines."""
        for line in lines:
            self.stream.write(line.rstrip() + "\n")
        self.stream.flush()


def length(text: str) -> int:
    """Columns that a text takes: escapes take none, wide characters two."""
    bare = _ESCAPE.sub("", text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in bare)


def table(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Columns as wide as their widest cell; the last one is not padded."""
    widths = [max(length(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return [indent + "  ".join(_padded(row, widths)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Iterable[int]) -> Iterable[str]:
    return (cell + " " * (width - length(cell)) for cell, width in zip(row, widths, strict=True))


def duration(seconds: float) -> str:
    """`2 h 5 min`, `3 min`, `12 s`."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
