"""Measures on a GPU what the planner estimates: weights, KV cache, activations, logits, the CUDA context.

`python benchmarks/estimator_gpu.py` on a machine with an NVIDIA GPU and torch; prints one JSON line for each case. They
are kept in estimator_measured.json, which estimator.py reads. The decoder computes as serving runtimes do: packed
tokens, fused qkv and gate_up, flash attention, logits of the last token of each sequence alone. Its weights are random,
and gate and up are multiplied without a fused kernel.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch.nn.attention import SDPBackend, sdpa_kernel

BLOCK = 32
DIMENSIONS: dict[str, tuple[int, int, int, int, int, int, int]] = {
    "Llama-2-13B": (5120, 13824, 40, 40, 40, 128, 32000),
    "Llama-3-8B": (4096, 14336, 32, 32, 8, 128, 128256),
    "Qwen2-7B": (3584, 18944, 28, 28, 4, 128, 152064),
    "Qwen2.5-0.5B": (896, 4864, 24, 14, 2, 64, 151936),
}
"""hidden, intermediate, layers, heads, key-value heads, head size, vocabulary."""
TIED = frozenset({"Qwen2.5-0.5B"})
CASES: tuple[tuple[str, str, int, int, int], ...] = (
    ("Llama-3-8B", "NO_QUANT", 8, 2048, 8192),
    ("Llama-3-8B", "NO_QUANT", 64, 2048, 8192),
    ("Llama-3-8B", "NO_QUANT", 256, 1024, 8192),
    ("Llama-3-8B", "NO_QUANT", 8, 16384, 16384),
    ("Llama-3-8B", "NO_QUANT", 1, 32768, 32768),
    ("Llama-3-8B", "FP8", 64, 2048, 8192),
    ("Qwen2-7B", "NO_QUANT", 8, 2048, 8192),
    ("Qwen2-7B", "NO_QUANT", 256, 2048, 16384),
    ("Qwen2-7B", "FP8", 64, 2048, 8192),
    ("Qwen2.5-0.5B", "NO_QUANT", 2048, 512, 8192),
    ("Llama-2-13B", "NO_QUANT", 16, 2048, 8192),
)
"""Model, algorithm, sequences, their length, tokens of a step."""


class Linear:
    """A weight of random numbers, in 16 bits or in FP8 with one scale."""

    def __init__(self, inputs: int, outputs: int, algorithm: str) -> None:
        weight = torch.randn(outputs, inputs, dtype=torch.bfloat16, device="cuda").mul_(inputs**-0.5)
        self.eight_bits = algorithm == "FP8"
        self.weight = weight.to(torch.float8_e4m3fn) if self.eight_bits else weight
        self.scale = torch.ones((), dtype=torch.float32, device="cuda")

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of tokens x inputs."""
        if not self.eight_bits:
            return functional.linear(hidden, self.weight)
        narrow = hidden.to(torch.float8_e4m3fn)
        result: torch.Tensor = torch._scaled_mm(  # noqa: SLF001 - torch has no public name for it
            narrow, self.weight.t(), scale_a=self.scale, scale_b=self.scale, out_dtype=torch.bfloat16
        )
        return result


