"""Diagnosis of a log: `diagnose`, and Scanner for a log that is still being written.

The log is read once, in batches, within limits; examination.py looks at the batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from trtllm_diagnosis.examination import Examination
from trtllm_diagnosis.limits import LINE, Limits, cut
from trtllm_diagnosis.lines import split
from trtllm_diagnosis.model import Diagnosis

_DEFAULT: Final = Limits()
_BATCH: Final = 1 << 16
"""Characters that are searched for literals at once."""


def diagnose(lines: Iterable[str], exit_code: int | None = None, limits: Limits = _DEFAULT) -> Diagnosis | None:
    """The reason why the program that wrote these lines failed; None if nothing reports a failure.

    The log is read once, within the limits; the message says if only a part was read. The exit code counts only if the
    log names no cause. With exit code 0, only failures of the catalogue are reported, because programs exit with 0
    after failures, too. An error that the catalogue does not have gets a guess from its words.
    """
    scanner = Scanner(limits)
    for line in lines:
        if not scanner.feed(line):
            break
    return scanner.result(exit_code, guess=True)


class Scanner:
    """`diagnose` for a log that is still being written: it takes lines one by one, and explains them at the end."""

    def __init__(self, limits: Limits = _DEFAULT) -> None:
        self._limits = limits
        self._examination = Examination(limits)
        self._batch: list[str] = []
        self._size, self._read, self._spent = 0, 0, 0
        self._tail: deque[str] = deque()
        self._held, self._dropped = 0, 0
        self._partial = False

    def feed(self, line: str) -> bool:
        """Take the next line; False if the time is over, and no more lines are read. Memory stays bounded."""
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
        return not self._examination.stopped

    def result(self, exit_code: int | None, *, guess: bool = False) -> Diagnosis | None:
        """The best explanation of what was read. Without `guess`, words of an unknown error give no reason."""
        self._flush()
        if self._tail:
            self._read += self._dropped
            self._partial, self._dropped = self._partial or self._dropped > 0, 0
            self._batch, self._tail, self._held = list(self._tail), deque(), 0
            self._flush()
        found = self._examination.result(exit_code, guess)
        if found is None:
            return None
        found = self._examination.in_its_stage(found)
        if self._examination.stopped:
            return replace(found, message=f"{found.message} Reading the log stopped at its time limit.")
        if self._partial:
            return replace(found, message=f"{found.message} Only {self._limits} of the log were read.")
        return found

    def _hold(self, part: str, size: int) -> None:
        """Keep a line of the tail, and drop lines that exceed its limit."""
        self._spent = self._limits.head
        self._tail.append(part)
        self._held += size
        while self._held > self._limits.tail:
            self._held -= max(len(self._tail.popleft()), LINE)
            self._dropped += 1

    def _flush(self) -> None:
        if self._batch:
            self._examination.read(self._batch, self._read + 1)
            self._read += len(self._batch)
            self._batch, self._size = [], 0
