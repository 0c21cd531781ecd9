"""Architectures that each runtime loads and the checkpoint formats it reads, as data; used by rules and planner."""

from __future__ import annotations

from collections.abc import Mapping

from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, Version

_BOTH = (
    "DeciLMForCausalLM",
    "Gemma3ForCausalLM",
    "LlamaForCausalLM",
    "LlavaLlamaModel",
    "LlavaNextForConditionalGeneration",
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "MllamaForConditionalGeneration",
    "NemotronForCausalLM",
    "Phi3ForCausalLM",
    "Phi4MMForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen2MoeForCausalLM",
    "Qwen2VLForConditionalGeneration",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
    "Starcoder2ForCausalLM",
)
_ENGINE = (
    "ArcticForCausalLM",
    "BaichuanForCausalLM",
    "BaiChuanForCausalLM",
    "BloomForCausalLM",
    "ChatGLMForCausalLM",
    "ChatGLMForConditionalGeneration",
    "ChatGLMModel",
    "CogVLMForCausalLM",
    "CohereForCausalLM",
    "DbrxForCausalLM",
    "DeepseekForCausalLM",
    "DeepseekV2ForCausalLM",
    "ExaoneForCausalLM",
    "FalconForCausalLM",
    "FuyuForCausalLM",
    "Gemma2ForCausalLM",
    "GemmaForCausalLM",
    "GLMModel",
    "GPT2LMHeadCustomModel",
    "GPT2LMHeadModel",
    "GPTBigCodeForCausalLM",
    "GPTForCausalLM",
    "GPTJForCausalLM",
    "GPTNeoXForCausalLM",
    "GraniteForCausalLM",
    "GraniteMoeForCausalLM",
    "Grok1ModelForCausalLM",
    "InternLM2ForCausalLM",
    "InternLMForCausalLM",
    "InternLMXComposer2ForCausalLM",
    "JAISLMHeadModel",
    "Kosmos2ForConditionalGeneration",
    "MambaForCausalLM",
    "MptForCausalLM",
    "MPTForCausalLM",
    "OPTForCausalLM",
    "Phi3SmallForCausalLM",
    "Phi3VForCausalLM",
    "PhiForCausalLM",
    "PhiMoEForCausalLM",
    "QWenForCausalLM",
    "QWenLMHeadModel",
    "RecurrentGemmaForCausalLM",
    "RWForCausalLM",
    "SkyworkForCausalLM",
)
_PYTORCH = (
    "AfmoeForCausalLM",
    "Cohere2ForCausalLM",
    "DeepseekV3ForCausalLM",
    "DeepseekV32ForCausalLM",
    "DeepseekV4ForCausalLM",
    "Exaone4_5_ForConditionalGeneration",
    "Exaone4ForCausalLM",
    "ExaoneMoEForCausalLM",
    "Gemma3ForConditionalGeneration",
    "Gemma4ForCausalLM",
    "Gemma4ForConditionalGeneration",
    "Gemma4UnifiedForConditionalGeneration",
    "Glm4MoeForCausalLM",
    "GlmMoeDsaForCausalLM",
    "GptOssForCausalLM",
    "HCXVisionForCausalLM",
    "HunYuanDenseV1ForCausalLM",
    "HunYuanMoEV1ForCausalLM",
    "KimiK25ForConditionalGeneration",
    "KimiLinearForCausalLM",
    "LagunaForCausalLM",
    "Llama4ForConditionalGeneration",
    "MiniMaxM2ForCausalLM",
    "MiniMaxM3SparseForCausalLM",
    "Mistral3ForConditionalGeneration",
    "MistralLarge3ForCausalLM",
    "NemotronH_Nano_VL_V2",
    "NemotronHForCausalLM",
    "NemotronHPuzzleForCausalLM",
    "PixtralForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3_5ForCausalLM",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForCausalLM",
    "Qwen3_5MoeForConditionalGeneration",
    "Qwen3NextForCausalLM",
    "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration",
    "SeedOssForCausalLM",
    "Step3p5ForCausalLM",
    "Step3p7ForConditionalGeneration",
)
ARCHITECTURES: Mapping[EngineRuntime, frozenset[str]] = {
    EngineRuntime.TENSORRT: frozenset({*_BOTH, *_ENGINE}),
    EngineRuntime.PYTORCH: frozenset({*_BOTH, *_PYTORCH}),
}
"""`architectures[0]` of config.json: MODEL_MAP of the engine runtime, _torch/models/_arch_index.py of PyTorch."""

PYTORCH_KNOWN_UP_TO = Version(1, 3, 0)
"""A newer image may load more than the table has."""

ROPE_TYPES = frozenset({"default", "none", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "mrope"})
"""Kinds of rotary scaling that both runtimes implement."""

FOREIGN_FORMATS: Mapping[EngineRuntime, Mapping[str, frozenset[Algorithm]]] = {
    EngineRuntime.PYTORCH: {
        "modelopt": frozenset(Algorithm),
        "fp8": frozenset({Algorithm.FP8_BLOCK}),
        "mxfp4": frozenset({Algorithm.MXFP4}),
        "nvfp4": frozenset({Algorithm.NVFP4}),
        "compressed-tensors": frozenset(
            {Algorithm.FP8, Algorithm.FP8_ROWWISE, Algorithm.FP8_BLOCK, Algorithm.NVFP4, Algorithm.MXFP4}
        ),
    },
    EngineRuntime.TENSORRT: {
        "fp8": frozenset({Algorithm.FP8_BLOCK}),
        "awq": frozenset({Algorithm.W4A16_AWQ, Algorithm.W4A16_GPTQ}),
        "gptq": frozenset({Algorithm.W4A16_GPTQ, Algorithm.W8A16_GPTQ}),
    },
}
"""quant_method of a checkpoint -> algorithms that the runtime reads from it."""

LLAMA_FAMILY = frozenset(
    {"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "Qwen2ForCausalLM", "Qwen2MoeForCausalLM"}
)
"""Architectures whose AutoAWQ and GPTQ checkpoints the engine converters read, by the scripts llama and qwen."""

CONVERTIBLE_GROUPS = (64, 128)
"""Group sizes of AWQ and GPTQ for which the engine runtime has kernels."""

GPTQ_8_BIT_SINCE = Version(1, 2)
"""Before it, an 8-bit GPTQ checkpoint is converted as if it had 4 bits; the Qwen script's only, even then."""
