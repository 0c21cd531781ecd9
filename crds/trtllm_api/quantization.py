"""Quantization methods and their options; part of QuantizedModel's spec."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from trtllm_api.base import ApiModel, DecimalString, Fraction, ModulePattern, cel


class Method(StrEnum):
    """Quantization methods, named as users of ModelOpt and TensorRT-LLM know them."""

    FP8 = "FP8"
    """Weights and activations in FP8, one scale per tensor; calibrated."""
    FP8_PER_CHANNEL_PER_TOKEN = "FP8PerChannelPerToken"
    """Weights in FP8 with a scale per channel, activations in FP8 with a scale per token."""
    NVFP4 = "NVFP4"
    """Weights and activations in FP4, in groups of 16; calibrated."""
    INT8_SMOOTH_QUANT = "INT8SmoothQuant"
    """Weights and activations in INT8 with SmoothQuant; calibrated."""
    INT8_WEIGHT_ONLY = "INT8WeightOnly"
    """Weights in INT8 with a scale per channel, activations in full precision; no calibration."""
    INT4_WEIGHT_ONLY = "INT4WeightOnly"
    """Weights in INT4 in groups, activations in full precision; no calibration."""
    INT4_AWQ = "INT4AWQ"
    """Weights in INT4 in groups with AWQ, activations in full precision; calibrated."""
    W4A8_AWQ = "W4A8AWQ"
    """Weights in INT4 in groups with AWQ, activations in FP8; calibrated."""
    AUTO = "Auto"
    """The best format for each layer within quantization.auto.effectiveBits; calibrated."""
    NONE = "None"
    """Full precision, unchanged."""
    MIXED = "Mixed"
    """A refused method with its worst modules in full precision; in quality.fallbacks only."""


GROUPED_METHODS = frozenset({Method.INT4_WEIGHT_ONLY, Method.INT4_AWQ, Method.W4A8_AWQ})
"""Methods whose scales cover groups of input columns: the only ones that take a group size."""


WEIGHT_ONLY_METHODS = frozenset({Method.INT8_WEIGHT_ONLY, Method.INT4_WEIGHT_ONLY, Method.NONE})
"""Methods that need no calibration data."""


class KVCache(StrEnum):
    """Precision of the KV cache."""

    FP8 = "FP8"
    """8-bit floating point."""
    INT8 = "INT8"
    """8-bit integers; checkpoints of format TensorRTLLM only."""


class AutoQuantization(ApiModel):
    """Search of ModelOpt for the best format of each layer."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.candidates) || !('Mixed' in self.candidates)",
                    "Mixed is no format of a layer: it is a fallback, for quality.fallbacks",
                )
            ]
        }
    )

    effective_bits: DecimalString
    """Average number of bits per weight that the artifact may have, such as "5.5"."""
    candidates: Annotated[tuple[Method, ...], Field(min_length=1, max_length=4)] = (
        Method.INT4_AWQ,
        Method.FP8,
    )
    """Formats that the search chooses from for each layer."""


class Quantization(ApiModel):
    """Quantization of the model's linear layers: the method and its options."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "(has(self.method) && self.method == 'Auto') == has(self.auto)",
                    "auto is set for method Auto, which needs it, and for no other method",
                ),
                cel(
                    "!has(self.groupSize) || !has(self.method) || "
                    "self.method in ['INT4WeightOnly', 'INT4AWQ', 'W4A8AWQ']",
                    "groupSize applies to INT4WeightOnly, INT4AWQ and W4A8AWQ only",
                ),
                cel(
                    "!has(self.smoothQuantAlpha) || !has(self.method) || self.method == 'INT8SmoothQuant'",
                    "smoothQuantAlpha applies to INT8SmoothQuant only",
                ),
                cel(
                    "!has(self.kvCache) || !has(self.method) || self.method != 'None'",
                    "kvCache needs a quantization method other than None",
                ),
                cel(
                    "!has(self.method) || self.method != 'Mixed'",
                    "Mixed is a fallback: name it in quality.fallbacks, after the methods that it may mix",
                ),
            ]
        }
    )

    method: Method | None = None
    """Quantization method. If omitted, the operator tries the methods that the target GPUs (device CPU: the
    Transformers server) run natively, the smallest artifact first, until one passes the quality gate."""
    group_size: Annotated[int, Field(ge=16, le=1024, multiple_of=16)] | None = None
    """Number of input columns that share one scale, a multiple of 16; methods INT4WeightOnly, INT4AWQ and W4A8AWQ. If
    omitted, it is planned from the model's shapes."""
    kv_cache: KVCache | None = None
    """Precision of the KV cache, for which scales are calibrated. If omitted, the model's own precision."""
    smooth_quant_alpha: Fraction | None = None
    """Share of the activations' range that moves into the weights, "0" to "1"; method INT8SmoothQuant. If omitted,
    ModelOpt's 1.0."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """Names of modules that stay in full precision, with all modules below them, at any depth; * matches anything.
    Examples: layers.2, *.mlp.down_proj, lm_head."""
    auto: AutoQuantization | None = None
    """Search of method Auto for the best format of each layer. Required for method Auto; omitted for every other."""
