"""Completes config.json of a TensorRT-LLM checkpoint: fields that ModelOpt omits, and names that engines expect.

trtllm-build matches exclude_modules and quantized_layers against modules of its own rank,
whose layers are numbered within the stage. For weight-only formats it also matches the names of tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trtllm_api.contract import ExitCode
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint.ranks import COLUMN, LAYERS, ROW, TRANSPOSED, local_name, module_of
from trtllm_builder.checkpoint.tensorrtllm import CONFIG, LAYER_CONFIG
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.safetensors_header import read_header

MIXED = "MIXED_PRECISION"
_ROWWISE = "FP8_PER_CHANNEL_PER_TOKEN"
_SCALES = frozenset({"weights_scaling_factor", "per_channel_scale"})
_EMBEDDINGS = ("*vocab_embedding", "*position_embedding", "*router")
"""Modules that trtllm-build would quantize if exclude_modules did not name them."""
_LAST_NORMS = ("*ln_f", "*ln_embed")
"""Norms that trtllm-build leaves out of FP8_PER_CHANNEL_PER_TOKEN only if exclude_modules is empty."""
_NORMS = {"attention": "input_layernorm", "mlp": "post_layernorm"}
"""Blocks that FP8_PER_CHANNEL_PER_TOKEN quantizes as a whole, and the norms that round their inputs."""

_Recipe = dict[str, frozenset[tuple[str, str]]]
"""Names and data types of each linear layer's tensors."""


def rotation(config: Any) -> tuple[float, float, dict[str, Any] | None]:
    """Rotary embedding of the model: base, rotated fraction of the head, and scaling."""
    rope = dict(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {})
    base = float(rope.pop("rope_theta", None) or getattr(config, "rope_theta", None) or 10000.0)
    part = float(rope.pop("partial_rotary_factor", None) or getattr(config, "partial_rotary_factor", None) or 1.0)
    scaled = rope.get("rope_type", rope.get("type", "default")) != "default"
    return base, part, rope if scaled else None


def set_rotation(config: Any) -> None:
    """Set the fields of transformers 4, which ModelOpt reads. Without them TensorRT-LLM would use a base of 10000."""
    base, _, scaling = rotation(config)
    config.__dict__["rope_theta"] = base
    config.__dict__["rope_scaling"] = scaling and {**scaling, "type": scaling.get("rope_type", scaling.get("type"))}


def finish(source: Any, directory: Path, recipe: Path, checkpoint: Checkpoint) -> None:
    """Complete config.json and quant_cfg.json of an export of one stage; `recipe` has the format of every layer.

    Raises BuilderFailure QuantizationNotSupported if a TensorRT-LLM checkpoint cannot express the quantization.
    """
    config = _read(directory / CONFIG)
    config["mapping"]["cp_size"] = 1
    quantization = config["quantization"] = _read(recipe / CONFIG)["quantization"]
    tensors = {name: header.dtype for name, header in read_header(recipe / "rank0.safetensors").items()}
    _complete_architecture(source, config, tensors)
    _refuse_other_rotation(source, config)
    layers = _by_stage(tensors, int(config["num_hidden_layers"]), checkpoint)
    if quantization.get("quant_algo") == MIXED:
        mixed = _read(recipe / LAYER_CONFIG)
        _localize(mixed, layers, int(config["num_hidden_layers"]), checkpoint)
        _write(directory / LAYER_CONFIG, mixed)
    else:
        (directory / LAYER_CONFIG).unlink(missing_ok=True)
        if quantization.get("quant_algo"):
            _set_scales(quantization, [name for name in layers if _is_quantized(layers[name])], layers)
            quantization["exclude_modules"] = _excluded(str(quantization["quant_algo"]), layers)
    _write(directory / CONFIG, config)


def _complete_architecture(source: Any, config: dict[str, Any], tensors: Mapping[str, str]) -> None:
    """Add fields that trtllm-build's configuration classes need and ModelOpt does not write."""
    if source.model_type == "qwen2":
        config["qwen_type"] = "qwen2"
    else:
        config["attn_bias"] = f"{LAYERS}0.attention.dense.bias" in tensors
        config["mlp_bias"] = f"{LAYERS}0.mlp.proj.bias" in tensors


