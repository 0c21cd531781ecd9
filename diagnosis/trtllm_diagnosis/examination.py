"""Examination of a log, batch by batch: it collects candidates for the cause, and chooses the best explanation."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.benign import ACCESS, BENIGN, MEANINGFUL, WRAPPERS
from trtllm_diagnosis.complaints import ASSERTION, ERROR_LINE, FIRST_WORDS, PLAIN
from trtllm_diagnosis.entry import Entry, Pattern, Tier
from trtllm_diagnosis.exits import explain_exit
from trtllm_diagnosis.hints import hint, is_bug
from trtllm_diagnosis.limits import Limits
from trtllm_diagnosis.lines import Level, level, parse
from trtllm_diagnosis.matching import (
    WHOLE,
    Candidate,
    doubt,
    literals_in,
    literals_of,
    matches,
    positions,
    without_digits,
)
from trtllm_diagnosis.memory import remedy_by_stage
from trtllm_diagnosis.model import Certainty, Diagnosis, shorten
from trtllm_diagnosis.tracebacks import HEADER, IGNORED, Prefix, Raised, Tracebacks

_TRIAL: Final = 6
"""Largest distance, in lines, of a skipped tactic from its own memory errors."""
_KEPT: Final = 32
"""Candidates that are kept of one tier; a skipped trial removes fewer."""
_SKIPPED: Final = ("skipping tactic", "insufficient to use tactic")
"""Words of a tactic that TensorRT skips: memory errors just before it belong to the trial, and the build goes on."""
_FOR_MEMORY: Final = ("memory", "alloc")
"""Words of a tactic that was skipped for lack of memory; only then the memory errors before it do not count."""
_AGAIN: Final = ("trying to resume download", "retrying in", "will be retried", "download resumed")
"""Words of a transfer that goes on: network errors just before them are no failure."""
_OPAQUE: Final = re.compile(
    r"channel (?:is )?closed|\bTask error|Internal (?:\w+ )?Error|unknown error|unexpected error|Broken pipe"
    r"|Input/output error|(?:terminated|closed|stopped|ended|failed) unexpectedly"
    r"|worker (?:died|is dead)|returned null",
    re.IGNORECASE,
)
"""Exceptions that name no cause."""
_MEMORY: Final = frozenset({"C14", "C14k"})
"""Entries whose remedy depends on the stage that wrote the log."""
_NEAR: Final = 40
"""Number of lines before such an exception in which a warning may name its cause."""
_TRANSFER: Final = (Reason.SOURCE_UNREACHABLE, Reason.RATE_LIMITED)
_FRAME: Final = ('file "', '", line ')
_ALWAYS: Final = (HEADER.lower(), IGNORED.lower(), _FRAME[1], *_SKIPPED, *_AGAIN)


class Examination:
    """State of reading one log: candidates, tracebacks, and the first errors that no entry matches."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.stopped = False
        """Whether the time was over before everything was read."""
        self._stage = ""
        """Remedy for too little memory in the stage that writes this log."""
        self._candidates: list[Candidate] = []
        self._tracebacks = Tracebacks()
        self._prefix = Prefix()
        self._error: tuple[str, int] | None = None
        self._complaint: tuple[str, int] | None = None
        """The last line that reports a failure in plain words, and its number."""

    def read(self, lines: list[str], first: int) -> None:
        """Read a batch that begins at line number `first`; only lines with a literal are examined."""
        self.stopped = self.stopped or self._limits.over
        if self.stopped:
            return
        text = "\n".join(lines).lower()
        shapes = "\n".join(set(without_digits(text).split("\n")))
        hits = literals_in(text, shapes)
        words = [*hits, *(word for word in _ALWAYS if word in shapes)]
        if self._error is None:
            words += [word for word in FIRST_WORDS if word in shapes]
        if not words and not self._tracebacks.active:
            return
        self._stage = remedy_by_stage(text) or self._stage
        for number, raw in enumerate(lines, first):
            low = raw.lower()
            if self._tracebacks.active or any(word in low for word in words):
                if self._limits.over:
                    self.stopped = True
                    return
                self._line(raw, low, literals_of(low, hits), number)

    def _line(self, raw: str, low: str, hits: list[str], number: int) -> None:
        if any(word in low for word in _SKIPPED):
            if any(word in low for word in _FOR_MEMORY):
                self._forgive(number, (Reason.GPU_OUT_OF_MEMORY,))
            return
        if any(word in low for word in _AGAIN):
            self._forgive(number, _TRANSFER)
            return
        if not hits and not self._tracebacks.active and not self._worth_reading(low):
            return
        line = self._prefix.strip(parse(raw))
        if "http/" in low and ACCESS.match(line.text):
            return
        traceback = self._tracebacks.feed(line, number)
        if self._tracebacks.ignored:
            return
        found = list(matches(line, traceback, hits))
        erring = self._error is None and not traceback and ERROR_LINE.search(line.text, 0, WHOLE) is not None
        plain = not found and not erring and self._error is None and not traceback
        if plain and PLAIN.search(line.text, 0, WHOLE) is None:
            return
        if not found and not erring and not plain:
            return
        if BENIGN.search(line.text, 0, WHOLE):
            return
        if WRAPPERS.search(line.text, 0, WHOLE) and not MEANINGFUL.search(line.text, 0, WHOLE):
            return
        seen = level(line.text)
        for entry, pattern, match in found:
            self._keep(entry, pattern, match, number, seen)
        if seen >= Level.NONE and HEADER not in line.text:
            if erring:
                self._error = line.body[:WHOLE], number
            elif plain and not self._tracebacks.active:
                self._complaint = line.body[:WHOLE], number

    def _worth_reading(self, low: str) -> bool:
        """Whether a line without literals can begin a traceback or be the first error."""
        return (
            HEADER.lower() in low
            or IGNORED.lower() in low
            or all(word in low for word in _FRAME)
            or (self._error is None and any(word in low for word in FIRST_WORDS))
        )

    def _keep(self, entry: Entry, pattern: Pattern, match: re.Match[str], number: int, seen: Level) -> None:
        doubtful = doubt(entry, seen)
        tier = entry.tier + 10 * doubtful
        same = [known for known in self._candidates if known.tier == tier]
        if len(same) < _KEPT and all(known.entry is not entry or number - known.line <= _TRIAL for known in same):
            self._candidates.append(Candidate(entry, pattern, match, number, tier, likely=bool(doubtful)))

    def _forgive(self, number: int, reasons: tuple[Reason, ...]) -> None:
        """Drop errors just before this line: they belong to a skipped tactic, or to a transfer that goes on."""
        self._candidates = [
            known for known in self._candidates if known.entry.reason not in reasons or number - known.line > _TRIAL
        ]
        if self._error is not None and number - self._error[1] <= _TRIAL:
            self._error = None

    def _before(self, line: int) -> tuple[str, int, str] | None:
        """The exception or failed assertion without an entry that came before a process was killed or lost."""
        raised, error = self._tracebacks.first, self._error
        if raised is not None and raised.line < line:
            return raised.text, raised.line, raised.source
        if error is not None and error[1] < line and ASSERTION.search(error[0]):
            return *error, ""
        return None

    def in_its_stage(self, found: Diagnosis) -> Diagnosis:
        """The diagnosis with the remedy of the stage, if too little memory is the cause."""
        return replace(found, remedy=self._stage) if self._stage and found.id in _MEMORY else found

    def _warned(self, raised: Raised) -> Diagnosis | None:
        """The cause that a warning names just before an exception that names none."""
        if _OPAQUE.search(raised.text[:WHOLE]) is None:
            return None
        near = [c for c in self._candidates if c.tier == 10 + Tier.CAUSE and 0 < raised.line - c.line <= _NEAR]
        return max(near, key=lambda c: c.line).explain() if near else None

    def _raised(self, raised: Raised, guess: bool) -> Diagnosis:
        """Diagnosis by the words of the first exception, or else of an exception raised while it was handled."""
        found = _unknown(raised.text, raised.line, raised.source, guess)
        if guess and not found.guessed and not is_bug(raised.text):
            for later in self._tracebacks.raised[1:]:
                placed = None if is_bug(later.text) else hint(later.text, later.source, later.line)
                if placed is not None:
                    return placed
        return found

    def _with_assertion(self, by_exit: Diagnosis, guess: bool) -> Diagnosis:
        """Diagnosis by the exit code of a crash, with the assertion in the log."""
        if by_exit.reason is not Reason.CRASHED or self._error is None:
            return by_exit
        text, line = self._error
        if not ASSERTION.search(text):
            return by_exit
        known = hint(text, "", line) if guess else None
        if known is not None:
            return known
        message = f"{by_exit.message.removesuffix('.')}: {shorten(text, 300)}"
        return replace(by_exit, message=message, evidence=shorten(text), line=line)

    def result(self, exit_code: int | None, guess: bool) -> Diagnosis | None:
        """The best explanation of everything that was read; None if nothing reports a failure."""
        best = min(self._candidates, key=lambda c: (*c.rank, positions()[c.entry.id], -c.filled), default=None)
        if best is not None and best.tier < Tier.NOTE:
            refined = [c for c in self._candidates if best.entry.id in c.entry.refines and c.tier < Tier.NOTE]
            best = min(refined, key=lambda c: c.line, default=best)
            before = self._before(best.line) if best.entry.yields else None
            return best.explain() if before is None else _unknown(*before, guess)
        raised = self._tracebacks.first
        if exit_code != 0:
            if raised is not None:
                return self._warned(raised) or self._raised(raised, guess)
            by_exit = explain_exit(exit_code)
            if by_exit is not None:
                return self._with_assertion(by_exit, guess)
            if self._error is not None and (exit_code is not None or best is None):
                return _unknown(*self._error, "", guess)
        if exit_code not in {None, 0} and self._complaint is not None:
            complaint = _unknown(*self._complaint, "", guess)
            if best is None or (complaint.guessed and best.tier > Tier.NOTE and best.line < self._complaint[1]):
                return complaint
        if best is not None and (best.tier == Tier.NOTE or exit_code not in {None, 0}):
            return best.explain()
        if exit_code not in {None, 0}:
            return Diagnosis(
                id="exit",
                reason=Reason.UNKNOWN,
                certainty=Certainty.LIKELY,
                message=f"Not in the catalogue: exit code {exit_code}, and the log names no error.",
                remedy="Run it again with a more detailed log level.",
            )
        return None


def _unknown(text: str, line: int, source: str, guess: bool) -> Diagnosis:
    return (hint(text, source, line) if guess else None) or Diagnosis(
        id="unknown",
        reason=Reason.UNKNOWN,
        certainty=Certainty.LIKELY,
        message=f"Not in the catalogue: {shorten(text, 300)}",
        remedy="The log around this line says more.",
        evidence=shorten(text),
        line=line,
    )
