"""Logical shapes of linear layers, whose weights may be packed or stacked in the file.

AWQ, GPTQ, compressed-tensors and ModelOpt pack several narrow weights into one number of the file. Some mixtures of
experts store all experts in one tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trtllm_api.facts import CheckpointFacts
from trtllm_builder.safetensors_header import TensorHeader

_BITS = {"I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8}
_COMPANIONS = (
    *(".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_2", ".weight_scale_inv", ".weight_shape"),
    *(".weight_global_scale", ".weight_zero_point", ".weight_g_idx", ".input_scale", ".input_global_scale"),
    *(".pre_quant_scale", ".k_scale", ".v_scale", ".absmax", ".quant_map", "_proj_scales", "_scale_inv"),
    *("_weight_scale", "_weight_scale_2", "_input_scale", ".activation_scale"),
)
_HALVES_OF_ROWS = frozenset({"W4A16_AWQ", "W4A8_AWQ"})
"""Algorithms for which ModelOpt packs two output rows into one. For NVFP4 it packs two inputs."""
_STACKED = (".experts.", ".input_linear", ".output_linear")
_DOWN = ("down_proj", "output_linear", "w2")
_BLOCKS = "_blocks"


@dataclass(frozen=True)
class Linears:
    """Linear layers in one tensor."""

    module: str
    outputs: int
    inputs: int
    count: int = 1
    """Number of experts in a stack."""


def is_companion(name: str) -> bool:
    """True for a scale or zero point of a weight, which is not a parameter of the model."""
    return name.endswith(_COMPANIONS) or ".quant_state." in name


def linears_of(
    name: str, tensor: TensorHeader, config: Mapping[str, Any], quantized: CheckpointFacts | None, hidden: int
) -> Linears | None:
    """Linear layers in a tensor; None if it is not a weight matrix, or if its packing is unknown.

    `hidden` is the size of the hidden state, which distinguishes inputs and outputs of stacked experts.
    """
    if not tensor.shape or min(tensor.shape) <= 0:
        return None
    if len(tensor.shape) > 2:
        return _stack(name, tensor, hidden)
    if len(tensor.shape) != 2:
        return None
    rows, columns = tensor.shape
    if name.endswith(".qweight"):
        return _qweight(name.removesuffix(".qweight"), tensor, config, quantized)
    if name.endswith(".weight_packed"):
        per = _BITS.get(tensor.dtype, 0) // _weight_bits(config)
        return Linears(name.removesuffix(".weight_packed"), rows, columns * per) if per else None
    if not name.endswith(".weight"):
        return None
    module = name.removesuffix(".weight")
    if tensor.dtype != "U8":
        return Linears(module, rows, columns)
    if quantized is None or quantized.method != "modelopt":
        return None
    halves = quantized.algorithm in _HALVES_OF_ROWS
    return Linears(module, 2 * rows, columns) if halves else Linears(module, rows, 2 * columns)


def _stack(name: str, tensor: TensorHeader, hidden: int) -> Linears | None:
    """All experts of a layer in one tensor. MXFP4's blocks have two weights per byte, and inputs in two dimensions."""
    module = name.removesuffix(".weight").removesuffix(_BLOCKS)
    if not any(part in name for part in _STACKED) or is_companion(name):
        return None
    count, first, *rest = tensor.shape
    second = 1
    for side in rest:
        second *= side
    if tensor.dtype == "U8":
        second *= 2
    last = module.rpartition(".")[2]
    if name.endswith(_BLOCKS):
        outputs, inputs = first, second
    elif last in _DOWN:
        outputs, inputs = (second, first) if second == hidden != first else (first, second)
    else:
        outputs, inputs = (second, first) if first == hidden != second else (first, second)
    parent = module.rpartition(".")[0].removesuffix(".experts")
    return Linears(f"{parent}.experts.0.{last}", outputs, inputs, count)


def _qweight(
    module: str, tensor: TensorHeader, config: Mapping[str, Any], quantized: CheckpointFacts | None
) -> Linears | None:
    """Linear layer of AutoAWQ, which packs outputs (or, in GEMV layout, inputs), or of GPTQ, which packs inputs."""
    own = _own(config)
    bits = own.get("bits", own.get("w_bit"))
    if bits is None and quantized is not None and quantized.algorithm is not None:
        bits = 8 if quantized.algorithm.startswith("W8") else 4
    width = _BITS.get(tensor.dtype, 0)
    if quantized is None or not isinstance(bits, int) or bits <= 0 or not width:
        return None
    rows, columns = tensor.shape
    if quantized.method == "gptq":
        # 3 does not divide 32, but 32 weights take exactly three numbers
        return Linears(module, columns, rows * width // bits)
    if quantized.method != "awq" or width % bits:
        return None
    if "gemv" in str(own.get("version", "")).lower():
        return Linears(module, rows, columns * width // bits)
    return Linears(module, columns * width // bits, rows)


def _weight_bits(config: Mapping[str, Any]) -> int:
    """Bits of compressed-tensors' packed weights; four if the configuration has no number."""
    groups = _own(config).get("config_groups")
    found = []
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        bits = weights.get("num_bits") if isinstance(weights, dict) else None
        if isinstance(bits, int) and bits > 0:
            found.append(bits)
    return min(found, default=4)


def _own(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("quantization_config")
    return found if isinstance(found, dict) else {}
