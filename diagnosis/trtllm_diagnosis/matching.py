"""Matches of the catalogue's entries on single lines of a log: literals first, then expressions.

A literal is searched in a whole batch of lines at once; an expression sees only lines with its literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.common import COMMON, COMPLAINTS
from trtllm_diagnosis.entry import Entry, Pattern, Seen
from trtllm_diagnosis.lines import Level, Line
from trtllm_diagnosis.model import Diagnosis

WHOLE: Final = 1600
"""Longest line, in characters, that an expression sees as a whole."""
_WINDOW: Final = 500
"""Characters on each side of a literal that an expression sees of a longer line."""
_WORK: Final = 1_000_000
"""Characters of one line that all expressions together see. After that, the rest of the line is left out."""
_NO_DIGITS: Final = str.maketrans("", "", "0123456789")


@dataclass(frozen=True)
class Candidate:
    """A match of an entry, as a possible cause."""

    entry: Entry
    pattern: Pattern
    match: re.Match[str]
    line: int
    tier: int
    """Tier of the entry, plus 10 for each step that the level of the line is too low."""
    likely: bool

    @property
    def rank(self) -> tuple[int, int]:
        """Order of candidates: the best tier, then the earliest line."""
        return self.tier, self.line

    @property
    def filled(self) -> int:
        """Number of groups of the match, which fill the sentence with numbers and names."""
        return sum(value is not None for value in self.match.groups())

    def explain(self) -> Diagnosis:
        """The diagnosis of this match."""
        return self.entry.explain(self.pattern, self.match, self.line, likely=self.likely)


@cache
def literals() -> dict[str, tuple[tuple[Entry, Pattern], ...]]:
    """All literals with their patterns, in the catalogue's order."""
    found: dict[str, list[tuple[Entry, Pattern]]] = {}
    for entry in CATALOGUE:
        for pattern in entry.patterns:
            found.setdefault(pattern.literal, []).append((entry, pattern))
    return {literal: tuple(patterns) for literal, patterns in found.items()}


@cache
def _bare_literals() -> tuple[tuple[str, str], ...]:
    """All literals, each with its text without digits."""
    return tuple((literal, literal.translate(_NO_DIGITS)) for literal in literals())


@cache
def positions() -> dict[str, int]:
    """Position of each entry in the catalogue, by its identifier."""
    return {entry.id: position for position, entry in enumerate(CATALOGUE)}


def literals_in(text: str, shapes: str) -> list[str]:
    """Literals in a text of many lines; `shapes`: its distinct lines without digits, which are searched first."""
    return [literal for literal, bare in _bare_literals() if bare in shapes and (bare == literal or literal in text)]


def without_digits(text: str) -> str:
    """The text without digits, because most lines of a log differ from an earlier one in numbers only."""
    return text.translate(_NO_DIGITS)


def literals_of(low: str, hits: list[str]) -> list[str]:
    """The literals of this line, out of those of its batch. Common ones count only if the line reports a problem."""
    found = [literal for literal in hits if literal in low]
    if found and COMMON.issuperset(found):
        head = low[: 2 * WHOLE]
        if "429" not in head and not _complains(without_digits(head)):
            return []
    return found


@lru_cache(maxsize=4096)
def _complains(text: str) -> bool:
    """Whether a line, in lower case and without digits, reports a problem. Equal lines are judged once."""
    return COMPLAINTS.search(text) is not None


def matches(line: Line, traceback: str, hits: list[str]) -> Iterator[tuple[Entry, Pattern, re.Match[str]]]:
    """Entries of the catalogue that the line matches; `hits`: its literals, `traceback`: the lines before it."""
    texts = [(text, text.lower()) for text in dict.fromkeys((line.body, line.text))]
    work = _WORK
    for literal in hits:
        windows = [window for text, low in texts for window in _windows(text, low, literal)]
        for entry, pattern in literals()[literal]:
            condition = pattern.within_regex
            if condition is not None and not condition.search(traceback):
                continue
            work -= sum(map(len, windows))
            if work < 0:
                return
            match = next((found for window in windows if (found := pattern.regex.search(window))), None)
            if match is not None:
                yield entry, pattern, match


def _windows(text: str, low: str, literal: str) -> Iterator[str]:
    """The text, or the surroundings of the first and the last literal of a long one."""
    if len(text) <= WHOLE:
        yield text
        return
    first, last = low.find(literal), low.rfind(literal)
    if first >= 0:
        yield text[max(0, first - _WINDOW) : first + _WINDOW]
    if last >= first + _WINDOW:
        yield text[max(0, last - _WINDOW) : last + _WINDOW]


def doubt(entry: Entry, seen: Level) -> int:
    """Number of steps that the line's level is below the one at which the entry is a cause."""
    if entry.seen is Seen.ANYWHERE or seen >= Level.NONE:
        return 0
    if seen is Level.WARNING:
        return 0 if entry.seen is Seen.WARNING else 1
    return 2
