"""Quantization methods and their options; part of QuantizedModel's spec."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from trtllm_api.base import ApiModel, DecimalString, Fraction, ModulePattern, cel


class Method(StrEnum):
    """Quantization methods, named as users of ModelOpt and TensorRT-LLM know them."""

    FP8 = "FP8"
    FP8_PER_CHANNEL_PER_TOKEN = "FP8PerChannelPerToken"
    NVFP4 = "NVFP4"
    INT8_SMOOTH_QUANT = "INT8SmoothQuant"
    INT8_WEIGHT_ONLY = "INT8WeightOnly"
    INT4_WEIGHT_ONLY = "INT4WeightOnly"
    INT4_AWQ = "INT4AWQ"
    W4A8_AWQ = "W4A8AWQ"
    AUTO = "Auto"
    NONE = "None"
    MIXED = "Mixed"
    """A fallback only: a method refused before it, with the modules that err most in full precision."""


GROUPED_METHODS = frozenset({Method.INT4_WEIGHT_ONLY, Method.INT4_AWQ, Method.W4A8_AWQ})
"""Methods whose scales cover groups of input columns: the only ones that take a group size."""


WEIGHT_ONLY_METHODS = frozenset({Method.INT8_WEIGHT_ONLY, Method.INT4_WEIGHT_ONLY, Method.NONE})
"""Methods that need no calibration data."""


class KVCache(StrEnum):
    """Precision of the attention cache, where it is not the model's own."""

    FP8 = "FP8"
    INT8 = "INT8"


class AutoQuantization(ApiModel):
    """ModelOpt's search for the best format of each layer."""

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
    candidates: Annotated[tuple[Method, ...], Field(min_length=1, max_length=4)] = (
        Method.INT4_AWQ,
        Method.FP8,
    )


class Quantization(ApiModel):
    """How to quantize."""

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
    """Omitted: the methods that the target GPU runs natively, the smallest first, until one passes the quality gate."""
    group_size: Annotated[int, Field(ge=16, le=1024, multiple_of=16)] | None = None
    """Input columns that share one scale; planned from the model's shapes when omitted."""
    kv_cache: KVCache | None = None
    smooth_quant_alpha: Fraction | None = None
    """How much of the activations' difficulty moves into the weights, 0 to 1; ModelOpt's 1.0 when omitted."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """Module names to leave in full precision; * matches anything."""
    auto: AutoQuantization | None = None
