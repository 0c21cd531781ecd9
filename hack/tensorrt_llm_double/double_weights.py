"""What trtllm-build finds wrong with a checkpoint, in its words; tensorrt_llm.commands.build asks for each rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from double_gpus import Gpu
from double_settings import version
from trtllm_builder.safetensors_header import TensorHeader
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, algorithm_named, table_for

ARCHITECTURES = frozenset({"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"})
ALGORITHMS = frozenset(
    {
        "FP8",
        "FP8_PER_CHANNEL_PER_TOKEN",
        "W4A16",
        "W4A16_AWQ",
        "W4A16_GPTQ",
        "W4A8_AWQ",
        "W8A16",
        "W8A8_SQ_PER_CHANNEL",
        "W8A8_SQ_PER_CHANNEL_PER_TENSOR_PLUGIN",
        "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN",
        "W8A8_SQ_PER_TENSOR_PER_TOKEN_PLUGIN",
        "W8A8_SQ_PER_TENSOR_PLUGIN",
    }
)
"""Both as trtllm-serve computes with later (trtllm_builder.checkpoint.tensorrtllm); a test holds them to it."""
_LAYERS = "transformer.layers."
_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
_PACKED = frozenset({"I8", "U8", "F8_E4M3"})
_REQUIRED = ("dtype", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_WORDS: Mapping[Algorithm, str] = {
    Algorithm.FP8: "Networks with FP8 precision require hardware with FP8 support.",
    Algorithm.FP8_ROWWISE: "[TensorRT-LLM][ERROR] Assertion failed: Arch unsupported for CUTLASS FP8 Rowwise GEMM",
    Algorithm.NVFP4: "FP4 Gemm not supported before Blackwell, nor GEMM with FP4 weights",
    Algorithm.W4A8_AWQ: "W4A(fp)8 kernel is unsupported on pre-Ada (sm<89) architectures!",
}


def check_config(config: Mapping[str, Any]) -> None:
    """Raises what trtllm-build raises before it looks at weights."""
    architecture = config["architecture"]
    if architecture not in ARCHITECTURES:
        raise RuntimeError(f"Unsupported model architecture: {architecture}")
    for key in _REQUIRED:
        config[key]  # a KeyError names it
    mapping = config["mapping"]
    if mapping["world_size"] != mapping["tp_size"] * mapping["pp_size"] * mapping.get("cp_size", 1):
        raise ValueError(
            f"world_size must equal to tp_size * pp_size * cp_size, but got {mapping['world_size']} != "
            f"{mapping['tp_size']} * {mapping['pp_size']} * {mapping.get('cp_size', 1)}"
        )
    quantization = config.get("quantization") or {}
    algorithm = quantization.get("quant_algo")
    if algorithm not in {None, "NO_QUANT", "MIXED_PRECISION", *ALGORITHMS}:
        raise ValueError(f"'{algorithm}' is not a valid QuantAlgo")
    if quantization.get("kv_cache_quant_algo") not in {None, "FP8", "INT8"}:
        raise ValueError(f"'{quantization['kv_cache_quant_algo']}' is not a valid QuantAlgo")


def check_gpu(config: Mapping[str, Any], gpu: Gpu) -> None:
    """Whether this GPU has kernels for the checkpoint's formats."""
    quantization = config.get("quantization") or {}
    layers = (quantization.get("quantized_layers") or {}).values()
    names = {quantization.get("quant_algo"), *(layer["quant_algo"] for layer in layers)}
    table = table_for(version())
    for algorithm in filter(None, map(_algorithm, names - {None, "MIXED_PRECISION"})):
        if gpu.capability not in table.accepts(algorithm, EngineRuntime.TENSORRT):
            sm = gpu.capability[0] * 10 + gpu.capability[1]
            raise RuntimeError(_WORDS.get(algorithm, f"{algorithm} is not supported on SM{sm}"))
    if gpu.capability not in table.gpus:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
    if quantization.get("kv_cache_quant_algo") == "FP8" and gpu.capability not in table.fp8_kv_cache:
        raise RuntimeError(_WORDS[Algorithm.FP8])


def check_tensors(tensors: Mapping[str, TensorHeader], config: Mapping[str, Any], rank: int) -> None:
    """Whether the rank holds what config.json says: layers, shapes, data type."""
    mapping = config["mapping"]
    stage = rank // (mapping["tp_size"] * mapping.get("cp_size", 1))
    each, more = divmod(config["num_hidden_layers"], mapping["pp_size"])
    layers = each + (stage < more)
    held = len({name.removeprefix(_LAYERS).partition(".")[0] for name in tensors if name.startswith(_LAYERS)})
    if held != layers:
        some = f"{_LAYERS}{min(held, layers)}.attention.qkv.weight"
        told = "Required but not provided tensors" if held < layers else "Provided but not required tensors"
        raise RuntimeError(
            f"Provided tensor names are different from those expected by the engine. {told}:{{'{some}'}}"
        )
    dtype, wanted = _DTYPES[config["dtype"]], _shapes(config)
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        shape = wanted.get(module.removeprefix(_LAYERS).partition(".")[2])
        if part != "weight" or shape is None or tensor.dtype in _PACKED:
            continue
        if tensor.shape != shape:
            raise AssertionError(
                f"The value updated is not the same shape as the original. Updated: {tensor.shape}, original: {shape}"
            )
        if tensor.dtype != dtype:
            raise ValueError(f"The dtype of {name} is {tensor.dtype}, but config.json says {config['dtype']}")


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    tensor, hidden = config["mapping"]["tp_size"], config["hidden_size"]
    heads = config["num_attention_heads"]
    kept = config.get("num_key_value_heads") or heads
    size = config.get("head_size") or hidden // heads
    inner = config["intermediate_size"] // tensor
    return {
        "attention.qkv": ((heads // tensor + 2 * max(1, kept // tensor)) * size, hidden),
        "attention.dense": (hidden, heads // tensor * size),
        "mlp.fc": (inner, hidden),
        "mlp.gate": (inner, hidden),
        "mlp.proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_layernorm": (hidden,),
    }


def _algorithm(name: str) -> Algorithm | None:
    return Algorithm.SMOOTH_QUANT if name.startswith("W8A8_SQ") else algorithm_named(name)
