"""Is a model's free answer garbage? Called by the quantize stage on the greedy answers of source and candidates.

Perplexity is measured on texts that the model is shown; a model can do well there and still collapse when it writes
on its own. Only shapes that healthy text never takes count: nothing at all, one token or a short cycle up to the
length limit, characters that nobody can read, one character over and over.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_PERIOD = 8
"""Longest cycle of tokens that counts as repetition; a longer one may be a verse or a table."""
MIN_REPEATED_TOKENS = 16
"""An answer shorter than this says too little: "no, no, no" is an answer."""
MIN_REPEATS = 4
"""A cycle has to come around at least this often."""
CYCLE_SHARE = 0.7
"""Share of the answer that a cycle must fill, up to its end."""
UNREADABLE_SHARE = 0.3
"""Share of characters that nobody can read. A few happen where an answer ends inside a multi-byte character."""
MIN_UNREADABLE = 3
MIN_RUN = 12
"""A single repeated character counts from this length: "..." and "-----" are ordinary text."""


class Shape(StrEnum):
    """The kinds of garbage."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    ONE_CHARACTER = "one character"
    CYCLE = "cycle"


@dataclass(frozen=True)
class Finding:
    """What is wrong with an answer: its kind, to compare with the source's, and one clause for the user."""

    shape: Shape
    clause: str


def why_degenerate(text: str, token_ids: Sequence[int]) -> str | None:
    """One clause that says why the answer is garbage; None when it looks like language.

    Arguments:
        text: The decoded answer, without the prompt.
        token_ids: The answer's tokens without padding. The end-of-sequence token of an answer that ended by itself
            belongs to them: it tells such an answer from one that its length limit cut off.
    """
    finding = examine(text, token_ids)
    return None if finding is None else finding.clause


def newly_degenerate(source_text: str, source_ids: Sequence[int], text: str, token_ids: Sequence[int]) -> str | None:
    """As why_degenerate, unless the source's own answer is degenerate in the same way.

    Small models repeat themselves in greedy decoding even when healthy: quantization is not to blame for that.
    """
    finding = examine(text, token_ids)
    if finding is None:
        return None
    before = examine(source_text, source_ids)
    if before is not None and before.shape is finding.shape:
        return None
    return finding.clause


def examine(text: str, token_ids: Sequence[int]) -> Finding | None:
    """The first shape of garbage that the answer has."""
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
    """The shortest cycle that fills most of the answer and still runs at its end.

    An answer that ends by itself leaves its cycle: only one that hit its length limit is cut inside it. So the cycle
    is measured backwards from the last token, and an end-of-sequence token, which no cycle contains, breaks it.
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
    """Replacement characters, control characters, and code points that no font can show.

    Format characters (joiners in emoji and Indic scripts) and private use are left alone: fonts do show them.
    """
    return character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cs", "Cn"}
