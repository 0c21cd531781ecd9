"""Reads a log once and gives the best explanation of its failure: `diagnose`, called by builder, operator and CLI.

Most lines are dismissed by the literals of the catalogue, searched in whole batches; the expressions see the rest.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.benign import ACCESS, BENIGN, MEANINGFUL, WRAPPERS
from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.common import COMMON, COMPLAINTS
from trtllm_diagnosis.complaints import ASSERTION, ERROR_LINE, FIRST_WORDS, PLAIN
from trtllm_diagnosis.entry import Entry, Pattern, Seen, Tier
from trtllm_diagnosis.exits import explain_exit
from trtllm_diagnosis.hints import hint, is_bug
from trtllm_diagnosis.limits import LINE, Limits, cut
from trtllm_diagnosis.lines import Level, Line, level, parse, split
from trtllm_diagnosis.memory import remedy_by_stage
from trtllm_diagnosis.model import Certainty, Diagnosis, shorten
from trtllm_diagnosis.tracebacks import HEADER, IGNORED, Prefix, Raised, Tracebacks

_DEFAULT: Final = Limits()
_BATCH: Final = 1 << 16
"""Characters that are searched for literals at once."""
WHOLE: Final = 1600
"""Characters of a line that an expression sees as a whole."""
_WINDOW: Final = 500
"""Characters on each side of a literal that an expression sees of a longer line."""
_WORK: Final = 1_000_000
"""Characters that all expressions together see of one line; a line full of the catalogue's words is left then."""
_TRIAL: Final = 6
"""Lines by which a skipped tactic follows its own memory errors."""
_KEPT: Final = 32
"""Candidates of one tier; more than a trial's errors are never needed."""
_SKIPPED: Final = ("skipping tactic", "insufficient to use tactic")
"""TensorRT tried something too large and goes on: the memory errors just before it were part of the trial."""
_FOR_MEMORY: Final = ("memory", "alloc")
"""Why it was too large; a tactic that failed otherwise says nothing of the memory errors before it."""
_AGAIN: Final = ("trying to resume download", "retrying in", "will be retried", "download resumed")
"""A transfer goes on: the network's errors just before it are no failure; the last one, if it gives up, is."""
_OPAQUE: Final = re.compile(
    r"channel (?:is )?closed|\bTask error|Internal (?:\w+ )?Error|unknown error|unexpected error|Broken pipe"
    r"|Input/output error|(?:terminated|closed|stopped|ended|failed) unexpectedly"
    r"|worker (?:died|is dead)|returned null",
    re.IGNORECASE,
)
"""An exception that names no cause."""
_MEMORY: Final = frozenset({"C14", "C14k"})
"""Entries whose remedy is the stage's."""
_NEAR: Final = 40
"""Lines before such an exception in which a warning may name its cause."""
_TRANSFER: Final = (Reason.SOURCE_UNREACHABLE, Reason.RATE_LIMITED)
_FRAME: Final = ('file "', '", line ')
_ALWAYS: Final = (HEADER.lower(), IGNORED.lower(), _FRAME[1], *_SKIPPED, *_AGAIN)
_NO_DIGITS: Final = str.maketrans("", "", "0123456789")


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    pattern: Pattern
    match: re.Match[str]
    line: int
    tier: int
    likely: bool

    @property
    def rank(self) -> tuple[int, int]:
        return self.tier, self.line

    @property
    def told(self) -> int:
        """How many numbers and names the match has for the sentence."""
        return sum(value is not None for value in self.match.groups())


def diagnose(lines: Iterable[str], exit_code: int | None = None, limits: Limits = _DEFAULT) -> Diagnosis | None:
    """Why the program that wrote these lines failed; None when nothing says that it did.

    The log is read once, within the limits; a result that saw only a part of it says so. The exit code counts only when
    the log names no cause; with 0, only what the catalogue knows is reported, for exit 0 is not success. An error that
    it does not know is placed by its words, as a guess.
    """
    scanner = Scanner(limits)
    for line in lines:
        if not scanner.feed(line):
            break
    return scanner.result(exit_code, guess=True)


