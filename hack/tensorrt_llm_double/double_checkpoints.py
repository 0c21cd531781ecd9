"""Computation of the double of convert_checkpoint.py: a TensorRT-LLM checkpoint of a Hugging Face Llama, and back.

The double's convert_checkpoint.py calls `write_checkpoint`, its trtllm-serve `load_merged`. The files hold real shards
and config.json as NVIDIA's script writes them; only the order of packed weight-only weights is plain: [in, out], where
NVIDIA's depends on the GPU's kernels. SmoothQuant's alpha is checked by the double's arguments, and smooths nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from double_packed import NotPacked, put_packed, read_all
from trtllm_builder.checkpoint import load_model
from trtllm_builder.checkpoint.numerics import quantize_columns
from trtllm_builder.checkpoint.ranks import Layout, cut, merge
from trtllm_builder.checkpoint.tensorrtllm import ARCHITECTURES, load_tensors

WEIGHT_ONLY = {"int8": "W8A16", "int4": "W4A16", "int4_gptq": "W4A16_GPTQ"}
_LINEAR = ("attention.qkv", "attention.dense", "mlp.fc", "mlp.gate", "mlp.proj")
_MODULES = {
    "attention.dense": "self_attn.o_proj",
    "mlp.fc": "mlp.gate_proj",
    "mlp.gate": "mlp.up_proj",
    "mlp.proj": "mlp.down_proj",
}
_PACKED = {"attention.qkv": [f"self_attn.{name}_proj" for name in "qkv"]} | {
    ours: [theirs] for ours, theirs in _MODULES.items()
}
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class ConversionError(Exception):
    """Error with which NVIDIA's script ends."""


def write_checkpoint(
    model_dir: Path,
    output: Path,
    *,
    dtype: str = "auto",
    tp: int = 1,
    pp: int = 1,
    cp: int = 1,
    moe_tp: int | None = None,
    moe_ep: int | None = None,
    weight_only: str | None = None,
    group_size: int = 128,
    quant_ckpt_path: Path | None = None,
    smoothquant: float | None = None,
    per_channel: bool = False,
    per_token: bool = False,
    int8_kv_cache: bool = False,
    fp8_kv_cache: bool = False,
    use_fp8: bool = False,
    use_fp8_rowwise: bool = False,
    use_parallel_embedding: bool = False,
    embedding_sharding_dim: int = 0,
) -> None:
    """Write config.json and rankN.safetensors, one for each rank of tensor and pipeline parallelism.

    `weight_only` is a key of WEIGHT_ONLY; `quant_ckpt_path` is a GPTQ checkpoint's file or directory.
    Raises ConversionError.
    """
    source = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    config = _config(source, _dtype_of(source, dtype))
    config["mapping"] = {
        "world_size": tp * pp * cp,
        "gpus_per_node": 8,
        "tp_size": tp,
        "pp_size": pp,
        "cp_size": cp,
        "moe_tp_size": moe_tp or tp // (moe_ep or 1),
        "moe_ep_size": moe_ep or 1,
    }
    config["use_parallel_embedding"] = use_parallel_embedding
    config["embedding_sharding_dim"] = embedding_sharding_dim
    packer = _packer(source)
    if packer == "AutoAWQ":
        # recognised by the model's own config.json: no flag says it
        weight_only, group_size = "int4_gptq", int(source["quantization_config"]["group_size"])
    algorithm = _algorithm(weight_only, smoothquant, per_channel, per_token, use_fp8, use_fp8_rowwise)
    config["quantization"] = {
        "quant_algo": algorithm,
        "kv_cache_quant_algo": "INT8" if int8_kv_cache else "FP8" if fp8_kv_cache else None,
        "group_size": group_size,
        "smoothquant_val": smoothquant if smoothquant is not None else 0.5,
        "clamp_val": None,
        "use_meta_recipe": False,
        "has_zero_point": weight_only == "int4_gptq",
        "pre_quant_scale": False,
        "exclude_modules": ["lm_head", "transformer.vocab_embedding"] if algorithm else None,
    }
    _check(config)
    kept = _DTYPES[config["dtype"]]
    calibrated = int8_kv_cache or use_fp8 or (smoothquant is not None and not per_token)
    largest: dict[str, float] = {}
    if weight_only == "int4_gptq":
        if calibrated:
            raise ConversionError(f"the double does not calibrate a {packer} checkpoint")
        held = read_all(quant_ckpt_path or model_dir)
        # its linear layers are packed: no model is needed for the rest
        tensors = _plain({name: tensor.to(kept) for name, tensor in held.items() if tensor.is_floating_point()}, config)
        try:
            put_packed(tensors, config["num_hidden_layers"], held, _PACKED, packer)
        except NotPacked as error:
            raise ConversionError(str(error)) from error
    else:
        model = load_model(model_dir, "cpu", dtype=kept)
        tensors = _plain(model.state_dict(), config)
        largest = _largest(model, config) if calibrated else largest
        if algorithm:
            _pack(tensors, algorithm, largest)
    for layer in range(config["num_hidden_layers"]) if int8_kv_cache or fp8_kv_cache else ():
        name = f"transformer.layers.{layer}.attention.kv_cache_scaling_factor"
        tensors[name] = torch.tensor([largest[name] / 127.0 if int8_kv_cache else 1.0])
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(json.dumps(config, indent=4), encoding="utf-8")
    for rank, held in enumerate(cut(tensors, config)):
        save_file(held, output / f"rank{rank}.safetensors")


