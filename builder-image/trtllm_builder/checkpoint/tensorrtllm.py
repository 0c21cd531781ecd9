"""Loads a TensorRT-LLM checkpoint, with all ranks merged, as a transformers model with the same arithmetic.

All settings come from TensorRT-LLM's own config.json, as for trtllm-build: a fault there has the same effect here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import quantizer
from trtllm_builder.checkpoint.formats import CACHE_SCALES, SCALES, LayerFormat, refuse_lost_scales, refuse_wrong_shapes
from trtllm_builder.checkpoint.formats import SUPPORTED as PACKED
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.checkpoint.numerics import quantize_columns
from trtllm_builder.checkpoint.ranks import (
    EMBEDDING,
    LAYERS,
    Layout,
    Tensors,
    corrupt,
    heads_of,
    is_transposed,
    local_name,
    merge,
)
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.safetensors_header import read_header

CONFIG = "config.json"
LAYER_CONFIG = "quant_cfg.json"
HF_CONFIG = "hf_config.json"
"""Name of the source's config.json; TensorRT-LLM has a config.json of its own."""
ARCHITECTURES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
}
"""Supported architectures, and transformers' name of their family."""
_PLUGINS = {
    "W8A8_SQ_PER_TENSOR_PLUGIN": "W8A8_SQ_PER_CHANNEL",
    "W8A8_SQ_PER_CHANNEL_PER_TENSOR_PLUGIN": "W8A8_SQ_PER_CHANNEL",
    "W8A8_SQ_PER_TENSOR_PER_TOKEN_PLUGIN": "W8A8_PER_TOKEN",
    "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN": "W8A8_PER_TOKEN",
}
"""Names in linear.py for the SmoothQuant formats of convert_checkpoint.py."""
SUPPORTED = (PACKED - {"NVFP4"}) | {"W4A16", "W4A16_GPTQ", *_PLUGINS}
"""Supported values of quant_algo."""
_CACHES = {None: None, "FP8": quantizer.KV_ATTENTION, "INT8": quantizer.INT8_KV_ATTENTION}
_MIXED = "MIXED_PRECISION"
_ROWWISE = "FP8_PER_CHANNEL_PER_TOKEN"
_AWQ = frozenset({"W4A16_AWQ", "W4A8_AWQ"})
_NONE = frozenset({None, "NO_QUANT"})
_WEIGHT_ONLY = {"W8A16": 8, "W4A16": 4}
"""Bits of formats whose weights trtllm-build quantizes itself if the checkpoint has them in full precision."""
_PARTS = {
    "weights_scaling_factor": "weight_scale",
    "per_channel_scale": "weight_scale",
    "weights_scaling_factor_2": "weight_scale_2",
    "activation_scaling_factor": "input_scale",
    "prequant_scaling_factor": "pre_quant_scale",
    "zero": "zero",
    "weight": "weight",
    "bias": "bias",
}
_MODULES = {
    "attention.dense": "self_attn.o_proj",
    "mlp.fc": "mlp.gate_proj",
    "mlp.gate": "mlp.up_proj",
    "mlp.proj": "mlp.down_proj",
    "input_layernorm": "input_layernorm",
    "post_layernorm": "post_attention_layernorm",
}


def is_tensorrtllm(directory: Path) -> bool:
    """True if the directory contains ranks and not a Hugging Face model."""
    return (directory / "rank0.safetensors").exists()


def read_config(directory: Path) -> dict[str, Any]:
    """Content of config.json, with the layers' own formats in quantization.quantized_layers."""
    config: dict[str, Any] = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    path = directory / LAYER_CONFIG
    if (config.get("quantization") or {}).get("quant_algo") == _MIXED:
        if not path.exists():
            raise corrupt(f"The checkpoint's quantization is MIXED_PRECISION, but there is no {LAYER_CONFIG}")
        layers = json.loads(path.read_text(encoding="utf-8"))["quantized_layers"]
        config["quantization"]["quantized_layers"] = layers
    return config


