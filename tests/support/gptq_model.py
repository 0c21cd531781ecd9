"""A checkpoint as GPTQ's tools write it: 4-bit codes, zero points and scales by groups; tests of double and cluster.

Run by .venv-builder's Python: `gptq_model.py --model DIRECTORY --output DIRECTORY [--desc-act]`.
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


def packed(codes: Tensor, points: Tensor, scales: Tensor) -> dict[str, Tensor]:
    """Of one layer: codes [in, out] of 0..15, points [groups, out] of 1..16 and scales [groups, out]."""
    inputs, outputs = codes.shape
    qweight = (codes.reshape(-1, 8, outputs) << _SHIFTS[None, :, None]).sum(1, dtype=torch.int32)
    # GPTQ's files hold zero points less one
    qzeros = ((points - 1).reshape(inputs // GROUP, -1, 8) << _SHIFTS).sum(2, dtype=torch.int32)
    return {"qweight": qweight, "qzeros": qzeros, "scales": scales.half()}


def linears(model: Path) -> list[str]:
    """The layers that are quantized, by their names in the checkpoint."""
    return [name.removesuffix(".weight") for name in load_file(model / "model.safetensors") if "_proj." in name]


def make(model: Path, output: Path, *, desc_act: bool = False) -> None:
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
        parts = packed(codes, points.to(torch.int32), scales)
        tensors.update({f"{module}.{name}": tensor.contiguous() for name, tensor in parts.items()})
    save_file(tensors, output / "model.safetensors", {"format": "pt"})
    say_quantized(output, {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": desc_act, "sym": False})


def say_quantized(model: Path, how: dict[str, object]) -> None:
    """Write `quantization_config`, by which everyone recognises such a checkpoint."""
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": how}))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--desc-act", action="store_true")
    arguments = parser.parse_args()
    make(arguments.model, arguments.output, desc_act=arguments.desc_act)


if __name__ == "__main__":
    main()