def load_merged(ranks: Sequence[Mapping[str, Tensor]], config: Mapping[str, Any]) -> Any:
    """The transformers model of all ranks of a checkpoint or of engines, in float32 on the CPU.

    `config` is a checkpoint's config.json, or an engine's `pretrained_config` with quant_cfg.json's layers under
    quantization.quantized_layers.
    """
    return load_tensors(merge(ranks, config), config, device="cpu", dtype=torch.float32)


def _packer(source: Mapping[str, Any]) -> str:
    """Name of the tool that packed the weights."""
    return "AutoAWQ" if (source.get("quantization_config") or {}).get("quant_method") == "awq" else "GPTQ"


def _dtype_of(source: Mapping[str, Any], asked: str) -> str:
    if asked != "auto":
        return asked
    stored = source.get("dtype") or source.get("torch_dtype") or "float16"
    return "float16" if stored == "float32" else str(stored)


def _config(source: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    architecture = source["architectures"][0]
    if architecture not in ARCHITECTURES:
        raise ConversionError(f"{architecture} is not a Llama-like architecture")
    rope = source.get("rope_parameters") or {}
    scaling = source.get("rope_scaling") or {
        key: value for key, value in rope.items() if key not in {"rope_theta", "partial_rotary_factor"}
    }
    scaled = scaling and scaling.get("rope_type", scaling.get("type", "default")) != "default"
    heads = source["num_attention_heads"]
    return {
        "architecture": architecture,
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": source["vocab_size"],
        "hidden_size": source["hidden_size"],
        "intermediate_size": source["intermediate_size"],
        "num_hidden_layers": source["num_hidden_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": source.get("num_key_value_heads") or heads,
        "head_size": source.get("head_dim") or source["hidden_size"] // heads,
        "hidden_act": source["hidden_act"],
        "norm_epsilon": source["rms_norm_eps"],
        "qk_layernorm": False,
        "position_embedding_type": "rope_gpt_neox",
        "max_position_embeddings": source["max_position_embeddings"],
        "rotary_base": float(source.get("rope_theta", rope.get("rope_theta", 10000.0))),
        "rotary_scaling": dict(scaling) if scaled else None,
        "attn_bias": architecture == "Qwen2ForCausalLM" or bool(source.get("attention_bias")),
        "mlp_bias": bool(source.get("mlp_bias")),
        "tie_word_embeddings": bool(source.get("tie_word_embeddings")),
        "runtime_defaults": None,
    }


def _check(config: Mapping[str, Any]) -> None:
    layout = Layout.of(config)
    if layout.heads % layout.tensor:
        raise ConversionError(f"num_attention_heads {layout.heads} must be divisible by tp_size {layout.tensor}")
    if layout.key_value_heads % layout.tensor and layout.tensor % layout.key_value_heads:
        raise ConversionError(
            f"num_key_value_heads {layout.key_value_heads} and tp_size {layout.tensor} do not divide each other"
        )
    if layout.pipeline > config["num_hidden_layers"]:
        raise ConversionError(f"pp_size {layout.pipeline} is more than the {config['num_hidden_layers']} layers")
    if config["intermediate_size"] % layout.tensor:
        raise ConversionError(f"intermediate_size {config['intermediate_size']} is not divisible by {layout.tensor}")


def _algorithm(
    weight_only: str | None,
    smoothquant: float | None,
    per_channel: bool,
    per_token: bool,
    use_fp8: bool,
    use_fp8_rowwise: bool,
) -> str | None:
    if weight_only is not None:
        if weight_only not in WEIGHT_ONLY:
            raise ConversionError(f"the double does not compute weight_only_precision {weight_only}")
        return WEIGHT_ONLY[weight_only]
    if smoothquant is not None:
        weights, inputs = ("CHANNEL" if per_channel else "TENSOR"), ("TOKEN" if per_token else "TENSOR")
        if (weights, inputs) == ("TENSOR", "TENSOR"):
            return "W8A8_SQ_PER_TENSOR_PLUGIN"
        return f"W8A8_SQ_PER_{weights}_PER_{inputs}_PLUGIN"
    return "FP8" if use_fp8 else "FP8_PER_CHANNEL_PER_TOKEN" if use_fp8_rowwise else None


def _plain(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Unquantized tensors by TensorRT-LLM's names, for a single rank."""
    tensors = {
        "transformer.vocab_embedding.weight": state["model.embed_tokens.weight"],
        "transformer.ln_f.weight": state["model.norm.weight"],
        "lm_head.weight": state.get("lm_head.weight", state["model.embed_tokens.weight"]).clone(),
    }
    for layer in range(config["num_hidden_layers"]):
        source, target = f"model.layers.{layer}", f"transformer.layers.{layer}"
        tensors[f"{target}.input_layernorm.weight"] = state[f"{source}.input_layernorm.weight"]
        tensors[f"{target}.post_layernorm.weight"] = state[f"{source}.post_attention_layernorm.weight"]
        for part in ("weight", "bias"):
            fused = [f"{source}.self_attn.{name}_proj.{part}" for name in "qkv"]
            if fused[0] in state:
                tensors[f"{target}.attention.qkv.{part}"] = torch.cat([state[name] for name in fused])
            for ours, theirs in _MODULES.items():
                if f"{source}.{theirs}.{part}" in state:
                    tensors[f"{target}.{ours}.{part}"] = state[f"{source}.{theirs}.{part}"]
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _pack(tensors: dict[str, Tensor], algorithm: str, largest: Mapping[str, float]) -> None:
    for name in [name for name in tensors if name.endswith(tuple(f"{linear}.weight" for linear in _LINEAR))]:
        module, weight = name.removesuffix(".weight"), tensors[name]
        if algorithm in {"W8A16", "W4A16"}:
            packed, scale = quantize_columns(weight, 8 if algorithm == "W8A16" else 4)
            packed = packed.t().contiguous()
            if algorithm == "W4A16":
                low, high = packed[:, 0::2].to(torch.int16) & 0xF, packed[:, 1::2].to(torch.int16) & 0xF
                packed = (low | (high << 4)).to(torch.uint8).view(torch.int8)
            tensors[name], tensors[f"{module}.per_channel_scale"] = packed, scale
        elif algorithm.startswith("FP8"):
            rows = weight.float().abs().amax(dim=1)
            scale = (rows if algorithm != "FP8" else rows.max().reshape(1)) / 448.0
            tensors[name] = (weight.float() / scale.unsqueeze(-1)).to(torch.float8_e4m3fn)
            kind = "weights_scaling_factor" if algorithm == "FP8" else "per_channel_scale"
            tensors[f"{module}.{kind}"] = scale
            if algorithm == "FP8":
                tensors[f"{module}.activation_scaling_factor"] = torch.tensor([largest[module] / 448.0])
        else:
            rows = weight.float().abs().amax(dim=1)
            scale = (rows if "PER_CHANNEL" in algorithm else rows.max().expand_as(rows)).clamp(min=1e-12) / 127.0
            tensors[name] = (weight.float() / scale.unsqueeze(1)).round().clamp(-128, 127).to(torch.int8)
            tensors[f"{module}.per_channel_scale"] = scale.contiguous()
            if not algorithm.endswith("PER_TOKEN_PLUGIN"):
                tensors[f"{module}.activation_scaling_factor"] = torch.tensor([largest[module] / 127.0])


def _largest(model: Any, config: Mapping[str, Any]) -> dict[str, float]:
    """Largest input of each linear layer, and largest key or value of each layer, over a fixed sequence."""
    found: dict[str, float] = {}

    def note(name: str, tensor: Tensor) -> None:
        found[name] = max(found.get(name, 1e-6), float(tensor.detach().float().abs().max()))

    with _watched(model, config, note), torch.inference_mode():
        generator = torch.Generator().manual_seed(11)
        model(torch.randint(0, config["vocab_size"], (2, 64), generator=generator))
    return found


@contextmanager
def _watched(model: Any, config: Mapping[str, Any], note: Callable[[str, Tensor], None]) -> Iterator[None]:
    handles = []

    def watch_input(module: nn.Module, name: str) -> None:
        handles.append(module.register_forward_hook(lambda _, inputs, __: note(name, inputs[0])))

    def watch_output(module: nn.Module, name: str) -> None:
        handles.append(module.register_forward_hook(lambda _, __, output: note(name, output)))

    for layer in range(config["num_hidden_layers"]):
        source, target = model.model.layers[layer], f"transformer.layers.{layer}"
        watch_input(source.self_attn.q_proj, f"{target}.attention.qkv")
        for ours, theirs in _MODULES.items():
            watch_input(source.get_submodule(theirs), f"{target}.{ours}")
        for name in ("k_proj", "v_proj"):
            watch_output(getattr(source.self_attn, name), f"{target}.attention.kv_cache_scaling_factor")
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