def merge_ranks(directory: Path) -> Tensors:
    """Merge all ranks: the tensors of an export without parallelism, by TensorRT-LLM's names."""
    config = read_config(directory)
    layout = Layout.of(config)
    ranks = []
    for rank in range(layout.tensor * layout.pipeline):
        path = directory / f"rank{rank}.safetensors"
        if not path.exists():
            raise corrupt(f"rank{rank}.safetensors is missing; config.json has {layout.tensor * layout.pipeline} ranks")
        read_header(path)
        ranks.append(load_file(path))
    return merge(ranks, config)


def load_directory(directory: Path, device: str, dtype: torch.dtype, *, keep_packed: bool = False) -> Any:
    """Load the directory as a model in eval mode."""
    tensors, config = merge_ranks(directory), read_config(directory)
    model = load_tensors(tensors, config, device=device, dtype=dtype, keep_packed=keep_packed)
    if (directory / "generation_config.json").exists():
        model.generation_config = transformers.GenerationConfig.from_pretrained(directory, local_files_only=True)
    return model


def load_tensors(
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    device: str,
    dtype: torch.dtype,
    keep_packed: bool = False,
) -> Any:
    """A transformers model from merged tensors and config.json. Raises BuilderFailure if they are not supported."""
    settings = _model_config(config, tensors)
    layout = Layout.of(config)
    with torch.device("meta"):
        family: Any = transformers.AutoModelForCausalLM
        model = family.from_config(settings, attn_implementation="sdpa")
    state = _to_hugging_face(tensors, layout, str((config.get("quantization") or {}).get("quant_algo")))
    formats = _formats(config, tensors)
    for module, algorithm in formats.items():
        _put(model, module, algorithm, state)
    cache = (config.get("quantization") or {}).get("kv_cache_quant_algo")
    if cache not in _CACHES:
        raise _unknown(f"a KV cache in {cache}")
    _set_cache(model, cache, tensors, settings.num_hidden_layers)
    _load(model, state, formats, dtype)
    model.model.rotary_emb = type(model.model.rotary_emb)(config=settings)
    model.to(device)
    for module in model.modules():
        if isinstance(module, QuantizedLinear):
            module.unpack(dtype, keep_packed=keep_packed)
    return model.eval()


