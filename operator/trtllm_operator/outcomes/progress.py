"""Progress of pods: the last line of a log, the sum of several, and what status shows of it.

Called by the engine (logs), the World (sums) and both kinds' status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from trtllm_api.base import MAX_INTEGER
from trtllm_api.contract import ProgressLine
from trtllm_api.meta import Progress

_BYTES, _SECONDS = "bytes", "s"
_MOST_COUNTED = 1000
"""Largest total that is shown as a count (ranks, batches, workers); a larger one is shown as a percentage alone."""
_MINUTE, _HOUR = 60, 3600


def last_progress(log: str) -> ProgressLine | None:
    """Other lines, and lines cut in two by the log's limit, count as absent."""
    for line in reversed(log.splitlines()):
        if not line.startswith('{"progress"'):
            continue
        try:
            return ProgressLine.model_validate(json.loads(line)["progress"])
        except (ValueError, KeyError, ValidationError):
            continue
    return None


def ended(line: ProgressLine) -> ProgressLine:
    """Progress of a pod that has succeeded: its log may have been read a moment too early."""
    return stopped(line).model_copy(update={"done": max(line.done, line.total)})


def stopped(line: ProgressLine) -> ProgressLine:
    """Progress of a pod that has ended: nothing remains."""
    return line.model_copy(update={"eta_seconds": None, "rate": None})


def summed(lines: Sequence[ProgressLine]) -> ProgressLine | None:
    """Progress of pods that work side by side: the last one to end decides how long it takes."""
    if len(lines) < 2:
        return lines[0] if lines else None
    left = [line.eta_seconds for line in lines if line.eta_seconds is not None]
    rates = [line.rate for line in lines if line.rate is not None]
    return ProgressLine(
        stage=lines[0].stage,
        done=_added(line.done for line in lines),
        total=_added(line.total for line in lines) if all(line.total for line in lines) else 0,
        unit=lines[0].unit,
        eta_seconds=max(left) if left else None,
        rate=_added(rates) if rates else None,
    )


def _added(amounts: Iterable[float]) -> float:
    """The sum, at most what one line may hold."""
    return min(sum(amounts), MAX_INTEGER)


def starting(stage: str = "Starting", job: str | None = None) -> Progress:
    """Progress before a pod has reported any."""
    return Progress(stage=stage, summary=_words(stage), job=job)


def progress_of_line(line: ProgressLine, job: str | None) -> Progress:
    """Progress as status shows it."""
    return Progress(
        stage=line.stage,
        percent=_percent(line) if line.total else None,
        summary=summary(line),
        detail=line.detail or (f"{line.done:.0f} of {line.total:.0f} {line.unit}".strip() if line.total else ""),
        eta_seconds=None if line.eta_seconds is None else int(line.eta_seconds),
        job=job,
    )


def summary(line: ProgressLine) -> str:
    """`Building 18%, 3/16 ranks, 2 min left`: one column for people."""
    parts = [_words(line.stage)]
    if line.total:
        parts[0] += f" {_percent(line)}%"
        if line.unit not in {"", _BYTES, _SECONDS} and line.total < _MOST_COUNTED:
            parts.append(f"{line.done:.0f}/{line.total:.0f} {line.unit}")
    if line.rate and line.unit == _BYTES:
        parts.append(f"{line.rate / 1e6:.0f} MB/s" if line.rate >= 1e6 else f"{line.rate / 1e3:.0f} kB/s")
    if line.eta_seconds and line.done < line.total:
        parts.append(f"{_span(line.eta_seconds)} left")
    return ", ".join(parts)


def _percent(line: ProgressLine) -> int:
    """Whole percent, at most 100. A tiny total makes the quotient infinite, which no integer is."""
    return int(100 * min(1.0, line.done / line.total))


def _words(stage: str) -> str:
    """`MeasuringSource` -> `Measuring source`."""
    first, *others = re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+", stage) or [stage]
    return " ".join([first, *(word.lower() for word in others)])


def _span(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
