"""The shape of one catalogue entry; the modules in catalogue/ are made of them, scan.py reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.bounded import compiled
from trtllm_diagnosis.model import MAX_EVIDENCE, Certainty, Diagnosis, shorten

_OPTIONAL: Final = re.compile(r"\[\[(.{0,120}?)\]\]")
_FIELD: Final = re.compile(r"\{(\w+)\}")


class Tier(IntEnum):
    """How good an explanation is; the best tier wins, and within it the earliest line."""

    CAUSE = 0
    """Explains the failure by itself."""
    VAGUE = 1
    """True, but often the effect of something that the log says more plainly."""
    CONSEQUENCE = 2
    """Nearly always the effect of something else; named when nothing else is."""
    NOTE = 3
    """Said as a warning, or without any failure."""


class Seen(IntEnum):
    """Lowest level of a log line at which an entry counts."""

    ANYWHERE = 0
    """Even in informational lines."""
    WARNING = 1
    """The message is only ever a warning."""
    ERROR = 2
    """Errors and lines without a level; a mere warning makes it a likely NOTE."""


@dataclass(frozen=True)
class Pattern:
    """Condition on a line: the literal, which finds candidates quickly, and then the expression."""

    literal: str
    """Lower case; part of every line that the expression matches."""
    expression: str = ""
    """Expression. If omitted, the literal decides; case is ignored."""
    within: str = ""
    """An expression that the traceback so far, or the lines just before, must match as well."""
    certainty: Certainty | None = None
    """When this pattern is less sure than its entry."""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled expression."""
        return compiled(self.expression or re.escape(self.literal))

    @cached_property
    def within_regex(self) -> re.Pattern[str] | None:
        """The compiled condition on the lines before."""
        return compiled(self.within) if self.within else None


@dataclass(frozen=True)
class Entry:
    """One failure: how to recognise it, what it means, what to do.

    In message and remedy `{name}` is a group of the expression; a part in `[[ ]]` is left out when a group is unset.
    """

    id: str
    reason: Reason
    title: str
    """Title in the table of the documentation."""
    patterns: tuple[Pattern, ...]
    message: str
    remedy: str
    tier: Tier = Tier.CAUSE
    certainty: Certainty = Certainty.CERTAIN
    seen: Seen = Seen.ERROR
    refines: tuple[str, ...] = field(default=())
    """Entries whose match this one replaces although it comes later in the log."""

    yields: bool = False
    """A process that was killed or lost: an error of its own or of another rank, said before, explains it better."""

    def explain(self, pattern: Pattern, match: re.Match[str], line: int | None, *, likely: bool) -> Diagnosis:
        """The diagnosis for one match."""
        certainty = Certainty.LIKELY if likely else pattern.certainty or self.certainty
        groups = {name: shorten(value, 120) for name, value in match.groupdict().items() if value}
        return diagnosis(
            self.id,
            self.reason,
            certainty,
            fill(self.message, groups),
            fill(self.remedy, groups),
            evidence=shorten(match.string, around=max(match.start(), match.end() - MAX_EVIDENCE // 2)),
            line=line,
        )


def diagnosis(
    entry: str,
    reason: Reason,
    certainty: Certainty,
    message: str,
    remedy: str,
    *,
    evidence: str = "",
    line: int | None = None,
) -> Diagnosis:
    """A Diagnosis whose message says so when it is inferred."""
    if certainty is Certainty.LIKELY:
        message = f"Likely cause: {message}"
    return Diagnosis(
        id=entry,
        reason=reason,
        certainty=certainty,
        message=message,
        remedy=remedy,
        evidence=shorten(evidence),
        line=line,
    )


def fill(template: str, groups: dict[str, str]) -> str:
    """The template with the numbers of the log; optional parts whose numbers are missing are left out."""

    def optional(match: re.Match[str]) -> str:
        part = match[1]
        return part if all(name in groups for name in _FIELD.findall(part)) else ""

    return _FIELD.sub(lambda m: groups.get(m[1], "?"), _OPTIONAL.sub(optional, template))
