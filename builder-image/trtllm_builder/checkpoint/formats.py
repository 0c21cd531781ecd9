"""Format of each quantized layer of a unified Hugging Face checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, bad_model

SUPPORTED = frozenset(
    {
        "FP8",
        "FP8_PER_CHANNEL_PER_TOKEN",
        "W8A16",
        "W8A8_SQ_PER_CHANNEL",
        "W4A16_AWQ",
        "W4A8_AWQ",
        "NVFP4",
    }
)
"""Values of quant_algo that this loader supports. Others are refused."""

SCALES = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale", "k_scale", "v_scale")
"""Tensors that ModelOpt adds to a layer's weight."""

_NEEDED: Mapping[str, frozenset[str]] = {
    "FP8": frozenset({"weight_scale", "input_scale"}),
    "FP8_PER_CHANNEL_PER_TOKEN": frozenset({"weight_scale"}),
    "W8A16": frozenset({"weight_scale"}),
    "W8A8_SQ_PER_CHANNEL": frozenset({"weight_scale", "input_scale"}),
    "W4A16_AWQ": frozenset({"weight_scale"}),
    "W4A8_AWQ": frozenset({"weight_scale", "weight_scale_2", "input_scale"}),
    "NVFP4": frozenset({"weight_scale", "weight_scale_2", "input_scale"}),
}


CACHE_SCALES = frozenset({"k_scale", "v_scale"})
"""Scales of the KV cache. A layer that is not quantized may have them as well."""

_PACKED = frozenset({"U8", "I8", "F8_E4M3"})
"""Types, by safetensors' names, of weights that need a scale."""
_EXPORT_AGAIN = "The export is incomplete: set the annotation trtllm.dev/retry on the QuantizedModel."

_INT4 = ("W4A16_AWQ", "W4A8_AWQ", "W4A16_GPTQ")


@dataclass(frozen=True)
class LayerFormat:
    """Format of one quantized layer."""

    algorithm: str
    scales: frozenset[str]
    """Names from SCALES that the checkpoint has for the layer."""


def layer_formats(config: Mapping[str, Any], tensors: Iterable[str]) -> dict[str, LayerFormat]:
    """Format by module name. Raises NotSupported for an unsupported format, ArtifactCorrupt for missing scales.

    `config` is config.json's quantization_config; `tensors` are the names in the safetensors files.
    """
    found: dict[str, set[str]] = {}
    for name in tensors:
        module, _, last = name.rpartition(".")
        if last in SCALES:
            found.setdefault(module, set()).add(last)
    layers: Mapping[str, Mapping[str, Any]] = config.get("quantized_layers") or {}
    general = str(config.get("quant_algo"))
    formats: dict[str, LayerFormat] = {}
    for module, scales in found.items():
        if scales <= CACHE_SCALES:
            continue
        algorithm = str(layers[module]["quant_algo"]) if module in layers else general
        if algorithm not in SUPPORTED:
            raise BuilderFailure(
                ExitCode.NOT_SUPPORTED,
                Reason.QUANTIZATION_NOT_SUPPORTED,
                f"The checkpoint's quantization {algorithm} (layer {module}) is not supported by this server.",
                f"Quantize the original model with a QuantizedModel. Supported are {', '.join(sorted(SUPPORTED))}.",
            )
        formats[module] = LayerFormat(algorithm, frozenset(scales))
        refuse_lost_scales(module, formats[module])
    _refuse_lost_cache_scales(config, found)
    unscaled = sorted(set(layers) - set(formats))
    if unscaled or (not formats and general not in {"None", "NO_QUANT"}):
        what = unscaled[0] if unscaled else "any layer"
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint's quantization is {general}, but it has no scales for {what}.",
            _EXPORT_AGAIN,
        )
    return formats


def refuse_lost_scales(module: str, layer: LayerFormat) -> None:
    """Raise ArtifactCorrupt for a layer without a scale that its format needs."""
    lost = sorted(_NEEDED.get(layer.algorithm, frozenset({"weight_scale"})) - layer.scales)
    if lost:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"Layer {module} is {layer.algorithm}, but the checkpoint has no {', '.join(lost)} for it.",
            _EXPORT_AGAIN,
        )


def refuse_unscaled(types: Mapping[str, str]) -> None:
    """Raise ArtifactCorrupt for a packed weight without a scale, which would give wrong answers.

    `types` are the types by tensor name, as safetensors names them.
    """
    for name, kind in types.items():
        module, _, last = name.rpartition(".")
        if last == "weight" and kind in _PACKED and f"{module}.weight_scale" not in types:
            raise bad_model(
                Reason.ARTIFACT_CORRUPT,
                f"The weight of layer {module} is packed as {kind}, but the checkpoint has no weight_scale for it.",
                _EXPORT_AGAIN,
            )


def refuse_wrong_shapes(
    module: str, layer: LayerFormat, out: int, columns: int, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ArtifactCorrupt if the shapes of a layer's tensors do not fit its format and size [out, columns]."""
    weight = shapes.get(f"{module}.weight")
    wanted = {"NVFP4": (out, columns // 2)} | dict.fromkeys(_INT4, (out // 2, columns))
    needed = wanted.get(layer.algorithm, (out, columns))
    if weight is None or tuple(weight) != needed:
        found = "is missing" if weight is None else f"has shape {list(weight)}"
        raise _misshapen(module, layer, f"weight {found}, and should have {list(needed)}")
    scale = tuple(shapes[f"{module}.weight_scale"])
    if layer.algorithm not in wanted:
        if scale not in {(), (1,), (out,)}:
            raise _misshapen(module, layer, f"weight_scale has shape {list(scale)}, and should have [] or [{out}]")
    elif len(scale) != 2 or scale[0] != out or not scale[1] or columns % scale[1]:
        raise _misshapen(module, layer, f"weight_scale {list(scale)} does not divide the layer's [{out}, {columns}]")


def _misshapen(module: str, layer: LayerFormat, what: str) -> BuilderFailure:
    return bad_model(
        Reason.ARTIFACT_CORRUPT,
        f"Layer {module} is {layer.algorithm}, but its {what}.",
        _EXPORT_AGAIN,
    )


def _refuse_lost_cache_scales(config: Mapping[str, Any], found: Mapping[str, set[str]]) -> None:
    """Refuse a checkpoint in which only some attention layers have scales of keys and values."""
    if not config.get("kv_cache_quant_algo") and not config.get("kv_cache_scheme"):
        return
    holders = {part: {name.rpartition(".")[0] for name, has in found.items() if part in has} for part in CACHE_SCALES}
    attentions = holders["k_scale"] | holders["v_scale"]
    lost = sorted(f"{name}.{part}" for part, held in holders.items() for name in attentions - held)
    if lost or not attentions:
        what = lost[0] if lost else "any layer's k_scale"
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint's KV cache is quantized, but {what} is missing.",
            _EXPORT_AGAIN,
        )
