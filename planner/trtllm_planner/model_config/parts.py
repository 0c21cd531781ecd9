"""Parts of a decoder layer: linear layers, other parameters, cache and state."""

from __future__ import annotations

from dataclasses import dataclass

ROUTED = "experts.*."
"""Part of the name of every routed expert."""


@dataclass(frozen=True)
class Linear:
    """A linear layer of one decoder layer."""

    name: str
    """Name inside the decoder layer, such as `self_attn.q_proj`."""
    outputs: int
    inputs: int
    copies: int = 1
    """Number of experts that have such a layer."""

    @property
    def numbers(self) -> int:
        """Number of weights of all copies."""
        return self.outputs * self.inputs * self.copies


@dataclass(frozen=True)
class Kept:
    """Numbers that attention keeps of a token in the KV cache."""

    heads: int
    width: int
    """Count of numbers for each head."""
    eight_bits: bool = False
    """Whether they have 8 bits whatever the cache's format is."""


@dataclass(frozen=True)
class Parts:
    """Contents of one decoder layer, or of one part of it."""

    linears: tuple[Linear, ...] = ()
    extra: int = 0
    """Number of parameters outside linear layers: convolutions, decays, per-channel weights."""
    kept: tuple[Kept, ...] = ()
    state: int = 0
    """Bytes that a recurrent mixer keeps of a sequence of any length."""

    def __add__(self, other: Parts) -> Parts:
        """The contents of both."""
        return Parts(
            (*self.linears, *other.linears),
            self.extra + other.extra,
            (*self.kept, *other.kept),
            self.state + other.state,
        )