def _by_stage(tensors: Mapping[str, str], layers: int, checkpoint: Checkpoint) -> _Recipe:
    """Recipes by the names within a stage. Layers of the same name must be quantized in the same way."""
    parts: dict[str, set[tuple[str, str]]] = {}
    for name, kind in tensors.items():
        module, part = name.rpartition(".")[::2]
        if module_of(name)[0] in {*COLUMN, *ROW}:
            parts.setdefault(module, set()).add((part, kind))
    found: _Recipe = {}
    for module, own in parts.items():
        local = local_name(module, layers, checkpoint.pipeline)
        if found.setdefault(local, frozenset(own)) != own:
            raise _refused(
                f"{module} is quantized differently from {local} of another pipeline stage, but a TensorRT-LLM "
                f"checkpoint of {checkpoint.pipeline} stages numbers layers within their stage.",
                "Set spec.checkpoint.pipeline to 1 and raise tensor, or exclude the same layers of every stage.",
            )
    return found


def _localize(mixed: dict[str, Any], layers: _Recipe, count: int, checkpoint: Checkpoint) -> None:
    named: dict[str, Any] = {}
    for module, layer in mixed["quantized_layers"].items():
        if layer["quant_algo"] == _ROWWISE:
            raise _refused(
                f"TensorRT-LLM quantizes whole blocks to {_ROWWISE}, so {module} cannot have it in a mix.",
                "Use FP8 instead of FP8PerChannelPerToken in spec.quantization.auto.candidates.",
            )
        local = local_name(module, count, checkpoint.pipeline)
        _set_scales(layer, [local], layers)
        named[local] = layer
    mixed["quantized_layers"] = named


def _set_scales(layer: dict[str, Any], modules: list[str], layers: _Recipe) -> None:
    """Set pre_quant_scale from the tensors: INT4 weight-only is written as AWQ, but has no scales of its inputs."""
    if layer.get("pre_quant_scale"):
        scaled = {any(part == "prequant_scaling_factor" for part, _ in layers[module]) for module in modules}
        if len(scaled) > 1:
            raise _refused(
                "ModelOpt's export has input scales for some layers only, but TensorRT-LLM needs them for all.",
                "Use INT4WeightOnly, or set spec.checkpoint.format to HuggingFace and use runtime PyTorch.",
            )
        layer["pre_quant_scale"] = scaled == {True}


def _is_quantized(parts: frozenset[tuple[str, str]]) -> bool:
    return any(part in _SCALES for part, _ in parts)


def _excluded(algorithm: str, layers: _Recipe) -> list[str]:
    whole = sorted(name for name, parts in layers.items() if not _is_quantized(parts))
    if algorithm in TRANSPOSED:
        return [*whole, *(f"{name}.weight" for name in whole if name.startswith(LAYERS)), *_EMBEDDINGS]
    if algorithm == _ROWWISE:
        return [*_blocks(whole, layers), *_LAST_NORMS]
    return whole


def _blocks(whole: list[str], layers: _Recipe) -> list[str]:
    """Names of the blocks and their norms, instead of single layers."""
    found = [name for name in whole if not name.startswith(LAYERS)]
    for block in sorted({name.rpartition(".")[0] for name in whole if name.startswith(LAYERS)}):
        quantized = [name for name in layers if name.startswith(f"{block}.") and name not in whole]
        if quantized:
            raise _refused(
                f"TensorRT-LLM quantizes whole blocks to {_ROWWISE}, but excludeModules names only a part of {block}.",
                "Exclude all of self_attn or all of mlp, or use another method.",
            )
        stem, _, kind = block.rpartition(".")
        found += [*(name for name in whole if name.startswith(f"{block}.")), block, f"{stem}.{_NORMS[kind]}"]
    return found


def _refuse_other_rotation(source: Any, config: Mapping[str, Any]) -> None:
    base, part, scaling = rotation(source)
    exported = config.get("rotary_scaling") or None
    written = (config.get("rotary_base"), config.get("rotary_pct"), exported and exported.get("factor"))
    if written != (base, part, scaling and scaling.get("factor")):
        raise _refused(
            f"The rotary embedding of ModelOpt's export differs from the model's: base {written[0]} instead of {base}, "
            f"fraction {written[1]} instead of {part}, scaling {exported} instead of {scaling}.",
            "Set spec.checkpoint.format to HuggingFace and use runtime PyTorch.",
        )


def _refused(message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED, message, remedy)


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
