"""Progress of a stage: JSON lines on stdout for the operator, or a bar in a terminal."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from trtllm_api.base import MAX_INTEGER
from trtllm_api.contract import ProgressLine
from trtllm_builder.memory import CONTROL_GROUP, MemoryPeak

_INTERVAL_SECONDS = 1.0
_INTERVAL_AT_A_TERMINAL = 0.1
_NAME, _BAR = 16, 20
_CLEAR = "\r\x1b[K"
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_LARGE = 100
_MINUTE, _HOUR = 60, 3600


class Step:
    """One step of a stage. `advance` may be called often; lines are written at intervals."""

    def __init__(self, progress: Progress, name: str, total: float, unit: str) -> None:
        self._progress, self._name, self._total, self._unit = progress, name, total, unit
        self._done, self._detail = 0.0, ""
        self._started = time.monotonic()
        self._written = 0.0

    def advance(self, amount: float = 1, detail: str | None = None) -> None:
        """Add the amount that was done since the last call."""
        self.reach(self._done + amount, detail)

    def reach(self, done: float, detail: str | None = None) -> None:
        """Set the amount that is done in total."""
        self._done = max(0.0, min(done, self._total) if self._total else done)
        self._detail = self._detail if detail is None else detail
        if time.monotonic() - self._written >= self._progress.interval:
            self.write()

    def write(self) -> None:
        """Write a line now."""
        self._written = time.monotonic()
        elapsed = self._written - self._started
        rate = self._done / elapsed if self._done and elapsed > 0 else None
        eta = elapsed * (self._total - self._done) / self._done if self._done and self._total else None
        self._progress.write(
            ProgressLine(
                stage=self._name,
                done=_bounded(round(self._done, 1)),
                total=_bounded(round(self._total, 1)),
                unit=self._unit,
                eta_seconds=None if eta is None else _bounded(round(eta, 1)),
                rate=None if rate is None else _bounded(float(f"{rate:.3g}")),
                detail=self._detail[:200],
            )
        )


def _bounded(amount: float) -> float:
    """The amount, limited to what a line can hold: a server may announce any size."""
    return min(amount, MAX_INTEGER)


class Progress:
    """Writes progress lines and log lines to a stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._writing = threading.Lock()
        self._last: ProgressLine | None = None
        self._memory_peak: Callable[[], int | None] = lambda: None
        self._terminal = self._stream.isatty()
        self.interval = _INTERVAL_AT_A_TERMINAL if self._terminal else _INTERVAL_SECONDS
        """Shortest time between two lines of a step, in seconds."""

    @contextmanager
    def step(self, name: str, total: float = 0, unit: str = "") -> Iterator[Step]:
        """Report a step `name` of `total` units."""
        step = Step(self, name, total, unit)
        step.write()
        yield step
        if total:
            step.reach(total)
        step.write()
        if self._terminal:
            self._put("\n")

    @contextmanager
    def with_memory(self, group: Path = CONTROL_GROUP) -> Iterator[None]:
        """Add the peak of the container's memory to lines, and repeat the last line if the peak grows."""
        peak = MemoryPeak(self._repeat, group)
        self._memory_peak = peak.read
        # importing torch takes hundreds of megabytes: a builder that is killed there must have written a line
        self.write(ProgressLine(stage="Starting", done=0, total=0))
        try:
            yield
        finally:
            peak.stop()

    def write(self, line: ProgressLine) -> None:
        """Write the line as JSON, or as a bar in a terminal."""
        self._last = line
        if self._terminal:
            # a line that wraps could not be overwritten
            self._put(_CLEAR + bar(line)[: shutil.get_terminal_size().columns - 1])
        else:
            with_peak = line.model_copy(update={"memory_peak": self._memory_peak()})
            self._put(json.dumps({"progress": with_peak.to_wire()}) + "\n")

    def _repeat(self) -> None:
        if self._last is not None and not self._terminal:
            self.write(self._last)

    def _put(self, text: str) -> None:
        with self._writing:
            self._stream.write(text)
            self._stream.flush()

    def say(self, message: str) -> None:
        """Write a log line. It is JSON as well, so that the whole log can be parsed."""
        if self._terminal:
            self._put(f"{_CLEAR}{message}\n")
        else:
            self._put(json.dumps({"message": message}, ensure_ascii=False) + "\n")


def bar(line: ProgressLine) -> str:
    """The line as text: `Downloading       █████···············  25%  50 of 200 MB  10 MB/s  15 s left  model.gguf`."""
    parts = [f"{line.stage:<{_NAME}}"]
    if line.total:
        filled = min(_BAR, int(_BAR * line.done / line.total))
        percent = min(100, int(100 * line.done / line.total))
        parts.append(f"{'█' * filled}{'·' * (_BAR - filled)} {percent:3d}%")
        scale, name = _scale(line.total, line.unit)
        parts.append(f"{_number(line.done / scale)} of {_number(line.total / scale)} {name}".rstrip())
    elif line.done:
        parts.append(_amount(line.done, line.unit))
    if line.rate is not None and line.unit != "s":
        parts.append(_rate(line.rate, line.unit))
    if line.eta_seconds is not None and line.done < line.total:
        parts.append(f"{_span(line.eta_seconds)} left")
    return "  ".join([*parts, line.detail]).rstrip()


def _scale(number: float, unit: str) -> tuple[float, str]:
    if unit != "bytes":
        return 1, unit
    return next(((scale, name) for scale, name in _BYTES if number >= scale), (1, "B"))


def _number(number: float) -> str:
    """The number with three significant digits, or as an integer if it is large."""
    return f"{number:.0f}" if number >= _LARGE else f"{number:.3g}"


def _amount(number: float, unit: str) -> str:
    scale, name = _scale(number, unit)
    return f"{_number(number / scale)} {name}".rstrip()


def _rate(rate: float, unit: str) -> str:
    """The rate per second, or per minute if it is below one per second."""
    if unit == "bytes" or rate >= 1:
        return f"{_amount(rate, unit)}/s"
    return f"{_amount(_MINUTE * rate, unit)}/min"


def _span(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
