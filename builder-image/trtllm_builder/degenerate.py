"""Detects degenerate output in a model's free answer.

Perplexity is measured on given texts; a model can have a good perplexity and still produce garbage when it generates.
Only shapes that normal text never has count: no text, one token or a short cycle up to the length limit, unreadable
characters, one repeated character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_PERIOD = 8
"""Longest cycle of tokens that counts as repetition. A longer one may be a poem or a table."""
MIN_REPEATED_TOKENS = 16
"""Shortest answer that is examined for repetition: "no, no, no" is a valid answer."""
MIN_REPEATS = 4
"""Least number of repetitions of a cycle."""
CYCLE_SHARE = 0.7
"""Share of the answer that a cycle must fill, up to its end."""
UNREADABLE_SHARE = 0.3
"""Share of unreadable characters. A few occur if an answer ends inside a multi-byte character."""
MIN_UNREADABLE = 3
MIN_RUN = 12
"""Shortest run of one character that counts: "..." and "-----" are normal text."""


class Shape(StrEnum):
    """Shapes of degenerate output."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    ONE_CHARACTER = "one character"
    CYCLE = "cycle"


@dataclass(frozen=True)
class Finding:
    """Fault of an answer: its shape, to compare with the source's, and a clause for messages."""

    shape: Shape
    clause: str


def why_degenerate(text: str, token_ids: Sequence[int]) -> str | None:
    """A clause that explains why the answer is degenerate; None if it looks like language.

    Arguments:
        text: The decoded answer, without the prompt.
        token_ids: The answer's tokens without padding, with the end-of-sequence token if the answer has one: it shows
            that the length limit did not end the answer.
    """
    finding = examine(text, token_ids)
    return None if finding is None else finding.clause


def newly_degenerate(source_text: str, source_ids: Sequence[int], text: str, token_ids: Sequence[int]) -> str | None:
    """A clause as why_degenerate returns it, unless the source's answer is degenerate in the same way.

    Small models repeat themselves in greedy decoding even without quantization.
    """
    finding = examine(text, token_ids)
    if finding is None:
        return None
    before = examine(source_text, source_ids)
    if before is not None and before.shape is finding.shape:
        return None
    return finding.clause


def examine(text: str, token_ids: Sequence[int]) -> Finding | None:
    """First degenerate shape of the answer; None if there is none."""
    visible = [character for character in text if not character.isspace()]
    if not visible:
        return Finding(Shape.EMPTY, "the answer is empty" if not text else "the answer is only white space")
    unreadable = sum(_is_unreadable(character) for character in visible)
    if unreadable >= MIN_UNREADABLE and unreadable >= UNREADABLE_SHARE * len(visible):
        return Finding(
            Shape.UNREADABLE, f"{unreadable} of {len(visible)} characters are replacement or control characters"
        )
    if len(visible) >= MIN_RUN and len(set(visible)) == 1:
        return Finding(Shape.ONE_CHARACTER, f'the answer is the character "{visible[0]}" {len(visible)} times')
    return _cycle(token_ids)


def _cycle(token_ids: Sequence[int]) -> Finding | None:
    """Shortest cycle that fills most of the answer and continues to its end; None if there is none.

    Only an answer that reached its length limit ends inside a cycle. So the cycle is measured backwards from the last
    token, and an end-of-sequence token, which no cycle contains, breaks it.
    """
    count = len(token_ids)
    if count < MIN_REPEATED_TOKENS:
        return None
    for period in range(1, MAX_PERIOD + 1):
        length = period
        while length < count and token_ids[count - 1 - length] == token_ids[count - 1 - length + period]:
            length += 1
        if length >= CYCLE_SHARE * count and length >= MIN_REPEATS * period:
            what = "the same token" if period == 1 else f"the same {period} tokens"
            return Finding(Shape.CYCLE, f"{what} over and over in the last {length} of {count} tokens")
    return None


def _is_unreadable(character: str) -> bool:
    """True for replacement characters, control characters, and code points that no font can show.

    Format characters (joiners in emoji and Indic scripts) and private use do not count: fonts can show them.
    """
    return character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cs", "Cn"}
