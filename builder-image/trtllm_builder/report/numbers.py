"""Measurements as texts for readers."""

from __future__ import annotations

import math

from trtllm_builder.gate import ModelMeasures, agreement_percent, significant
from trtllm_report.numbers import NONE


def fixed(value: float) -> str:
    """A perplexity with two decimals, or with an exponent if it is large."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return f"{value:.2f}" if abs(value) < 1e9 else f"{value:.2e}"


def divergence(measures: ModelMeasures) -> str:
    """A KL divergence with four digits."""
    value = measures.kl_divergence
    if value is None:
        return NONE
    return significant(value) if math.isfinite(value) else fixed(value)


def agreement(measures: ModelMeasures) -> str:
    """A share as a percentage."""
    value = measures.top_token_agreement
    if value is None:
        return NONE
    share = agreement_percent(measures)
    return fixed(value) if share is None else f"{share:.1f}%"


def canary_count(measures: ModelMeasures) -> str | None:
    """Passed canaries and their number, such as `2/2`; None without canaries."""
    if not measures.canaries:
        return None
    return f"{sum(canary.passed for canary in measures.canaries)}/{len(measures.canaries)}"


def finite(value: float | None) -> float | None:
    """Length for a chart; None if the value has none."""
    return value if value is not None and math.isfinite(value) else None
