"""The rules of a QuantizedModel, in the order in which a user should mend things; judged by quantizedmodel.state."""

from __future__ import annotations

from trtllm_api.verdict import Rule
from trtllm_planner.quantization.checkpoint import already_quantized, architecture_supported, custom_code
from trtllm_planner.quantization.groupsize import group_size
from trtllm_planner.quantization.mixing import mixed_precision
from trtllm_planner.quantization.options import dataset_token, effective_bits, effort, kv_cache, lengths
from trtllm_planner.quantization.question import QuantizeQuestion

QUANTIZE_RULES: tuple[Rule[QuantizeQuestion], ...] = (
    already_quantized,
    custom_code,
    architecture_supported,
    group_size,
    kv_cache,
    effective_bits,
    mixed_precision,
    lengths,
    dataset_token,
    effort,
)
