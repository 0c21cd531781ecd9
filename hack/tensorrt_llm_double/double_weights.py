"""Checks of trtllm-build on the checkpoint of a rank, with its messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from double_gpus import Gpu
from double_settings import version_text
from double_upstream import newest, program, table
from trtllm_builder.safetensors_header import TensorHeader

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
"""Formats that the double of trtllm-serve computes (trtllm_builder.checkpoint.tensorrtllm); a test compares them."""
_LAYERS = "transformer.layers."
_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
_PACKED = frozenset({"I8", "U8", "F8_E4M3"})
_REQUIRED = ("dtype", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_NO_FP8 = "Networks with FP8 precision require hardware with FP8 support."
_WORDS: Mapping[str, str] = {
    "FP8": _NO_FP8,
    "FP8_PER_CHANNEL_PER_TOKEN": (
        "[TensorRT-LLM][ERROR] Assertion failed: Arch unsupported for CUTLASS FP8 Rowwise GEMM"
    ),
    "NVFP4": "FP4 Gemm not supported before Blackwell, nor GEMM with FP4 weights",
    "W4A8_AWQ": "W4A(fp)8 kernel is unsupported on pre-Ada (sm<89) architectures!",
}
_AMPERE, _ADA, _HOPPER, _B200, _B300, _GEFORCE = ((8, 0), (8, 6)), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0)
_EIGHT = frozenset({_ADA, _HOPPER, _B200, _B300, _GEFORCE})
_KERNELS: Mapping[str, frozenset[tuple[int, int]]] = {
    "FP8": _EIGHT,
    "FP8_PER_CHANNEL_PER_TOKEN": frozenset({_HOPPER}),
    "NVFP4": frozenset({_B200, _B300, _GEFORCE}),
    "W4A8_AWQ": frozenset({_ADA, _HOPPER, _B200, _B300}),
    "W4A16_AWQ": frozenset({*_AMPERE, _ADA, _HOPPER, _B200, _B300}),
    "W4A16_GPTQ": frozenset({*_AMPERE, _ADA, _HOPPER, _B200, _B300}),
    **dict.fromkeys(("W8A16", "W4A16", "W8A8_SQ_PER_CHANNEL"), frozenset({*_AMPERE, _ADA, _HOPPER})),
}
"""Compute capabilities with an algorithm's kernels, from NVIDIA's page on quantization."""
_COMPILED = frozenset({*_AMPERE, *_EIGHT})


def check_config(config: Mapping[str, Any]) -> None:
    """Raise the errors of trtllm-build before it reads weights."""
    build, architecture = program("trtllm-build", version_text()), config["architecture"]
    if architecture not in ARCHITECTURES:
        build.refuse("the checkpoint's architecture is not in MODEL_MAP", {"architecture": architecture})
    for key in _REQUIRED:
        config[key]  # a KeyError names it
    mapping = {"cp_size": 1, **config["mapping"]}
    if mapping["world_size"] != mapping["tp_size"] * mapping["pp_size"] * mapping["cp_size"]:
        build.refuse("mapping of the checkpoint inconsistent", mapping)
        raise ValueError(f"the double: the checkpoint's mapping {mapping} contradicts itself")
    quantization = config.get("quantization") or {}
    names = _algorithms()
    for algorithm in (quantization.get("quant_algo"), quantization.get("kv_cache_quant_algo")):
        if algorithm is not None and algorithm not in names:
            raise ValueError(f"'{algorithm}' is not a valid QuantAlgo")
    algorithm = quantization.get("quant_algo")
    if algorithm not in {None, "NO_QUANT", "MIXED_PRECISION", *ALGORITHMS}:
        raise SystemExit(f"the double of trtllm-build does not compute {algorithm}")


def check_gpu(config: Mapping[str, Any], gpu: Gpu) -> None:
    """Raise an error if the GPU has no kernels for the checkpoint's formats."""
    quantization = config.get("quantization") or {}
    layers = (quantization.get("quantized_layers") or {}).values()
    names = {quantization.get("quant_algo"), *(layer["quant_algo"] for layer in layers)}
    for name in sorted(names - {None, "MIXED_PRECISION", "NO_QUANT"}):
        algorithm = "W8A8_SQ_PER_CHANNEL" if name.startswith("W8A8_SQ") else name
        if gpu.capability not in _KERNELS.get(algorithm, _COMPILED):
            sm = gpu.capability[0] * 10 + gpu.capability[1]
            raise RuntimeError(_WORDS.get(algorithm, f"{algorithm} is not supported on SM{sm}"))
    if gpu.capability not in _COMPILED:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
    if quantization.get("kv_cache_quant_algo") == "FP8" and gpu.capability not in _EIGHT:
        raise RuntimeError(_NO_FP8)


def _algorithms() -> set[str]:
    """Names of QuantAlgo; those of the oldest known release if the version is older."""
    known = table("quantalgo")["quant_algo"]
    return set(known[newest(known, version_text())])


def check_tensors(tensors: Mapping[str, TensorHeader], config: Mapping[str, Any], rank: int) -> None:
    """Check that the rank agrees with config.json: layers, shapes, data type."""
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
