"""What is found out about a refused candidate: why it errs, and which mixed precision of it passes; plain values.

attribution.py and mixing.py make them, evidence.py keeps them, status and report tell them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trtllm_builder.gate import ModelMeasures

_TOLD = 3
_LEAST_SHARE = 0.005
"""Half a percent: less is not told."""


@dataclass(frozen=True)
class Explanation:
    """Shares of the candidate's KL divergence that go away when one part of it alone has full precision.

    Parts err together, so that shares need not add up to 1; one that errs against the others' errors is below 0.
    """

    divergence: float
    """Of the candidate, on the text that the shares were measured on."""
    tokens: int
    layers: dict[str, float]
    """By decoder layer, as layers.3."""
    kinds: dict[str, float]
    """By kind of linear layer, as mlp.down_proj."""
    seconds: float

    def sentence(self) -> str:
        """The top three of both, as one clause."""
        layers, kinds = _told(self.layers), _told(self.kinds)
        if not layers and not kinds:
            return "the KL divergence comes from everywhere: no layer or kind of layer alone reduces it"
        parts = (f"by layer {layers}" if layers else "", f"by kind {kinds}" if kinds else "")
        return f"the KL divergence comes, {'; '.join(part for part in parts if part)}"


def top(shares: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """The largest that are worth telling."""
    best = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    return [(name, share) for name, share in best[:count] if share >= _LEAST_SHARE]


def _told(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{100 * share:.0f} % from {name}" for name, share in top(shares, _TOLD))


@dataclass(frozen=True)
class Proposal:
    """A mixed precision of a refused candidate that was measured and passes, or why there is none."""

    patterns: tuple[str, ...]
    """For excludeModules, besides the candidate's own; empty where no mix passes."""
    measures: ModelMeasures | None
    bytes: int
    """Of the candidate with these modules in full precision."""
    note: str
    """Why there is none."""
    seconds: float
