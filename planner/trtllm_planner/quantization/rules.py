"""The rules of a QuantizedModel, in the order in which a user should fix things."""

from __future__ import annotations

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Rule
from trtllm_planner.quantization.checkpoint import already_quantized, architecture_supported, custom_code
from trtllm_planner.quantization.groupsize import group_size
from trtllm_planner.quantization.mixing import mixed_precision
from trtllm_planner.quantization.options import dataset_token, effective_bits, effort, kv_cache, lengths
from trtllm_planner.quantization.question import QuantizeQuestion

QUANTIZE_RULES: tuple[Rule[QuantizeQuestion], ...] = (
    Rule(already_quantized, (Reason.ALREADY_QUANTIZED,)),
    Rule(custom_code, (Reason.CUSTOM_CODE_NOT_TRUSTED,)),
    Rule(architecture_supported, (Reason.ARCHITECTURE_NOT_SUPPORTED,)),
    Rule(group_size, (Reason.GROUP_SIZE_NOT_DIVISIBLE,)),
    Rule(kv_cache, (Reason.KV_CACHE_NOT_SUPPORTED,)),
    Rule(effective_bits, (Reason.EFFECTIVE_BITS_OUT_OF_REACH,)),
    Rule(mixed_precision, (Reason.MIXED_PRECISION_NOT_POSSIBLE,)),
    Rule(lengths, (Reason.SEQUENCE_TOO_LONG,)),
    Rule(dataset_token, (Reason.DATASET_TOKENS_DIFFER,)),
    Rule(effort, (Reason.METHOD_SLOW,)),
)