@dataclass
class Decoder:
    """A decoder of a model's dimensions, its KV cache included."""

    name: str
    algorithm: str
    sequences: int
    length: int

    def __post_init__(self) -> None:
        hidden, inner, layers, heads, keys, size, vocabulary = DIMENSIONS[self.name]
        self.heads, self.keys, self.size = heads, keys, size
        self.layers = [
            (
                torch.ones(2, hidden, dtype=torch.bfloat16, device="cuda"),
                Linear(hidden, (heads + 2 * keys) * size, self.algorithm),
                Linear(heads * size, hidden, self.algorithm),
                Linear(hidden, 2 * inner, self.algorithm),
                Linear(inner, hidden, self.algorithm),
            )
            for _ in range(layers)
        ]
        self.norm = torch.ones(hidden, dtype=torch.bfloat16, device="cuda")
        self.embedding = torch.randn(vocabulary, hidden, dtype=torch.bfloat16, device="cuda")
        self.head = self.embedding if self.name in TIED else torch.randn_like(self.embedding)
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.empty_cache()
        self.weights = torch.cuda.memory_allocated()
        room = -(-self.length // BLOCK) * BLOCK
        shape = (layers, 2, self.sequences, room, keys, size)
        self.cache = torch.zeros(shape, dtype=torch.bfloat16, device="cuda")
        self.cache_bytes = torch.cuda.memory_allocated() - self.weights

    def step(self, sequences: int, tokens: int, start: int) -> torch.Tensor:
        """Hidden states after so many new tokens of each of the first sequences, which have `start` tokens already."""
        ids = torch.randint(self.embedding.shape[0], (sequences * tokens,), device="cuda")
        hidden = functional.embedding(ids, self.embedding)
        angles = torch.outer(
            torch.arange(start, start + tokens, device="cuda", dtype=torch.float32),
            10000.0 ** -torch.linspace(0, 1, self.size // 2, device="cuda"),
        )
        cosine, sine = (value.to(torch.bfloat16)[None, :, None, :] for value in (angles.cos(), angles.sin()))
        for number, (norms, qkv, out, gate_up, down) in enumerate(self.layers):
            normed = functional.rms_norm(hidden, norms[0].shape, norms[0])
            mixed = qkv(normed).view(sequences, tokens, self.heads + 2 * self.keys, self.size)
            del normed
            queries, keys, values = mixed.split((self.heads, self.keys, self.keys), dim=2)
            queries, keys = _rotate(queries, cosine, sine), _rotate(keys, cosine, sine)
            cache = self.cache[number, :, :sequences, : start + tokens]
            cache[0, :, start:] = keys
            cache[1, :, start:] = values
            del keys, values, mixed
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                attended = functional.scaled_dot_product_attention(
                    queries.transpose(1, 2),
                    cache[0].transpose(1, 2),
                    cache[1].transpose(1, 2),
                    is_causal=start == 0,
                    enable_gqa=self.heads != self.keys,
                )
            del queries
            hidden = hidden + out(attended.transpose(1, 2).reshape(sequences * tokens, -1))
            del attended
            normed = functional.rms_norm(hidden, norms[1].shape, norms[1])
            wide = gate_up(normed)
            del normed
            gate, up = wide.chunk(2, dim=-1)
            inner = functional.silu(gate) * up
            del gate, up, wide
            hidden = hidden + down(inner)
            del inner
        return hidden.view(sequences, tokens, -1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of the last token of each sequence, [sequences, vocabulary] in float32."""
        last = functional.rms_norm(hidden[:, -1], self.norm.shape, self.norm)
        return functional.linear(last, self.head).float()


def _rotate(states: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    first, second = states.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def sample(logits: torch.Tensor) -> torch.Tensor:
    """Top-p sampling with a temperature."""
    likely = (logits / 0.7).softmax(-1)
    ordered, indices = likely.sort(dim=-1, descending=True)
    ordered[ordered.cumsum(-1) - ordered > 0.9] = 0
    return indices.gather(-1, ordered.multinomial(1))


def _peak(before: int) -> int:
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


@torch.inference_mode()
def measure(name: str, algorithm: str, sequences: int, length: int, tokens: int) -> dict[str, Any]:
    """Bytes of every item of one case."""
    torch.cuda.empty_cache()
    decoder = Decoder(name, algorithm, sequences, length)
    resting = torch.cuda.memory_allocated()
    each = min(length, tokens)
    together = min(sequences, tokens // each)
    found: dict[str, Any] = {}
    torch.cuda.reset_peak_memory_stats()
    hidden = decoder.step(together, each, 0)
    found["prefill"] = _peak(resting)
    torch.cuda.reset_peak_memory_stats()
    decoder.logits(hidden).argmax(-1)
    found["prefillLogits"] = _peak(resting)
    del hidden
    torch.cuda.reset_peak_memory_stats()
    hidden = decoder.step(sequences, 1, length - 1)
    found["decode"] = _peak(resting)
    torch.cuda.reset_peak_memory_stats()
    logits = decoder.logits(hidden)
    logits.argmax(-1)
    found["greedy"] = _peak(resting)
    torch.cuda.reset_peak_memory_stats()
    sample(logits)
    found["topP"] = _peak(resting)
    free, total = torch.cuda.mem_get_info()
    found["outsideTorch"] = total - free - torch.cuda.memory_reserved()
    found["reserved"] = torch.cuda.memory_reserved()
    return {
        "model": name,
        "algorithm": algorithm,
        "sequences": sequences,
        "length": length,
        "tokens": tokens,
        "weights": decoder.weights,
        "kvCache": decoder.cache_bytes,
        **found,
    }


def main() -> int:
    """Every case, or those whose numbers are given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", type=int, default=range(len(CASES)))
    workspace = torch.ones(1024, 1024, device="cuda", dtype=torch.bfloat16)
    functional.linear(workspace, workspace)  # the library's workspace is the runtime's part, not a case's
    del workspace
    for number in parser.parse_args().cases:
        base = torch.cuda.memory_allocated()
        result = measure(*CASES[number])
        result["weights"] -= base
        print(json.dumps({"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, **result}), flush=True)
        gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
