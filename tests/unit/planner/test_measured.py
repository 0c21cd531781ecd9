"""The estimates beside what was measured on GPUs and read in logs (benchmarks/estimator_measured.json)."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import estimator  # noqa: E402 - it lies there

ROWS = estimator.rows()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.item}, {row.model}, {row.asked}" for row in ROWS])
def test_no_more_is_measured_than_estimated_and_weights_and_cache_are_no_less(row: estimator.Row) -> None:
    assert row.ratio >= 0.97
    if row.item in {"weights", "KV bytes for a token", "KV cache"}:
        assert row.ratio <= 1.1


def test_a_ratio_out_of_bounds_does_not_hold() -> None:
    row = next(row for row in ROWS if row.item == "activations")
    assert replace(row, estimated=2 * row.measured).holds
    assert not replace(row, estimated=row.measured * 96 // 100).holds
    assert not replace(row, item="weights", estimated=row.measured * 111 // 100).holds


def test_every_figure_says_where_it_is_from() -> None:
    data = json.loads(estimator.MEASURED.read_text(encoding="utf-8"))
    assert {figure["source"] for figure in data["figures"]} == set(data["sources"])


def test_the_planning_page_has_these_figures() -> None:
    page = (REPOSITORY / "docs" / "planning.md").read_text(encoding="utf-8")
    assert page.endswith(estimator.markdown())