def _model_config(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    architecture = str(config.get("architecture"))
    if architecture not in ARCHITECTURES:
        raise _unknown(f"the architecture {architecture}")
    layout = Layout.of(config)
    rope: dict[str, Any] = {**(config.get("rotary_scaling") or {})}
    kind = rope.pop("type", None)
    rope = {"rope_type": kind or "default", **rope, "rope_theta": float(config.get("rotary_base", 10000.0))}
    values: dict[str, Any] = {
        "vocab_size": layout.vocabulary,
        "hidden_size": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "num_hidden_layers": config["num_hidden_layers"],
        "num_attention_heads": layout.heads,
        "num_key_value_heads": layout.key_value_heads,
        "head_dim": layout.head_size,
        "hidden_act": config["hidden_act"],
        "rms_norm_eps": config["norm_epsilon"],
        "max_position_embeddings": config["max_position_embeddings"],
        "tie_word_embeddings": False,
        "rope_parameters": rope,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    family = ARCHITECTURES[architecture]
    if family == "llama":
        values["attention_bias"] = f"{LAYERS}0.attention.dense.bias" in tensors
        values["mlp_bias"] = f"{LAYERS}0.mlp.proj.bias" in tensors
    if family == "mistral":
        values["sliding_window"] = None
    return transformers.AutoConfig.for_model(family, **values)


def _to_hugging_face(tensors: Mapping[str, Tensor], layout: Layout, algorithm: str) -> Tensors:
    """Tensors by transformers' names, with attention.qkv split into three. Scales of the KV cache are left out."""
    state: Tensors = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if name == EMBEDDING:
            state["model.embed_tokens.weight"] = tensor
        elif name == "transformer.ln_f.weight":
            state["model.norm.weight"] = tensor
        elif module == "lm_head":
            state[f"lm_head.{_PARTS[part]}"] = tensor
        elif name.startswith(LAYERS) and part.endswith("cache_scaling_factor"):
            continue
        elif name.startswith(LAYERS) and part in _PARTS:
            number, _, rest = module.removeprefix(LAYERS).partition(".")
            target = f"model.layers.{number}."
            if rest == "attention.qkv":
                axis = int(is_transposed(name, tensors, algorithm))
                for proj, piece in _split_qkv(part, tensor, layout, axis).items():
                    state[f"{target}self_attn.{proj}.{_PARTS[part]}"] = piece
            elif rest in _MODULES:
                state[f"{target}{_MODULES[rest]}.{_PARTS[part]}"] = tensor
            else:
                raise corrupt(f"{name} belongs to no known layer")
        else:
            raise corrupt(f"{name} belongs to no known layer")
    state.setdefault("lm_head.weight", state.get("model.embed_tokens.weight", torch.empty(0)))
    return state


def _split_qkv(part: str, tensor: Tensor, layout: Layout, axis: int) -> Tensors:
    names = ("q_proj", "k_proj", "v_proj")
    if tensor.numel() == 1 or part == "prequant_scaling_factor":
        return dict.fromkeys(names, tensor)
    return dict(zip(names, heads_of(tensor, axis, layout.parts(1)), strict=True))


def _formats(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Algorithm of each quantized layer, by transformers' name. Raises NotSupported for an unsupported one."""
    quantization = config.get("quantization") or {}
    general = quantization.get("quant_algo")
    layers = quantization.get("quantized_layers") or {}
    layout = Layout.of(config)
    found: dict[str, str] = {}
    for name in tensors:
        module, _, part = name.rpartition(".")
        local = local_name(module, int(config["num_hidden_layers"]), layout.pipeline)
        if part != "weight" or not (module.startswith(LAYERS) or module == "lm_head") or "layernorm" in module:
            continue
        algorithm = str(layers[local]["quant_algo"] if local in layers else general)
        scaled = any(f"{module}.{scale}" in tensors for scale in ("weights_scaling_factor", "per_channel_scale"))
        packed = tensors[name].element_size() == 1
        if packed and not scaled:
            raise corrupt(f"The weight of {module} is packed, but has no scale")
        is_quantized = (
            local in layers if general == _MIXED else general not in _NONE and not _excluded(local, quantization)
        )
        if packed and not is_quantized:
            raise corrupt(f"The weight of {module} is packed, but is not quantized according to config.json")
        if not packed and (scaled or (is_quantized and algorithm not in _WEIGHT_ONLY)):
            raise corrupt(f"The weight of {module} is {algorithm}, but not packed")
        if not is_quantized:
            continue
        if algorithm not in SUPPORTED:
            raise _unknown(f"the quantization {algorithm} (layer {module})")
        smoothed = f"{module}.prequant_scaling_factor" in tensors
        if smoothed != _is_smoothed(algorithm, layers.get(local, quantization)):
            raise corrupt(f"{module} is {algorithm}, but its prequant_scaling_factor does not agree with config.json")
        for target in _targets(module):
            found[target] = algorithm
    if general not in _NONE and not found:
        raise corrupt(f"The quantization in config.json is {general}, but no layer is quantized")
    return found


def _is_smoothed(algorithm: str, own: Mapping[str, Any]) -> bool:
    return algorithm == "W8A8_SQ_PER_CHANNEL" or (algorithm in _AWQ and bool(own.get("pre_quant_scale")))


def _excluded(module: str, quantization: Mapping[str, Any]) -> bool:
    """True if trtllm-build does not quantize the module.

    It uses the name of the module, or that of its block for a format of whole blocks; and also the name of the tensor
    for a format that it packs itself.
    """
    patterns = quantization.get("exclude_modules") or ["*lm_head"]
    algorithm = quantization.get("quant_algo")

    def is_named(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    if algorithm == _ROWWISE and module.startswith(LAYERS):
        return is_named(module.rpartition(".")[0])
    if algorithm in _WEIGHT_ONLY:
        if module == "lm_head":
            return True
        if is_named(module) != is_named(f"{module}.weight"):
            raise corrupt(f"exclude_modules names only one of {module} and {module}.weight")
    return is_named(module)


def _targets(module: str) -> list[str]:
    if module == "lm_head":
        return ["lm_head"]
    number, _, rest = module.removeprefix(LAYERS).partition(".")
    names = [f"self_attn.{proj}" for proj in ("q_proj", "k_proj", "v_proj")] if rest == "attention.qkv" else []
    return [f"model.layers.{number}.{name}" for name in names or [_MODULES[rest]]]


def _put(model: Any, module: str, algorithm: str, state: Tensors) -> None:
    """Replace the linear layer by a QuantizedLinear, and convert its tensors in `state`."""
    linear = cast("nn.Linear", model.get_submodule(module))
    weight = state[f"{module}.weight"]
    if algorithm in _WEIGHT_ONLY:
        scale = state.get(f"{module}.weight_scale")
        if scale is None:
            weight, scale = quantize_columns(weight, _WEIGHT_ONLY[algorithm])
        else:
            weight = _columns(weight) if algorithm == "W4A16" else weight.t()
        state[f"{module}.weight"], state[f"{module}.weight_scale"] = weight.contiguous(), scale
        algorithm = "W8A16"
    elif algorithm in {"W4A16_AWQ", "W4A8_AWQ", "W4A16_GPTQ"}:
        state[f"{module}.weight"] = weight.view(torch.uint8)
    algorithm = _PLUGINS.get(algorithm, algorithm)
    scales = frozenset(part for part in SCALES if f"{module}.{part}" in state)
    layer = LayerFormat(algorithm, scales)
    refuse_lost_scales(module, layer)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith(f"{module}.")}
    refuse_wrong_shapes(module, layer, linear.out_features, linear.in_features, shapes)
    parts = {part: state[f"{module}.{part}"] for part in ("weight", "zero", *SCALES) if f"{module}.{part}" in state}
    model.set_submodule(module, QuantizedLinear(layer, parts, linear.bias))


def _columns(packed: Tensor) -> Tensor:
    """Unpack int8 [in, out/2], with two outputs per byte, low nibble first, to int8 [out, in]."""
    wide = packed.view(torch.uint8).to(torch.int16)
    pair = torch.stack((wide & 0xF, wide >> 4), dim=-1).reshape(packed.shape[0], -1)
    return torch.where(pair > 7, pair - 16, pair).to(torch.int8).t()


def _set_cache(model: Any, cache: str | None, tensors: Mapping[str, Tensor], layers: int) -> None:
    kind = _CACHES[cache]
    if kind is None:
        return
    for number in range(layers):
        scale = tensors.get(f"{LAYERS}{number}.attention.kv_cache_scaling_factor")
        if scale is None:
            raise corrupt(f"The KV cache in config.json is {cache}, but layer {number} has no scale for it")
        attention = model.model.layers[number].self_attn
        for proj, part in zip(("k_proj", "v_proj"), sorted(CACHE_SCALES), strict=True):
            getattr(attention, proj).register_buffer(part, scale.float().reshape(()))
    model.set_attn_implementation(kind)


def _load(model: Any, state: Tensors, formats: Mapping[str, str], dtype: torch.dtype) -> None:
    """Load the tensors, and refuse missing and unused ones."""
    held = {**dict(model.named_parameters()), **dict(model.named_buffers(remove_duplicate=False))}
    caches = {name for name in held if name.rpartition(".")[2] in CACHE_SCALES}
    wanted = {name for name in held if "rotary_emb" not in name and name not in caches and held[name] is not None}
    lost, extra = sorted(wanted - set(state)), sorted(set(state) - wanted)
    if lost or extra:
        what = f"has no tensor for {lost[0]}" if lost else f"contains {extra[0]}, which no layer uses"
        raise corrupt(f"The checkpoint {what} ({len(lost)} missing, {len(extra)} unused)")
    for name in wanted:
        if held[name].shape != state[name].shape:
            raise corrupt(f"{name} has shape {list(state[name].shape)}, and should have {list(held[name].shape)}")
    quantized = {f"{module}.{part}" for module in formats for part in ("weight", "zero", *SCALES)}
    ready = {name: state[name] if name in quantized else state[name].to(dtype) for name in wanted}
    model.load_state_dict({**ready, **{name: held[name] for name in caches}}, strict=False, assign=True)


def _unknown(what: str) -> BuilderFailure:
    return BuilderFailure(
        ExitCode.NOT_SUPPORTED,
        Reason.QUANTIZATION_NOT_SUPPORTED,
        f"{what[0].upper()}{what[1:]} of a TensorRT-LLM checkpoint is not supported by this builder.",
        f"Supported are {', '.join(sorted(SUPPORTED))} on {', '.join(ARCHITECTURES)}.",
    )