class Scanner:
    """`diagnose` for a log that is still being written: lines as they come, the explanation at the end."""

    def __init__(self, limits: Limits = _DEFAULT) -> None:
        self._limits = limits
        self._scan = _Scan(limits)
        self._batch: list[str] = []
        self._size, self._read, self._spent = 0, 0, 0
        self._tail: deque[str] = deque()
        self._held, self._dropped = 0, 0
        self._partial = False

    def feed(self, line: str) -> bool:
        """Take the next line; False when the time is over and no more are read. Memory stays bounded."""
        for part in split((cut(line),)):
            size = max(len(part), LINE)
            if self._spent + size > self._limits.head:
                self._hold(part, size)
                continue
            self._spent += size
            self._batch.append(part)
            self._size += len(part) + 1
            if self._size >= _BATCH:
                self._flush()
        return not self._scan.stopped

    def result(self, exit_code: int | None, *, guess: bool = False) -> Diagnosis | None:
        """The best explanation of what was read; whoever decides by its reason wants no guess from mere words."""
        self._flush()
        if self._tail:
            self._read += self._dropped
            self._partial, self._dropped = self._partial or self._dropped > 0, 0
            self._batch, self._tail, self._held = list(self._tail), deque(), 0
            self._flush()
        found = self._scan.result(exit_code, guess)
        if found is None:
            return None
        found = self._scan.in_its_stage(found)
        if self._scan.stopped:
            return replace(found, message=f"{found.message} Reading the log stopped at its time limit.")
        if self._partial:
            return replace(found, message=f"{found.message} Only {self._limits} of the log were read.")
        return found

    def _hold(self, part: str, size: int) -> None:
        """Keep the last lines only."""
        self._spent = self._limits.head
        self._tail.append(part)
        self._held += size
        while self._held > self._limits.tail:
            self._held -= max(len(self._tail.popleft()), LINE)
            self._dropped += 1

    def _flush(self) -> None:
        if self._batch:
            self._scan.batch(self._batch, self._read + 1)
            self._read += len(self._batch)
            self._batch, self._size = [], 0


@cache
def literals() -> dict[str, tuple[tuple[Entry, Pattern], ...]]:
    """Every literal with the patterns that it announces, in the catalogue's order."""
    found: dict[str, list[tuple[Entry, Pattern]]] = {}
    for entry in CATALOGUE:
        for pattern in entry.patterns:
            found.setdefault(pattern.literal, []).append((entry, pattern))
    return {literal: tuple(patterns) for literal, patterns in found.items()}


@cache
def _searched() -> tuple[tuple[str, str], ...]:
    """Every literal, and what is left of it without digits."""
    return tuple((literal, literal.translate(_NO_DIGITS)) for literal in literals())


@cache
def _order() -> dict[str, int]:
    return {entry.id: position for position, entry in enumerate(CATALOGUE)}


