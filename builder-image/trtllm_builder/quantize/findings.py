"""Findings about a refused candidate: the causes of its error, and a mixed precision that passes. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_builder.gate import ModelMeasures

_MOST_NAMED = 3
_LEAST_SHARE = 0.005
"""Smallest share that is named."""


@dataclass(frozen=True)
class Explanation:
    """Shares of the candidate's KL divergence that disappear if one part alone has full precision.

    Errors of parts interact, so shares need not add up to 1. A share is negative if the part compensates other errors.
    """

    divergence: float
    """KL divergence of the candidate on the text of the shares."""
    tokens: int
    layers: dict[str, float]
    """Shares by decoder layer, such as layers.3."""
    kinds: dict[str, float]
    """Shares by kind of linear layer, such as mlp.down_proj."""
    seconds: float

    def sentence(self) -> str:
        """The three largest shares of both, as a clause."""
        layers, kinds = _named(self.layers), _named(self.kinds)
        if not layers and not kinds:
            return "the KL divergence comes from all layers: no layer or kind of layer alone reduces it"
        parts = (f"by layer {layers}" if layers else "", f"by kind {kinds}" if kinds else "")
        return f"the KL divergence comes, {'; '.join(part for part in parts if part)}"


def top(shares: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """The largest shares, without those that are too small to name."""
    best = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    return [(name, share) for name, share in best[:count] if share >= _LEAST_SHARE]


def _named(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{100 * share:.0f} % from {name}" for name, share in top(shares, _MOST_NAMED))


@dataclass(frozen=True)
class Proposal:
    """A mixed precision of a refused candidate that was measured and passes, or the reason why there is none."""

    patterns: tuple[str, ...]
    """Patterns for excludeModules, in addition to the candidate's own; empty if no mix passes."""
    measures: ModelMeasures | None
    bytes: int
    """Bytes of the candidate with these modules in full precision."""
    note: str
    """Reason why there is none."""
    seconds: float
