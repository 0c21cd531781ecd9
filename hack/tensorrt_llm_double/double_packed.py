"""Checkpoints packed by GPTQ's tools or AutoAWQ, as NVIDIA's convert_checkpoint.py reads them.

double_checkpoints.py calls `put_packed`. Both become the format that TensorRT-LLM calls W4A16_GPTQ: int4 in two rows
per byte, a scale and a zero for each group of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

_SHIFTS = torch.arange(0, 32, 4, dtype=torch.int32)
_AWQ_COLUMNS = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
"""Position of each of eight neighbouring columns among the eight numbers of an int32."""


class NotPacked(Exception):
    """Error with which NVIDIA's script ends."""


def read_all(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, or of a directory's files."""
    held: dict[str, Tensor] = {}
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        held.update(load_file(file))
    return held


def put_packed(
    tensors: dict[str, Tensor], layers: int, held: Mapping[str, Tensor], modules: Mapping[str, Sequence[str]], tool: str
) -> None:
    """Replace the unquantized weights by those of a packed checkpoint.

    `modules`: which of the checkpoint's linear layers each of TensorRT-LLM's is made of; `tool`: GPTQ or AutoAWQ.
    Raises NotPacked.
    """
    for layer in range(layers):
        source, target = f"model.layers.{layer}", f"transformer.layers.{layer}"
        for ours, names in modules.items():
            parts = [_unpack(held, f"{source}.{name}", tool) for name in names]
            codes, scales, zeros = (torch.cat(part) for part in zip(*parts, strict=True))
            tensors[f"{target}.{ours}.weight"] = _pack_rows(codes)
            tensors[f"{target}.{ours}.weights_scaling_factor"] = scales
            tensors[f"{target}.{ours}.zero"] = zeros


def _unpack(held: Mapping[str, Tensor], module: str, tool: str) -> tuple[Tensor, Tensor, Tensor]:
    """int8 [out, in] of -8..7, scale and zero of float32 [out, groups]: weight * scale + zero."""
    if f"{module}.qweight" not in held:
        raise NotPacked(f"there is no {module}.qweight in the {tool} checkpoint")
    qweight, qzeros = held[f"{module}.qweight"], held[f"{module}.qzeros"]
    scale = held[f"{module}.scales"].float().t()
    if tool == "AutoAWQ":
        codes, points = _across(qweight)[:, :, _AWQ_COLUMNS], _across(qzeros)[:, :, _AWQ_COLUMNS]
        codes, points = codes.flatten(1).t(), points.flatten(1).t().float()
    else:
        codes = ((qweight.unsqueeze(1) >> _SHIFTS[None, :, None]) & 0xF).reshape(-1, qweight.shape[1]).t()
        # its files hold zero points less one
        points = _across(qzeros).flatten(1).t().float() + 1
    return (codes - 8).to(torch.int8), scale.contiguous(), ((8 - points) * scale).contiguous()


def _across(values: Tensor) -> Tensor:
    """The eight numbers of every int32."""
    return (values.unsqueeze(-1) >> _SHIFTS) & 0xF


def _pack_rows(codes: Tensor) -> Tensor:
    low, high = codes[0::2].to(torch.int16) & 0xF, codes[1::2].to(torch.int16) & 0xF
    return (low | (high << 4)).to(torch.uint8).view(torch.int8)
