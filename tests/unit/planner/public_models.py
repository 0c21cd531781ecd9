"""config.json of public models, as far as a plan reads it, and GPUs to put them on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trtllm_api.facts import ModelFacts
from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.question import EngineQuestion, Limits
from trtllm_planner.tensorrt_llm.gpus import product_named
from trtllm_planner.tensorrt_llm.versions import algorithm_named, image_info

ENGINE_IMAGE = image_info("nvcr.io/nvidia/tensorrt-llm/release:1.2.1")
NEW_IMAGE = image_info("nvcr.io/nvidia/tensorrt-llm/release:1.3.0")


def _config(kind: str, architecture: str, dimensions: tuple[int, ...], **more: Any) -> dict[str, Any]:
    hidden, inner, layers, heads, keys, vocabulary, positions = dimensions
    return {
        "architectures": [architecture],
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        **more,
    }


CONFIGS: dict[str, dict[str, Any]] = {
    "Llama-2-13B": _config("llama", "LlamaForCausalLM", (5120, 13824, 40, 40, 40, 32000, 4096)),
    "Llama-3-8B": _config("llama", "LlamaForCausalLM", (4096, 14336, 32, 32, 8, 128256, 8192)),
    "Llama-3-70B": _config("llama", "LlamaForCausalLM", (8192, 28672, 80, 64, 8, 128256, 8192)),
    "Llama-3.1-8B": _config(
        "llama",
        "LlamaForCausalLM",
        (4096, 14336, 32, 32, 8, 128256, 131072),
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
    ),
    "Qwen2-7B": _config("qwen2", "Qwen2ForCausalLM", (3584, 18944, 28, 28, 4, 152064, 32768)),
    "Qwen2-72B": _config("qwen2", "Qwen2ForCausalLM", (8192, 29568, 80, 64, 8, 152064, 32768)),
    "Qwen2.5-0.5B": _config(
        "qwen2", "Qwen2ForCausalLM", (896, 4864, 24, 14, 2, 151936, 32768), tie_word_embeddings=True
    ),
    "Qwen3-30B-A3B": _config(
        "qwen3_moe",
        "Qwen3MoeForCausalLM",
        (2048, 6144, 48, 32, 4, 151936, 40960),
        head_dim=128,
        num_experts=128,
        num_experts_per_tok=8,
        moe_intermediate_size=768,
    ),
    "Mixtral-8x7B": _config(
        "mixtral",
        "MixtralForCausalLM",
        (4096, 14336, 32, 32, 8, 32000, 32768),
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
    "DeepSeek-V3": _config(
        "deepseek_v3",
        "DeepseekV3ForCausalLM",
        (7168, 18432, 61, 128, 128, 129280, 163840),
        n_routed_experts=256,
        n_shared_experts=1,
        num_experts_per_tok=8,
        moe_intermediate_size=2048,
        first_k_dense_replace=3,
        q_lora_rank=1536,
        kv_lora_rank=512,
        qk_rope_head_dim=64,
        qk_nope_head_dim=128,
        v_head_dim=128,
        rope_scaling={"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096},
        quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]},
    ),
    "Phi-3-mini": _config("phi3", "Phi3ForCausalLM", (3072, 8192, 32, 32, 32, 32064, 4096)),
    "Phi-3-medium": _config("phi3", "Phi3ForCausalLM", (5120, 17920, 40, 40, 10, 32064, 4096)),
    "Gemma-2-9B": _config(
        "gemma2",
        "Gemma2ForCausalLM",
        (3584, 14336, 42, 16, 8, 256000, 8192),
        head_dim=256,
        tie_word_embeddings=True,
    ),
    "SmolLM2-135M": _config("llama", "LlamaForCausalLM", (576, 1536, 30, 9, 3, 49152, 8192), tie_word_embeddings=True),
}


def facts(model: str) -> ModelFacts:
    return facts_from_config(CONFIGS[model])


def gpu(product: str) -> GpuKind:
    known = product_named(product)
    assert known is not None
    return GpuKind(known.name, known.memory_mib, known.capability)


T4 = gpu("Tesla-T4")
A10 = gpu("NVIDIA-A10")
L4 = gpu("NVIDIA-L4")
A100 = gpu("NVIDIA-A100-SXM4-80GB")
H100 = gpu("NVIDIA-H100-80GB-HBM3")
H200 = gpu("NVIDIA-H200")
B200 = gpu("NVIDIA-B200")
RTX5090 = gpu("NVIDIA-GeForce-RTX-5090")


def ask(model: str = "Llama-3-8B", **changes: Any) -> EngineQuestion:
    """A question about a model as published, that nothing speaks against, with changes."""
    known = facts(model)
    if "details" in changes:
        known = known.model_copy(update={"details": changes.pop("details")})
    base = EngineQuestion(
        facts=known,
        limits=Limits(max_seq_len=4096, max_batch_size=8),
        image=ENGINE_IMAGE,
        gpu=H100,
        gpus_per_node=8,
    )
    checkpoint = known.details.checkpoint
    algorithm = algorithm_named(checkpoint.algorithm) if checkpoint is not None else None
    if algorithm is not None:
        base = replace(base, algorithm=algorithm)
    return replace(base, **changes)


def nodes(kind: GpuKind, *counts: int) -> Inventory:
    return Inventory(tuple(GpuNode(f"node-{index}", kind, count) for index, count in enumerate(counts)))
