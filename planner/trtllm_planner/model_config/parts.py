"""What one part of a decoder layer consists of: linear layers, other numbers, cache and state."""

from __future__ import annotations

from dataclasses import dataclass

ROUTED = "experts.*."
"""In the name of every routed expert."""


@dataclass(frozen=True)
class Linear:
    """A linear layer of one decoder layer."""

    name: str
    """Below the decoder layer: `self_attn.q_proj`."""
    outputs: int
    inputs: int
    copies: int = 1
    """Experts that have such a layer each."""

    @property
    def numbers(self) -> int:
        """Weights of all copies."""
        return self.outputs * self.inputs * self.copies


@dataclass(frozen=True)
class Kept:
    """What attention keeps of a token."""

    heads: int
    width: int
    """Numbers kept for each head."""
    eight_bits: bool = False
    """Whatever the cache's format."""


@dataclass(frozen=True)
class Parts:
    """Of one decoder layer, or of one part of it."""

    linears: tuple[Linear, ...] = ()
    extra: int = 0
    """Numbers outside linear layers: convolutions, decays, per-channel weights."""
    kept: tuple[Kept, ...] = ()
    state: int = 0
    """Bytes that a recurrent mixer keeps of a sequence, however long it is."""

    def __add__(self, other: Parts) -> Parts:
        """Both together."""
        return Parts(
            (*self.linears, *other.linears),
            self.extra + other.extra,
            (*self.kept, *other.kept),
            self.state + other.state,
        )
