"""Checkpoints as the tools of GPTQ and AutoAWQ write them: 4-bit codes, zero points and scales by groups of inputs.

Tests of the double and of the cluster use them.
Run by .venv-builder's Python: `packed_model.py --model DIRECTORY --output DIRECTORY --tool gptq|awq [--desc-act]`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

GROUP = 64
_SHIFTS = torch.arange(0, 32, 4, dtype=torch.int32)
_AWQ_COLUMNS = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])
"""Of eight neighbours, the one that each four bits of an int32 hold, the lowest first."""


def packed(codes: Tensor, points: Tensor, scales: Tensor, tool: str = "gptq") -> dict[str, Tensor]:
    """Of one layer: codes [in, out] of 0..15, points [groups, out] and scales [groups, out].

    Zero points are 1..16 for GPTQ, whose files hold them less one, and 0..15 for AutoAWQ.
    """
    inputs, outputs = codes.shape
    if tool == "awq":
        return {
            "qweight": _across(codes, _AWQ_COLUMNS),
            "qzeros": _across(points, _AWQ_COLUMNS),
            "scales": scales.half(),
        }
    qweight = (codes.reshape(inputs // 8, 8, outputs) << _SHIFTS[None, :, None]).sum(1, dtype=torch.int32)
    return {"qweight": qweight, "qzeros": _across(points - 1, torch.arange(8)), "scales": scales.half()}


def linears(model: Path) -> list[str]:
    """The layers that are quantized, by their names in the checkpoint."""
    return [name.removesuffix(".weight") for name in load_file(model / "model.safetensors") if "_proj." in name]


def make(model: Path, output: Path, tool: str, *, desc_act: bool = False) -> None:
    """Round a model's weights to four bits; with `desc_act` its configuration says that columns are reordered."""
    shutil.copytree(model, output)
    tensors = load_file(model / "model.safetensors")
    for module in linears(model):
        wide = tensors.pop(f"{module}.weight").float().t()
        grouped = wide.reshape(-1, GROUP, wide.shape[1])
        lowest, highest = grouped.amin(1).clamp(max=0), grouped.amax(1).clamp(min=0)
        scales = ((highest - lowest) / 15).clamp(min=1e-8).half().float()
        points = (-lowest / scales).round().clamp(1, 15)
        codes = (grouped / scales.unsqueeze(1)).round() + points.unsqueeze(1)
        codes = codes.clamp(0, 15).reshape(wide.shape).to(torch.int32)
        parts = packed(codes, points.to(torch.int32), scales, tool)
        tensors.update({f"{module}.{name}": tensor.contiguous() for name, tensor in parts.items()})
    save_file(tensors, output / "model.safetensors", {"format": "pt"})
    how: dict[str, object] = {"quant_method": tool, "bits": 4, "group_size": GROUP}
    how |= {"zero_point": True, "version": "gemm"} if tool == "awq" else {"desc_act": desc_act, "sym": False}
    say_quantized(output, how)


def say_quantized(model: Path, how: dict[str, object]) -> None:
    """Write `quantization_config`, by which everyone recognises such a checkpoint."""
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": how}))


def _across(values: Tensor, columns: Tensor) -> Tensor:
    """Eight neighbouring columns in an int32."""
    eights = values.reshape(values.shape[0], -1, 8)[:, :, columns]
    return (eights << _SHIFTS).sum(2, dtype=torch.int32)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tool", choices=["gptq", "awq"], required=True)
    parser.add_argument("--desc-act", action="store_true")
    arguments = parser.parse_args()
    make(arguments.model, arguments.output, arguments.tool, desc_act=arguments.desc_act)


if __name__ == "__main__":
    main()
