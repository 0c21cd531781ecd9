"""QuantizeQuestion: everything that the rules about quantization judge."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.facts import ModelFacts
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import QuantizedModelSpec


@dataclass(frozen=True)
class QuantizeQuestion:
    """One spec and its model. The rules say whether they work together."""

    spec: QuantizedModelSpec
    facts: ModelFacts
    planned: tuple[Method, ...] = ()
    """Methods that were planned, if the spec names none."""

    def methods(self) -> tuple[Method, ...]:
        """The method of the spec or the planned ones, then the fallbacks: each once, in the order of trying."""
        asked = self.spec.quantization.method
        first = self.planned if asked is None else (asked,)
        return tuple(dict.fromkeys((*first, *self.spec.quality.fallbacks)))
