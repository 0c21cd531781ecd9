"""A LoRA adapter as PEFT saves it, with weights loud enough to be heard; tests of double and cluster use it.

The same seed gives the same adapter on every machine.

Run by .venv-builder's Python: `lora_adapter.py --model DIRECTORY --output DIRECTORY [--rank 8] [--seed 1]`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from support.drawn import drawn

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PREFIX = "base_model.model."


def make(model: Path, output: Path, *, rank: int = 8, seed: int = 1, modules: Sequence[str] = MODULES) -> None:
    """Write adapter_config.json and adapter_model.safetensors for a Llama-like model in one file.

    Each product of B and A is about as large as the weight that it is added to.
    """
    alpha = 2 * rank
    tensors: dict[str, Tensor] = {}
    for name, weight in load_file(model / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if module.rpartition(".")[2] not in modules:
            continue
        outputs, inputs = weight.shape
        low, high = drawn(f"{seed}.{module}.A", (rank, inputs)), drawn(f"{seed}.{module}.B", (outputs, rank))
        # drawn numbers have a third for their mean square; a power of two hides how a processor adds up
        loudness = float(weight.float().std()) * 3 * rank / alpha / rank**0.5
        high *= 2.0 ** round(math.log2(loudness))
        tensors[f"{_PREFIX}{module}.lora_A.weight"], tensors[f"{_PREFIX}{module}.lora_B.weight"] = low, high
    output.mkdir(parents=True)
    save_file(tensors, output / "adapter_model.safetensors", {"format": "pt"})
    # servers run as another user
    (output / "adapter_model.safetensors").chmod(0o644)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(model),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "r": rank,
        "target_modules": list(modules),
    }
    (output / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    make(arguments.model, arguments.output, rank=arguments.rank, seed=arguments.seed)


if __name__ == "__main__":
    main()
