"""What the rules about quantization are asked; built by quantizedmodel.plan."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.facts import ModelFacts
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import QuantizedModelSpec


@dataclass(frozen=True)
class QuantizeQuestion:
    """Whether this model may be quantized as asked."""

    spec: QuantizedModelSpec
    facts: ModelFacts
    planned: tuple[Method, ...] = ()
    """In place of the method, where the spec names none."""

    def methods(self) -> tuple[Method, ...]:
        """The method asked for or those planned, then the fallbacks: each once, in the order of trying."""
        asked = self.spec.quantization.method
        first = self.planned if asked is None else (asked,)
        return tuple(dict.fromkeys((*first, *self.spec.quality.fallbacks)))
