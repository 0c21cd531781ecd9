"""Horizontal bar charts as inline SVG, for the quality report's page.

A chart is a title, bars with a label each, and at most one limit drawn as a line. Colours come from the page's style
sheet by class, so that light and dark are one drawing; every bar's number and verdict are text as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from html import escape

WIDTH = 560
_LABEL_WIDTH = 190
_VALUE_WIDTH = 112
"""Numbers stand in a column of their own: beside their bars the limit's line would cross them."""
_PLOT = WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
_ROW = 34
_BAR = 18
_TOP = 26
_BOTTOM = 8
_MAX_LABEL = 26


class Tone(StrEnum):
    """How a bar is coloured: by what was decided about what it shows."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True)
class Bar:
    """One bar. A value of None draws no bar, only the text that says why."""

    label: str
    value: float | None
    text: str
    tone: Tone


@dataclass(frozen=True)
class Limit:
    """The line that a bar must not cross, or must reach."""

    value: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One measurement of all candidates."""

    key: str
    """Unique on the page: ids of the title and the description derive from it."""
    title: str
    description: str
    """What the chart shows, for readers who do not see it."""
    bars: tuple[Bar, ...]
    limit: Limit | None = None
    full_scale: float | None = None
    """The axis' end where it has a natural one (100 %)."""


def draw(chart: Chart) -> str:
    """The chart as an <svg> element without any outside reference."""
    height = _TOP + _ROW * len(chart.bars) + _BOTTOM
    scale = _scale(chart)
    key = escape(chart.key, quote=True)
    labels = f"{key}-title {key}-description"
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{labels}">',
        f'<title id="{key}-title">{escape(chart.title)}</title>',
        f'<desc id="{key}-description">{escape(_describe(chart))}</desc>',
    ]
    for index, bar in enumerate(chart.bars):
        parts.append(_row(bar, _TOP + _ROW * index, scale))
    parts.append(
        f'<line class="axis" x1="{_LABEL_WIDTH}" y1="{_TOP}" x2="{_LABEL_WIDTH}" y2="{height - _BOTTOM}"/>',
    )
    if chart.limit is not None:
        parts.append(_limit(chart.limit, height, scale))
    parts.append("</svg>")
    return "".join(parts)


def _scale(chart: Chart) -> float:
    """The value at the right end.

    A candidate that is wrong by orders of magnitude would press all others and the limit flat: the axis ends at four
    times the limit, and a longer bar is cut there, with a notch; its number is beside it.
    """
    if chart.full_scale is not None:
        return chart.full_scale
    largest = max((bar.value for bar in chart.bars if bar.value is not None and math.isfinite(bar.value)), default=0.0)
    if chart.limit is not None and chart.limit.value > 0:
        return max(min(largest, 4 * chart.limit.value), 1.25 * chart.limit.value)
    return largest if largest > 0 else 1.0


def _row(bar: Bar, top: int, scale: float) -> str:
    middle = top + _ROW / 2
    label = bar.label if len(bar.label) <= _MAX_LABEL else bar.label[: _MAX_LABEL - 1] + "…"
    parts = [f'<text class="label" x="{_LABEL_WIDTH - 10}" y="{middle:g}">{escape(label)}</text>']
    if bar.value is not None and not math.isnan(bar.value):
        share = bar.value / scale
        length = _PLOT * min(max(share, 0.0), 1.0)
        # A value of nearly nothing still shows that it was measured.
        drawn = max(length, 2.0)
        y = middle - _BAR / 2
        parts.append(
            f'<rect class="bar {bar.tone.value}" x="{_LABEL_WIDTH}" y="{y:g}" width="{drawn:.1f}" height="{_BAR}"/>'
        )
        if share > 1.0:
            notch = _LABEL_WIDTH + _PLOT - 14
            parts.append(
                f'<path class="notch" d="M{notch} {y + _BAR + 2:g} l5 {-_BAR - 4} M{notch + 5} {y + _BAR + 2:g} '
                f'l5 {-_BAR - 4}"/>'
            )
    parts.append(f'<text class="value" x="{WIDTH - 2}" y="{middle:g}">{escape(bar.text)}</text>')
    return "".join(parts)


def _limit(limit: Limit, height: int, scale: float) -> str:
    x = _LABEL_WIDTH + _PLOT * min(max(limit.value / scale, 0.0), 1.0)
    # Near the right edge the text would leave the drawing: it is anchored at its end there.
    anchor = "end" if x > WIDTH - 125 else "middle"
    return (
        f'<line class="limit" x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - _BOTTOM}"/>'
        f'<text class="limit-text" x="{x:.1f}" y="12" text-anchor="{anchor}">{escape(limit.text)}</text>'
    )


def _describe(chart: Chart) -> str:
    """The description with every number, and the limit."""
    numbers = ", ".join(f"{bar.label}: {bar.text}" for bar in chart.bars)
    limit = f" The limit: {chart.limit.text}." if chart.limit is not None else ""
    return f"{chart.description}{limit} {numbers}."
