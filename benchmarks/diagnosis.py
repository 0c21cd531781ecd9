"""Speed and memory of diagnosis over a synthetic build log; run.py calls it, or `python benchmarks/diagnosis.py`.

The log is generated while it is read: configuration, progress bars, tactics, warnings, interleaved ranks, long lines,
and a failure near the end.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figure import Figure

from trtllm_diagnosis import diagnose

MEGABYTES = 200
_BODY = (
    "[11/20/2026-09:00:{s:02}] [TRT] [V] --------------- Timing Runner: transformer/layers/{n}/mlp/fc (GemmPlugin)",
    "[11/20/2026-09:00:{s:02}] [TRT] [V] Tactic: 0x{n:016x} Time: 0.{n} workspace {n} bytes, engine supported formats",
    "[1,{r}]<stderr>:[11/20/2026-09:00:{s:02}] [TRT-LLM] [I] rank {r}: loading layers.{n}.q_proj.weight quant",
    "[11/20/2026-09:00:{s:02}] [TRT] [W] Skipping tactic {n} due to insufficient memory on requested size of {n}.",
    "2026-11-20T09:00:{s:02}.123Z INFO  quantize: num_attention_heads={n} world_size={r} gpu={r} experts=8 reuse=True",
    "Calibrating: {s:3}%|###        | {s}/512 [00:{s:02}<01:00,  3.1it/s, nan_amax=0, error_rate=0.0]",
    "[rank{r}]: INFO prompt {n} of max_num_tokens 8192, kv cache 0.{n}, fp8 e4m3, scale 0.{n}, token ids {n} {n} {n}",
    "node-0:41:88 [{r}] NCCL INFO Channel 0{r}/0 : 0[0] -> {r}[1] via P2P/CUMEM, {n} bytes",
)


def log(megabytes: int) -> Iterator[str]:
    """Lines of about so many MB, and at their end one failure."""
    size = number = 0
    while size < megabytes * 1_000_000:
        line = _BODY[number % len(_BODY)].format(n=number, s=number % 60, r=number % 8) + "\n"
        if number % 20_000 == 0:
            line = "weights " + "0.125, " * 40_000 + "\n"
        number += 1
        size += len(line)
        yield line
    yield "Traceback (most recent call last):\n"
    yield '  File "/x/build.py", line 1, in build\n'
    yield "RuntimeError: Assertion failed: Number of GPUs per node 2 must be at least as large as TP (4)\n"


def measure(megabytes: int = MEGABYTES) -> list[Figure]:
    """MB of log a minute on one core, the generator's own time taken off, and what it adds to the memory."""
    start = time.process_time()
    for _ in log(megabytes):
        pass
    generating = time.process_time() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = diagnose(log(megabytes), 1)
    seconds = time.process_time() - start - generating
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert found is not None
    assert found.id == "L9", found
    rate = megabytes / seconds * 60
    return [
        Figure("diagnosis: log a minute", f"{rate:.0f} MB", ">= 200 MB", rate >= 200),
        Figure("diagnosis: memory added", f"{added:.0f} MiB", "<= 64 MiB", added <= 64),
    ]


if __name__ == "__main__":
    for figure in measure(int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES):
        print(f"{figure.name:32} {figure.value:>12} {figure.goal:>12} {'ok' if figure.reached else 'MISSED'}")