class _Scan:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.stopped = False
        """Whether the time was over before everything was read."""
        self._stage = ""
        """The remedy for too little memory in the stage that writes this log."""
        self._candidates: list[_Candidate] = []
        self._tracebacks = Tracebacks()
        self._prefix = Prefix()
        self._error: tuple[str, int] | None = None
        self._complaint: tuple[str, int] | None = None
        """The last line that says in plain words that something did not work."""

    def batch(self, lines: list[str], first: int) -> None:
        """Look at a batch, and at single lines only where a literal was found."""
        self.stopped = self.stopped or self._limits.over
        if self.stopped:
            return
        text = "\n".join(lines).lower()
        # once for all lines that differ in numbers only
        shapes = "\n".join(set(text.translate(_NO_DIGITS).split("\n")))
        hits = [literal for literal, bare in _searched() if bare in shapes and (bare == literal or literal in text)]
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
                self._line(raw, low, _worth(low, hits), number)

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
        found = list(self._matches(line, traceback, hits))
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
        """Whether a line without literals may open a traceback or be the first error."""
        return (
            HEADER.lower() in low
            or IGNORED.lower() in low
            or all(word in low for word in _FRAME)
            or (self._error is None and any(word in low for word in FIRST_WORDS))
        )

    def _matches(self, line: Line, traceback: str, hits: list[str]) -> Iterator[tuple[Entry, Pattern, re.Match[str]]]:
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

    def _keep(self, entry: Entry, pattern: Pattern, match: re.Match[str], number: int, seen: Level) -> None:
        doubtful = _doubt(entry, seen)
        tier = entry.tier + 10 * doubtful
        same = [known for known in self._candidates if known.tier == tier]
        if len(same) < _KEPT and all(known.entry is not entry or number - known.line <= _TRIAL for known in same):
            self._candidates.append(_Candidate(entry, pattern, match, number, tier, likely=bool(doubtful)))

    def _forgive(self, number: int, reasons: tuple[Reason, ...]) -> None:
        """A tactic was skipped, a transfer begun again: the errors just before it were its own."""
        self._candidates = [
            known for known in self._candidates if known.entry.reason not in reasons or number - known.line > _TRIAL
        ]
        if self._error is not None and number - self._error[1] <= _TRIAL:
            self._error = None

    def _before(self, line: int) -> tuple[str, int, str] | None:
        """An exception or failed assertion that no entry knows, said before a process was killed or lost."""
        raised, error = self._tracebacks.first, self._error
        if raised is not None and raised.line < line:
            return raised.text, raised.line, raised.source
        if error is not None and error[1] < line and ASSERTION.search(error[0]):
            return *error, ""
        return None

    def in_its_stage(self, found: Diagnosis) -> Diagnosis:
        """With the remedy of the stage, where too little memory is the cause."""
        return replace(found, remedy=self._stage) if self._stage and found.id in _MEMORY else found

    def _warned(self, raised: Raised) -> Diagnosis | None:
        """The cause that a warning named just before an exception which says nothing by itself."""
        if _OPAQUE.search(raised.text[:WHOLE]) is None:
            return None
        near = [c for c in self._candidates if c.tier == 10 + Tier.CAUSE and 0 < raised.line - c.line <= _NEAR]
        return _explained(max(near, key=lambda c: c.line)) if near else None

    def _raised(self, raised: Raised, guess: bool) -> Diagnosis:
        """What the first exception is about; where its words do not tell, those of what was raised over it."""
        found = _unknown(raised.text, raised.line, raised.source, guess)
        if guess and not found.guessed and not is_bug(raised.text):
            for later in self._tracebacks.raised[1:]:
                placed = None if is_bug(later.text) else hint(later.text, later.source, later.line)
                if placed is not None:
                    return placed
        return found

    def _with_assertion(self, by_exit: Diagnosis, guess: bool) -> Diagnosis:
        """What an exit code says of a crash, with the assertion that the log has."""
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
        """The best explanation of all."""
        best = min(self._candidates, key=lambda c: (*c.rank, _order()[c.entry.id], -c.told), default=None)
        if best is not None and best.tier < Tier.NOTE:
            refined = [c for c in self._candidates if best.entry.id in c.entry.refines and c.tier < Tier.NOTE]
            best = min(refined, key=lambda c: c.line, default=best)
            before = self._before(best.line) if best.entry.yields else None
            return _explained(best) if before is None else _unknown(*before, guess)
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
            return _explained(best)
        if exit_code not in {None, 0}:
            return Diagnosis(
                id="exit",
                reason=Reason.UNKNOWN,
                certainty=Certainty.LIKELY,
                message=f"Not in the catalogue: exit code {exit_code}, and the log names no error.",
                remedy="Run it again with a more detailed log level.",
            )
        return None


def _worth(low: str, hits: list[str]) -> list[str]:
    """The literals of this line; common ones only when the line complains."""
    found = [literal for literal in hits if literal in low]
    if found and COMMON.issuperset(found):
        head = low[: 2 * WHOLE]
        # most lines of a log differ from an earlier one in numbers only
        if "429" not in head and not _complains(head.translate(_NO_DIGITS)):
            return []
    return found


@lru_cache(maxsize=4096)
def _complains(text: str) -> bool:
    """Of a line in lower case, without its digits."""
    return COMPLAINTS.search(text) is not None


def _doubt(entry: Entry, seen: Level) -> int:
    """How far the line's level is below the one that makes the entry a cause."""
    if entry.seen is Seen.ANYWHERE or seen >= Level.NONE:
        return 0
    if seen is Level.WARNING:
        return 0 if entry.seen is Seen.WARNING else 1
    return 2


def _windows(text: str, low: str, literal: str) -> Iterator[str]:
    """The text, or of a long one what stands around its first and its last literal."""
    if len(text) <= WHOLE:
        yield text
        return
    first, last = low.find(literal), low.rfind(literal)
    if first >= 0:
        yield text[max(0, first - _WINDOW) : first + _WINDOW]
    if last >= first + _WINDOW:
        yield text[max(0, last - _WINDOW) : last + _WINDOW]


def _explained(candidate: _Candidate) -> Diagnosis:
    return candidate.entry.explain(candidate.pattern, candidate.match, candidate.line, likely=candidate.likely)


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
