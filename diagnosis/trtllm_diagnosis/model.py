"""Records of a diagnosis: Diagnosis and Certainty; every module of this package and every caller uses them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trtllm_api.problem import Problem

MAX_EVIDENCE = 400
"""Characters of a log line that are quoted."""


class Certainty(StrEnum):
    """How sure a diagnosis is."""

    CERTAIN = "certain"
    """The log, or the cluster, says it."""
    LIKELY = "likely"
    """Inferred; the message starts with "Likely cause"."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Problem):
    """The cause of a failure, with the numbers that the log has, and the remedy."""

    id: str
    """The catalogue's entry, as in docs/failures.md; stable."""
    certainty: Certainty
    evidence: str = ""
    """The line that says it, shortened."""
    line: int | None = None
    """Its number in the log, from 1."""
    guessed: bool = False
    """No entry of the catalogue knows the error; the reason is from its words alone (hints.py)."""


def shorten(text: str, limit: int = MAX_EVIDENCE, around: int = 0) -> str:
    """Excerpt of at most limit characters of the text, around the given position."""
    text = text.strip()
    if len(text) <= limit:
        return text
    if around < limit * 3 // 4:
        return text[: limit - 1] + "…"
    start = min(max(0, around - limit // 4), len(text) - limit + 1)
    end = start + limit - 2
    return "…" + text[start:end] + ("…" if end < len(text) else "")
