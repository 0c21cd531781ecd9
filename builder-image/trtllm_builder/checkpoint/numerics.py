"""Arithmetic of ModelOpt's export formats on plain tensors: unpacks weights and rounds activations.

Shapes: `out` and `in` are a linear layer's features. Layouts are those of ModelOpt 0.47.
"""

from __future__ import annotations

import torch
from torch import Tensor

FP8_MAX = 448.0
_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_BLOCK = 16


def unpack_int4_rows(packed: Tensor) -> Tensor:
    """Unpack uint8 [out/2, in], with two consecutive output rows per byte, low nibble first, to int8 [out, in]."""
    low, high = (packed & 0xF).to(torch.int8), (packed >> 4).to(torch.int8)
    rows = torch.stack((low, high), dim=1).reshape(2 * packed.shape[0], packed.shape[1])
    return torch.where(rows > 7, rows - 16, rows)


def scale_groups(weight: Tensor, scale: Tensor) -> Tensor:
    """Multiply weight [out, in] by scale [out, in/group]."""
    out, columns = weight.shape
    grouped = weight.reshape(out, scale.shape[1], columns // scale.shape[1]) * scale.unsqueeze(-1)
    return grouped.reshape(out, columns)


def unpack_e2m1_columns(packed: Tensor) -> Tensor:
    """Unpack uint8 [out, in/2], with two consecutive input columns per byte, low nibble first, to float32 [out, in]."""
    table = torch.tensor((*_E2M1, *(-value for value in _E2M1)), device=packed.device)
    codes = torch.stack((packed & 0xF, packed >> 4), dim=-1).reshape(packed.shape[0], -1)
    return table[codes.long()]


def round_fp8(x: Tensor, scale: Tensor | float) -> Tensor:
    """Round to e4m3 with a fixed scale."""
    scaled = (x.float() / scale).clamp(-FP8_MAX, FP8_MAX)
    return (scaled.to(torch.float8_e4m3fn).float() * scale).to(x.dtype)


def round_fp8_per_token(x: Tensor) -> Tensor:
    """Round to e4m3, with a scale per token from its largest value."""
    scale = x.float().abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / FP8_MAX
    return round_fp8(x, scale)


def round_int8(x: Tensor, scale: Tensor) -> Tensor:
    """Round to int8 with a fixed scale."""
    return ((x.float() / scale).round().clamp(-128, 127) * scale).to(x.dtype)


def round_int8_per_token(x: Tensor) -> Tensor:
    """Round to int8, with a scale per token from its largest value."""
    scale = x.float().abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / 127.0
    return round_int8(x, scale)


def quantize_columns(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Quantize weight [out, in] to int8 [out, in] and float32 scale [out], as trtllm-build does for weight-only."""
    limit = 2 ** (bits - 1)
    scale = weight.float().abs().amax(dim=1).clamp(min=1e-12) / limit
    return (weight.float() / scale.unsqueeze(1)).round().clamp(-limit, limit - 1).to(torch.int8), scale


def round_nvfp4(x: Tensor, scale: Tensor) -> Tensor:
    """Round to e2m1 in blocks of 16, with a scale per block in e4m3 times the tensor's `scale`."""
    shape = x.shape
    blocks = x.float().reshape(-1, _BLOCK)
    block_scale = blocks.abs().amax(dim=-1, keepdim=True) / _E2M1[-1]
    block_scale = (block_scale / scale).clamp(max=FP8_MAX).to(torch.float8_e4m3fn).float() * scale
    scaled = torch.where(block_scale > 0, blocks / block_scale, torch.zeros_like(blocks))
    return (_round_e2m1(scaled) * block_scale).reshape(shape).to(x.dtype)


def _round_e2m1(x: Tensor) -> Tensor:
    """Round to the nearest value of e2m1, and ties to the even code."""
    values = torch.tensor(_E2M1, device=x.device)
    bounds = (values[1:] + values[:-1]) / 2
    magnitude = x.abs()
    upper = torch.bucketize(magnitude, bounds, right=True)
    lower = torch.bucketize(magnitude, bounds, right=False)
    code = torch.where(upper % 2 == 0, upper, lower)
    return values[code] * x.sign()
