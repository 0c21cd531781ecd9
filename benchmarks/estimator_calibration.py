"""Measures on a GPU what a quantize Job needs: peak GPU memory of ModelOpt's calibration, host memory of the export.

`python benchmarks/estimator_calibration.py MODEL METHOD [--batch N] [--length N]`, in the builder's environment, prints
one JSON line, kept in estimator_measured.json, which estimator.py reads. The model has a public model's dimensions and
random weights; it is quantized and exported as the builder does it. The first run compiles ModelOpt's extensions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / name) for name in ("crds", "diagnosis", "planner", "builder-image")]

import torch  # noqa: E402 - the builder is found first
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from trtllm_api.modelstatus import CandidatePlan  # noqa: E402
from trtllm_api.quantization import AutoQuantization, Method  # noqa: E402
from trtllm_builder.progress import Progress  # noqa: E402
from trtllm_builder.quantize import modelopt_adapter  # noqa: E402

DIMENSIONS: dict[str, tuple[int, int, int, int, int, int, bool]] = {
    "Llama-3.2-1B": (2048, 8192, 16, 32, 8, 128256, True),
    "Llama-3.2-3B": (3072, 8192, 28, 24, 8, 128256, True),
    "Llama-3-8B": (4096, 14336, 32, 32, 8, 128256, False),
}
"""hidden, intermediate, layers, heads, key-value heads, vocabulary, tied embeddings."""


def host_peak() -> int:
    """Most memory that this process had, in bytes, since the last `forget`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget() -> None:
    """Begin the host's peak, and the GPU's, anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    torch.cuda.reset_peak_memory_stats()


def build(name: str, layers: int | None) -> Any:
    """The model with random weights, on the GPU."""
    hidden, inner, depth, heads, keys, vocabulary, tied = DIMENSIONS[name]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers or depth,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        head_dim=hidden // heads,
        tie_word_embeddings=tied,
        max_position_embeddings=8192,
        architectures=["LlamaForCausalLM"],
        dtype="bfloat16",
        attn_implementation="sdpa",
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def measure(name: str, method: Method, layers: int | None, samples: int, length: int, batch: int) -> dict[str, Any]:
    """Peaks of one candidate."""
    model = build(name, layers)
    weights = torch.cuda.memory_allocated()
    auto = AutoQuantization(effective_bits="7.5") if method is Method.AUTO else None
    plan = CandidatePlan(method=method, auto=auto)
    generator = torch.Generator(device="cuda").manual_seed(7)
    batches = [
        torch.randint(model.config.vocab_size, (batch, length), device="cuda", generator=generator)
        for _ in range(samples // batch)
    ]
    forget()
    before, started = host_peak(), time.monotonic()
    progress = Progress()
    found: dict[str, Any] = {"weights": weights}
    with progress.step("Quantizing", len(batches), "batches") as step:
        model = modelopt_adapter.quantize(model, plan, batches, step)
    found |= {"calibration": torch.cuda.max_memory_allocated(), "seconds": round(time.monotonic() - started, 1)}
    found["calibrationReserved"] = torch.cuda.max_memory_reserved()
    found["calibrationHost"] = host_peak()
    forget()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        modelopt_adapter.export(model, plan, Path(directory), torch.bfloat16)
        found["artifact"] = sum(path.stat().st_size for path in Path(directory).glob("*.safetensors"))
    found |= {"export": torch.cuda.max_memory_allocated(), "exportSeconds": round(time.monotonic() - started, 1)}
    found |= {"exportHost": host_peak(), "hostBefore": before}
    free, total = torch.cuda.mem_get_info()
    found["outsideTorch"] = total - free - torch.cuda.memory_reserved()
    return found


def main() -> int:
    """One model and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=DIMENSIONS)
    parser.add_argument("method", type=Method)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    asked = parser.parse_args()
    found = measure(asked.model, asked.method, asked.layers, asked.samples, asked.length, asked.batch)
    print(json.dumps({"gpu": torch.cuda.get_device_name(), **vars(asked), **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
