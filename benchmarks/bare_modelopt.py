"""What a practitioner's script does without an operator: load, measure, calibrate, quantize, measure, export.

pipeline.py runs it beside the builder, on the same texts, with the same counts and lengths, by .venv-builder's Python.
"""

from __future__ import annotations

import argparse
import copy
import math
from pathlib import Path

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export import export_hf_checkpoint
from transformers import AutoModelForCausalLM, AutoTokenizer

import trtllm_builder

TEXTS = Path(trtllm_builder.__file__).parent / "texts"


def rows(tokenizer: object, purpose: str, count: int, length: int) -> torch.Tensor:
    """`count` rows of `length` tokens from the builder's texts."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((TEXTS / purpose).glob("*.txt")))
    ids = tokenizer(text)["input_ids"]  # type: ignore[operator]
    step = min(length, (len(ids) - length) // max(1, count - 1))
    return torch.tensor([ids[index * step : index * step + length] for index in range(count)])


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--evaluate", type=int, required=True)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    held_out = rows(tokenizer, "evaluation", arguments.evaluate // 512, 512)
    calibration = rows(tokenizer, "calibration", arguments.samples, arguments.length)

    reference, source = [], 0.0
    with torch.inference_mode():
        for row in held_out:
            log_p = model(row[None]).logits[0, :-1].log_softmax(-1)
            source -= float(log_p.gather(1, row[1:, None]).sum())
            reference.append(log_p)

    def calibrate(under_calibration: torch.nn.Module) -> None:
        with torch.no_grad():
            for row in calibration:
                under_calibration(row[None])

    mtq.quantize(model, copy.deepcopy(mtq.FP8_DEFAULT_CFG), calibrate)
    loss, divergence, agreed = 0.0, 0.0, 0
    with torch.inference_mode():
        for row, log_p in zip(held_out, reference, strict=True):
            log_q = model(row[None]).logits[0, :-1].log_softmax(-1)
            loss -= float(log_q.gather(1, row[1:, None]).sum())
            divergence += float((log_p.exp() * (log_p - log_q)).sum())
            agreed += int((log_q.argmax(-1) == log_p.argmax(-1)).sum())
    export_hf_checkpoint(model, export_dir=arguments.output)
    tokenizer.save_pretrained(arguments.output)
    count = held_out.shape[0] * (held_out.shape[1] - 1)
    print(f"{math.exp(source / count):.2f} {math.exp(loss / count):.2f} {divergence / count:.4f} {agreed / count:.3f}")


if __name__ == "__main__":
    main()
