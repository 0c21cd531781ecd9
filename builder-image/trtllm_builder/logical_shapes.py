"""Linear layers as they compute, whatever way their weights are packed; model_facts.py counts and shapes with it.

AWQ, GPTQ, compressed-tensors and ModelOpt put several narrow weights into one number of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trtllm_api.facts import CheckpointFacts
from trtllm_builder.safetensors_header import TensorHeader

Shape = tuple[int, int]
"""Output features, input features."""
_BITS = {"I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8}
_COMPANIONS = (
    *(".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_2", ".weight_scale_inv", ".weight_shape"),
    *(".weight_global_scale", ".weight_zero_point", ".weight_g_idx", ".input_scale", ".input_global_scale"),
    *(".pre_quant_scale", ".k_scale", ".v_scale", ".absmax", ".quant_map"),
)
_HALVES_OF_ROWS = frozenset({"W4A16_AWQ", "W4A8_AWQ"})
"""ModelOpt puts two output rows into one; its NVFP4 two inputs."""


def is_companion(name: str) -> bool:
    """A scale or zero point beside a weight: no parameter of the model."""
    return name.endswith(_COMPANIONS) or ".quant_state." in name


def linear_of(
    name: str, tensor: TensorHeader, config: Mapping[str, Any], quantized: CheckpointFacts | None
) -> tuple[str, Shape] | None:
    """The module's name and logical shape; None for what is no weight matrix, or packed in a way that is not known."""
    if len(tensor.shape) != 2 or min(tensor.shape) <= 0:
        return None
    rows, columns = tensor.shape
    if name.endswith(".qweight"):
        return _qweight(name.removesuffix(".qweight"), tensor, config, quantized)
    if name.endswith(".weight_packed"):
        per = _BITS.get(tensor.dtype, 0) // _weight_bits(config)
        return (name.removesuffix(".weight_packed"), (rows, columns * per)) if per else None
    if not name.endswith(".weight"):
        return None
    module = name.removesuffix(".weight")
    if tensor.dtype != "U8":
        return module, (rows, columns)
    if quantized is None or quantized.method != "modelopt":
        return None
    halves = quantized.algorithm in _HALVES_OF_ROWS
    return module, (2 * rows, columns) if halves else (rows, 2 * columns)


def _qweight(
    module: str, tensor: TensorHeader, config: Mapping[str, Any], quantized: CheckpointFacts | None
) -> tuple[str, Shape] | None:
    """AutoAWQ packs outputs (its GEMV layout inputs, transposed); GPTQ packs inputs. Both keep inputs first."""
    own = _own(config)
    bits = own.get("bits", own.get("w_bit"))
    width = _BITS.get(tensor.dtype, 0)
    if quantized is None or not isinstance(bits, int) or bits <= 0 or not width:
        return None
    rows, columns = tensor.shape
    if quantized.method == "gptq":
        # three bits do not divide 32, yet 32 weights take three numbers exactly
        return module, (columns, rows * width // bits)
    if quantized.method != "awq" or width % bits:
        return None
    if "gemv" in str(own.get("version", "")).lower():
        return module, (rows, columns * width // bits)
    return module, (columns * width // bits, rows)


def _weight_bits(config: Mapping[str, Any]) -> int:
    """Of compressed-tensors; all of its packed groups have four bits where the config does not say."""
    groups = _own(config).get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        bits = weights.get("num_bits") if isinstance(weights, dict) else None
        if isinstance(bits, int) and bits > 0:
            return bits
    return 4


def _own(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("quantization_config")
    return found if isinstance(found, dict) else {}
