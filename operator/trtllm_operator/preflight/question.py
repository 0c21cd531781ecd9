"""What the rules about quantization are asked; built by quantizedmodel.plan."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.facts import ModelFacts
from trtllm_api.quantizedmodel import Method, QuantizedModelSpec


@dataclass(frozen=True)
class QuantizeQuestion:
    """Whether this model may be quantized as asked."""

    spec: QuantizedModelSpec
    facts: ModelFacts

    def methods(self) -> tuple[Method, ...]:
        """The method asked for and its fallbacks, each once, in the order in which they are tried."""
        return tuple(dict.fromkeys((self.spec.quantization.method, *self.spec.quality.fallbacks)))
