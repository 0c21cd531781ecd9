"""Which format each quantized layer of a unified Hugging Face checkpoint has; quantizer.py builds modules from it."""

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
"""quant_algo values that this loader computes with; everything else is refused."""

SCALES = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale", "k_scale", "v_scale")
"""Tensors that ModelOpt puts beside a layer's weight."""

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
"""Those of SCALES that say nothing about the weight: they lie beside a layer that is not quantized, too."""

_PACKED = frozenset({"U8", "I8", "F8_E4M3"})
"""Types, as safetensors names them, that mean nothing without a scale."""

_INT4 = ("W4A16_AWQ", "W4A8_AWQ", "W4A16_GPTQ")


@dataclass(frozen=True)
class LayerFormat:
    """One quantized layer."""

    algorithm: str
    scales: frozenset[str]
    """Those of SCALES that the checkpoint holds for it."""


def layer_formats(config: Mapping[str, Any], tensors: Iterable[str]) -> dict[str, LayerFormat]:
    """Format by module name. Raises NotSupported for a format that is not computed, ArtifactCorrupt for lost scales.

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
                f"The checkpoint's quantization {algorithm} (layer {module}) is not one that this server computes.",
                f"Quantize the original model with a QuantizedModel; supported are {', '.join(sorted(SUPPORTED))}.",
            )
        formats[module] = LayerFormat(algorithm, frozenset(scales))
        refuse_lost_scales(module, formats[module])
    _refuse_lost_cache_scales(config, found)
    unscaled = sorted(set(layers) - set(formats))
    if unscaled or (not formats and general not in {"None", "NO_QUANT"}):
        what = unscaled[0] if unscaled else "any layer"
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint says that it is quantized ({general}), but holds no scales for {what}.",
            "It was not exported whole: set the annotation trtllm.dev/retry on the QuantizedModel.",
        )
    return formats


def refuse_lost_scales(module: str, layer: LayerFormat) -> None:
    """Raise ArtifactCorrupt for a layer without a scale that its format computes with."""
    lost = sorted(_NEEDED.get(layer.algorithm, frozenset({"weight_scale"})) - layer.scales)
    if lost:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"Layer {module} is {layer.algorithm}, but the checkpoint holds no {', '.join(lost)} for it.",
            "It was not exported whole: set the annotation trtllm.dev/retry on the QuantizedModel.",
        )


def refuse_unscaled(types: Mapping[str, str]) -> None:
    """Raise ArtifactCorrupt for a packed weight whose scale is lost: loaded as it lies there, it answers nonsense.

    `types` are the types by tensor name, as safetensors names them.
    """
    for name, kind in types.items():
        module, _, last = name.rpartition(".")
        if last == "weight" and kind in _PACKED and f"{module}.weight_scale" not in types:
            raise bad_model(
                Reason.ARTIFACT_CORRUPT,
                f"The weight of layer {module} is packed as {kind}, but the checkpoint holds no weight_scale for it.",
                "It was not exported whole: set the annotation trtllm.dev/retry on the QuantizedModel.",
            )


def refuse_wrong_shapes(
    module: str, layer: LayerFormat, out: int, columns: int, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ArtifactCorrupt for a layer whose tensors are not those of its format at its size [out, columns]."""
    weight = shapes.get(f"{module}.weight")
    wanted = {"NVFP4": (out, columns // 2)} | dict.fromkeys(_INT4, (out // 2, columns))
    needed = wanted.get(layer.algorithm, (out, columns))
    if weight is None or tuple(weight) != needed:
        found = "is missing" if weight is None else f"has shape {list(weight)}"
        raise _misshapen(module, layer, f"weight {found}, where {list(needed)} belongs")
    scale = tuple(shapes[f"{module}.weight_scale"])
    if layer.algorithm not in wanted:
        if scale not in {(), (1,), (out,)}:
            raise _misshapen(module, layer, f"weight_scale has shape {list(scale)}, where [] or [{out}] belongs")
    elif len(scale) != 2 or scale[0] != out or not scale[1] or columns % scale[1]:
        raise _misshapen(module, layer, f"weight_scale {list(scale)} does not divide the layer's [{out}, {columns}]")


def _misshapen(module: str, layer: LayerFormat, what: str) -> BuilderFailure:
    return bad_model(
        Reason.ARTIFACT_CORRUPT,
        f"Layer {module} is {layer.algorithm}, but its {what}.",
        "It was not exported whole: set the annotation trtllm.dev/retry on the QuantizedModel.",
    )


def _refuse_lost_cache_scales(config: Mapping[str, Any], found: Mapping[str, set[str]]) -> None:
    """Keys and values of every attention layer have a scale, or those of none."""
    if not config.get("kv_cache_quant_algo") and not config.get("kv_cache_scheme"):
        return
    holders = {part: {name.rpartition(".")[0] for name, has in found.items() if part in has} for part in CACHE_SCALES}
    attentions = holders["k_scale"] | holders["v_scale"]
    lost = sorted(f"{name}.{part}" for part, held in holders.items() for name in attentions - held)
    if lost or not attentions:
        what = lost[0] if lost else "any layer's k_scale"
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint says that its KV cache is quantized, but does not hold {what}.",
            "It was not exported whole: set the annotation trtllm.dev/retry on the QuantizedModel.",
        )
