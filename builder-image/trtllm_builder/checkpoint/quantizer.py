"""Registers ModelOpt checkpoints with transformers, when this module is imported.

Without it transformers warns "unknown quantization type" and drops the scales: the model's answers are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin, QuantizationMethod

from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint.formats import CACHE_SCALES, SCALES, layer_formats, refuse_unscaled, refuse_wrong_shapes
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.checkpoint.numerics import round_fp8, round_int8
from trtllm_builder.failure import bad_model
from trtllm_builder.safetensors_header import TensorHeader, read_header

METHOD = "modelopt"
KV_ATTENTION = "modelopt_fp8_kv"
INT8_KV_ATTENTION = "modelopt_int8_kv"
_TYPES = {
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E4M3": torch.float8_e4m3fn,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
}


@register_quantization_config(METHOD)
class ModelOptConfig(QuantizationConfigMixin):
    """The quantization_config of config.json, as ModelOpt wrote it."""

    def __init__(self, **values: Any) -> None:
        self.quant_method = cast("QuantizationMethod", METHOD)
        self.values = {**values, "quant_method": METHOD}

    def to_dict(self) -> dict[str, Any]:
        """Return the original values."""
        return dict(self.values)


@register_quantizer(METHOD)
class ModelOptQuantizer(HfQuantizer):
    """Replaces each linear layer that has scales in the checkpoint by a QuantizedLinear."""

    requires_calibration = True

    def _process_model_before_weight_loading(
        self, model: nn.Module, checkpoint_files: list[str] | None = None, **_: Any
    ) -> nn.Module:
        headers: dict[str, TensorHeader] = {}
        for file in checkpoint_files or ():
            headers.update(read_header(Path(file)))
        formats = layer_formats(self.quantization_config.to_dict(), headers)
        for name, layer in formats.items():
            linear = _linear(model, name)
            refuse_wrong_shapes(
                name, layer, linear.out_features, linear.in_features, {key: headers[key].shape for key in headers}
            )
            tensors = {
                part: _empty(headers[f"{name}.{part}"])
                for part in ("weight", *SCALES)
                if part == "weight" or part in layer.scales
            }
            model.set_submodule(name, QuantizedLinear(layer, tensors, linear.bias))
        refuse_unscaled({name: header.dtype for name, header in headers.items()})
        for key, header in headers.items():
            module, last = key.rpartition(".")[::2]
            if last in CACHE_SCALES and module not in formats:
                _linear(model, module).register_buffer(last, _empty(header))
        if any(key.endswith(".k_scale") for key in headers):
            cast("PreTrainedModel", model).set_attn_implementation(KV_ATTENTION)
        return model

    def is_serializable(self) -> bool:
        """False: an artifact is never written again."""
        return False

    @property
    def is_trainable(self) -> bool:
        """False: an artifact is never trained."""
        return False


def _linear(model: nn.Module, name: str) -> nn.Linear:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        module = None
    if isinstance(module, nn.Linear):
        return module
    raise bad_model(
        Reason.ARTIFACT_CORRUPT,
        f"The checkpoint has scales for {name}, which is not a linear layer of {type(model).__name__}.",
        "Add such modules to spec.quantization.excludeModules.",
    )


def _empty(header: TensorHeader) -> torch.Tensor:
    return torch.empty(header.shape, dtype=_TYPES[header.dtype], device="meta")


def _attention_with(rounded: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    """SDPA on keys and values, rounded as a quantized cache stores them."""

    def attention(
        module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *arguments: Any, **options: Any
    ) -> Any:
        k_scale = getattr(getattr(module, "k_proj", None), "k_scale", None)
        v_scale = getattr(getattr(module, "v_proj", None), "v_scale", None)
        if k_scale is not None and v_scale is not None:
            key, value = rounded(key, k_scale.float()), rounded(value, v_scale.float())
        return sdpa_attention_forward(module, query, key, value, *arguments, **options)

    return attention


AttentionInterface.register(KV_ATTENTION, _attention_with(round_fp8))
AttentionInterface.register(INT8_KV_ATTENTION, _attention_with(round_int8))
