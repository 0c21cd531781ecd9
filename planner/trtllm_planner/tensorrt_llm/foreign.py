"""Checkpoints that other tools quantized: what each runtime reads, from which version on, and how to get the original.

Sources: NVIDIA/TensorRT-LLM, _torch/model_config.py and models/quant_config_utils.py (PyTorch), models/llama/convert.py
and models/qwen/convert.py (TensorRT), release notes; pull requests 10796 (compressed-tensors), 17269 (its MXFP4) and
17725 (several config groups); a report of 1.3.0rc15, which read 8 bits of compressed-tensors alone ("Unsupported
quant_bits: 4. Supported: 8."). Per-tensor scales of compressed-tensors are read by none ("Unsupported
weights_quant_strategy").
"""

from __future__ import annotations

from collections.abc import Mapping

from trtllm_api.facts import ModelFacts
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, Version

ALWAYS = Version(0, 0)
_LATE = Version(1, 3, 0, 22)
"""First version after 1.3.0rc21 (July 2026)."""

FOREIGN_FORMATS: Mapping[EngineRuntime, Mapping[str, Mapping[Algorithm, Version]]] = {
    EngineRuntime.PYTORCH: {
        "modelopt": dict.fromkeys(Algorithm, ALWAYS),
        "fp8": {Algorithm.FP8_BLOCK: ALWAYS, Algorithm.FP8: _LATE},
        "mxfp4": {Algorithm.MXFP4: Version(1, 1, 0, 0)},
        "nvfp4": {Algorithm.NVFP4: ALWAYS},
        "compressed-tensors": {
            Algorithm.FP8_ROWWISE: ALWAYS,
            Algorithm.FP8_BLOCK: ALWAYS,
            Algorithm.NVFP4: _LATE,
            Algorithm.MXFP4: _LATE,
            Algorithm.MIXED: _LATE,
        },
    },
    EngineRuntime.TENSORRT: {
        "fp8": {Algorithm.FP8_BLOCK: ALWAYS},
        "awq": {Algorithm.W4A16_AWQ: ALWAYS, Algorithm.W4A16_GPTQ: ALWAYS},
        "gptq": {Algorithm.W4A16_GPTQ: ALWAYS, Algorithm.W8A16_GPTQ: ALWAYS},
    },
}
"""Algorithms that each runtime reads, by quant_method of the checkpoint, with the first version that reads them."""

_CAST_FP8 = (
    "cast its FP8 weights to BF16 first (inference/fp8_cast_bf16.py of deepseek-ai/DeepSeek-V3, or transformers with "
    "FineGrainedFP8Config(dequantize=True))"
)
_UNPACK_INT4 = (
    "unpack its 4-bit weights to BF16 first (transformers with CompressedTensorsConfig(run_compressed=False))"
)
_PUBLISHED_QUANTIZED: Mapping[tuple[str, str], str] = {
    ("DeepseekV3ForCausalLM", "fp8"): _CAST_FP8,
    ("DeepseekV32ForCausalLM", "fp8"): _CAST_FP8,
    ("DeepseekV4ForCausalLM", "fp8"): _CAST_FP8,
    ("MiniMaxM2ForCausalLM", "fp8"): _CAST_FP8,
    ("MiMoV2FlashForCausalLM", "fp8"): _CAST_FP8,
    ("DeepseekV3ForCausalLM", "compressed-tensors"): _UNPACK_INT4,
    ("KimiK25ForConditionalGeneration", "compressed-tensors"): _UNPACK_INT4,
    ("GptOssForCausalLM", "mxfp4"): (
        "unpack its MXFP4 weights to BF16 first (transformers with Mxfp4Config(dequantize=True), then save_pretrained)"
    ),
}
"""How to make BF16 weights of models that were published only quantized, by architecture and quant_method."""


def made_from(facts: ModelFacts) -> str | None:
    """Step that makes a BF16 copy of this model; None if an original in BF16 or FP16 was published."""
    return _PUBLISHED_QUANTIZED.get((facts.architecture, facts.quantization or ""))
