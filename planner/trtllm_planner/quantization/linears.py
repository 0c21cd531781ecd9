"""Linear layers that a quantization changes."""

from __future__ import annotations

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.quantization import Quantization
from trtllm_planner.tensorrt_llm.shards import is_kept


def quantized_linears(facts: ModelFacts, quantization: Quantization) -> tuple[LinearShape, ...]:
    """The linear layers that get scales, by the names that ModelFacts gives them (numbers as *).

    A pattern that excludes only some layers of a name (`layers.0`) keeps the name in the result: its other layers are
    still quantized.
    """
    kept = quantization.exclude_modules
    return tuple(linear for linear in facts.linears if not is_kept(linear.name, kept))
