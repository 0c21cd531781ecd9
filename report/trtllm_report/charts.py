"""Horizontal bar charts: which charts a report has, and the positions of their parts; templates/chart.svg draws them.

Colours come from the page's style sheet by class, so that light and dark are one drawing. Every bar's number is a text
as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trtllm_api.modelstatus import Verdict
from trtllm_report.model import Candidate, Limit, Measures, Number, Report
from trtllm_report.numbers import NOT_MEASURED, human_bytes

WIDTH: Final = 560
LABEL_WIDTH: Final = 190
_VALUE_WIDTH: Final = 112
"""Width of the column of numbers. Beside their bars, the limit's line would cross them."""
_PLOT: Final = WIDTH - LABEL_WIDTH - _VALUE_WIDTH
_ROW: Final = 34
BAR: Final = 18
TOP: Final = 26
_BOTTOM: Final = 8
_LIMIT_TEXT: Final = 125
"""Width that the text of a limit may need."""
_MAX_LABEL: Final = 26


class Tone(StrEnum):
    """Colour of a bar or a badge."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    PLAIN = "plain"


TONES: Final = {
    Verdict.PASSED: Tone.GOOD,
    Verdict.WARNED: Tone.WARN,
    Verdict.REFUSED: Tone.BAD,
    Verdict.FAILED: Tone.BAD,
}


@dataclass(frozen=True)
class Bar:
    """One bar; without a value only its text is drawn."""

    label: str
    value: float | None
    text: str
    tone: Tone


@dataclass(frozen=True)
class Chart:
    """One measurement of all candidates."""

    key: str
    """Unique on the page: ids of title and description derive from it."""
    title: str
    description: str
    bars: tuple[Bar, ...]
    limit: Limit | None = None
    full_scale: float | None = None
    """Natural end of the axis, such as 100 %."""


@dataclass(frozen=True)
class Row:
    """A bar with its position, in units of the drawing."""

    label: str
    text: str
    tone: Tone
    middle: float
    length: float | None
    cut: bool
    """Whether the bar is longer than the axis."""


@dataclass(frozen=True)
class Line:
    """The limit's line with its position."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Drawing:
    """A chart with the positions of all its parts."""

    chart: Chart
    height: int
    rows: tuple[Row, ...]
    line: Line | None
    description: str
    """The chart in words, for readers who do not see it."""


def charts(report: Report) -> tuple[Drawing, ...]:
    """Drawings of all charts that have something to show."""
    limits = report.limits
    found = [
        _measured(
            report,
            "perplexity",
            "Perplexity increase",
            "How much worse each candidate predicts the evaluation texts than the source. Shorter is better.",
            lambda measures: measures.change,
            limits.change,
        ),
        _measured(
            report,
            "divergence",
            "KL divergence",
            "How far each candidate's next-token distribution is from the source's, in nats. Shorter is better.",
            lambda measures: measures.divergence,
            limits.divergence,
        ),
        _measured(
            report,
            "agreement",
            "Top-token agreement",
            "Share of positions where candidate and source prefer the same next token. Longer is better.",
            lambda measures: measures.agreement,
            limits.agreement,
            full_scale=100.0,
        ),
        _sizes(report),
    ]
    return tuple(draw(chart) for chart in found if chart is not None)


def draw(chart: Chart) -> Drawing:
    """Lay out a chart."""
    scale = _scale(chart)
    height = TOP + _ROW * len(chart.bars) + _BOTTOM
    rows = tuple(_row(bar, TOP + _ROW * index + _ROW / 2, scale) for index, bar in enumerate(chart.bars))
    return Drawing(chart, height, rows, _line(chart.limit, scale), _describe(chart))


def _measured(
    report: Report,
    key: str,
    title: str,
    description: str,
    read: Callable[[Measures], Number | None],
    limit: Limit | None,
    full_scale: float | None = None,
) -> Chart | None:
    """A measurement of all candidates; None if no candidate has it."""
    found = [(item, read(item.measures) if item.measures is not None else None) for item in report.candidates]
    if all(number is None for _, number in found):
        return None
    longer_is_better = full_scale is not None
    bars = tuple(
        Bar(
            candidate.short_name,
            number.value if number is not None else None,
            number.text if number is not None else NOT_MEASURED,
            _tone(candidate, number, limit, longer_is_better=longer_is_better),
        )
        for candidate, number in found
    )
    return Chart(key, title, description, bars, limit, full_scale)


def _tone(candidate: Candidate, number: Number | None, limit: Limit | None, *, longer_is_better: bool) -> Tone:
    """Colour by this limit, not by the verdict; beyond the limit a warning stays a warning."""
    value = number.value if number is not None else None
    if value is not None and (limit is None or (value >= limit.value if longer_is_better else value <= limit.value)):
        return Tone.GOOD
    return Tone.WARN if candidate.verdict is Verdict.WARNED else Tone.BAD


def _sizes(report: Report) -> Chart | None:
    if all(candidate.size is None for candidate in report.candidates):
        return None
    sizes: list[tuple[str, int | None]] = []
    if report.reference_size is not None:
        sizes.append(("Source model", report.reference_size))
    sizes += [(candidate.short_name, candidate.size) for candidate in report.candidates]
    bars = tuple(
        Bar(name, size, human_bytes(size) if size is not None else NOT_MEASURED, Tone.PLAIN) for name, size in sizes
    )
    return Chart("size", "Size", "Files of the source and of each candidate. Shorter is better.", bars)


def _scale(chart: Chart) -> float:
    """The value at the right end of the axis.

    A candidate that is wrong by orders of magnitude would leave no length for all others: the axis ends at four times
    the limit, and a longer bar is cut there, with a notch.
    """
    if chart.full_scale is not None:
        return chart.full_scale
    largest = max((bar.value for bar in chart.bars if bar.value is not None and math.isfinite(bar.value)), default=0.0)
    if chart.limit is not None and chart.limit.value > 0:
        return max(min(largest, 4 * chart.limit.value), 1.25 * chart.limit.value)
    return largest if largest > 0 else 1.0


def _row(bar: Bar, middle: float, scale: float) -> Row:
    label = bar.label if len(bar.label) <= _MAX_LABEL else bar.label[: _MAX_LABEL - 1] + "…"
    if bar.value is None or math.isnan(bar.value):
        return Row(label, bar.text, bar.tone, middle, None, cut=False)
    share = bar.value / scale
    # a tiny value still shows as a bar: it was measured
    length = max(_PLOT * min(max(share, 0.0), 1.0), 2.0)
    return Row(label, bar.text, bar.tone, middle, length, cut=share > 1.0)


def _line(limit: Limit | None, scale: float) -> Line | None:
    if limit is None:
        return None
    x = LABEL_WIDTH + _PLOT * min(max(limit.value / scale, 0.0), 1.0)
    # near the right edge the text would leave the drawing
    return Line(x, limit.text, "end" if x > WIDTH - _LIMIT_TEXT else "middle")


def _describe(chart: Chart) -> str:
    numbers = ", ".join(f"{bar.label}: {bar.text}" for bar in chart.bars)
    limit = f" The limit: {chart.limit.text}." if chart.limit is not None else ""
    return f"{chart.description}{limit} {numbers}."
