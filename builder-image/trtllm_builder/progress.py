"""Progress lines for the operator (JSON on stdout) and a bar for a person at a terminal; every stage reports here."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from trtllm_api.contract import ProgressLine

_INTERVAL_SECONDS = 1.0
_BAR = 30


class Step:
    """One thing being done; `advance` as often as you like, a line is written at most once a second."""

    def __init__(self, progress: Progress, name: str, total: float, unit: str) -> None:
        self._progress, self._name, self._total, self._unit = progress, name, total, unit
        self._done, self._detail = 0.0, ""
        self._started = time.monotonic()
        self._written = 0.0

    def advance(self, amount: float = 1, detail: str | None = None) -> None:
        """Count what was done since the last call."""
        self.reach(self._done + amount, detail)

    def reach(self, done: float, detail: str | None = None) -> None:
        """Set what is done in all."""
        self._done = max(0.0, min(done, self._total) if self._total else done)
        self._detail = self._detail if detail is None else detail
        if time.monotonic() - self._written >= _INTERVAL_SECONDS:
            self.write()

    def write(self) -> None:
        """Write a line now."""
        self._written = time.monotonic()
        elapsed = self._written - self._started
        eta = elapsed * (self._total - self._done) / self._done if self._done and self._total else None
        self._progress.write(
            ProgressLine(
                stage=self._name,
                done=round(self._done, 1),
                total=round(self._total, 1),
                unit=self._unit,
                eta_seconds=None if eta is None else round(eta, 1),
                detail=self._detail[:200],
            )
        )


class Progress:
    """Where the lines go."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    @contextmanager
    def step(self, name: str, total: float = 0, unit: str = "") -> Iterator[Step]:
        """Report `name` as what is being done, from nothing to `total` units."""
        step = Step(self, name, total, unit)
        step.write()
        yield step
        if total:
            step.reach(total)
        step.write()

    def write(self, line: ProgressLine) -> None:
        """One JSON line, or the bar when a person looks on."""
        if self._stream.isatty():
            filled = int(_BAR * line.done / line.total) if line.total else 0
            eta = "" if line.eta_seconds is None else f" {line.eta_seconds:.0f} s left"
            bar = "█" * filled + "·" * (_BAR - filled) if line.total else ""
            self._stream.write(f"\r\x1b[K{line.stage:<18} {bar} {line.detail}{eta}")
        else:
            self._stream.write(json.dumps({"progress": line.to_wire()}) + "\n")
        self._stream.flush()

    def say(self, message: str) -> None:
        """Write a log line for people: JSON too, so that the whole log parses."""
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{message}\n")
        else:
            self._stream.write(json.dumps({"message": message}, ensure_ascii=False) + "\n")
        self._stream.flush()
