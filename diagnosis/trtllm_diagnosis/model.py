"""What a diagnosis is: Diagnosis and Certainty; every module of this package and every caller uses them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trtllm_api.reasons import DiagnosisReason

MAX_EVIDENCE = 400
"""Characters of a log line that are quoted."""


class Certainty(StrEnum):
    """How sure a diagnosis is."""

    CERTAIN = "certain"
    """The log, or the cluster, says it."""
    LIKELY = "likely"
    """Inferred; the message starts with "Likely cause"."""


@dataclass(frozen=True)
class Diagnosis:
    """Why something failed, in words for a person and a reason for machines."""

    id: str
    """The catalogue's entry, as in docs/failures.md; stable."""
    reason: DiagnosisReason
    certainty: Certainty
    message: str
    """One sentence: what is wrong, with the numbers that the log has."""
    remedy: str
    """What would work."""
    evidence: str = ""
    """The line that says it, shortened."""
    line: int | None = None
    """Its number in the log, from 1."""
    guessed: bool = False
    """No entry of the catalogue knows the error; the reason is from its words alone (hints.py)."""

    @property
    def sentence(self) -> str:
        """Message and remedy, for a condition or an Event."""
        return f"{self.message} {self.remedy}".strip()


def shorten(text: str, limit: int = MAX_EVIDENCE, around: int = 0) -> str:
    """At most limit characters of the text, those around the given position."""
    text = text.strip()
    if len(text) <= limit:
        return text
    if around < limit * 3 // 4:
        return text[: limit - 1] + "…"
    start = min(max(0, around - limit // 4), len(text) - limit + 1)
    end = start + limit - 2
    return "…" + text[start:end] + ("…" if end < len(text) else "")
