"""Every public failure that we know, and what catches it: preflight's rules, the catalogue, or a canary afterwards.

docs.py prints the table; a test holds that nothing marked Y is uncovered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.entry import Entry

RULES: Final = {
    1: "ImageRuntime",
    2: "AlgorithmVsGpu",
    3: "CheckpointRecognised",
    4: "HeadsAndLayers",
    5: "ShardAlignment",
    6: "Moe",
    7: "WorldSize",
    8: "GpuMemory",
    9: "CalibrationAndHostMemory",
    10: "Lengths",
    11: "EngineRuntime",
    12: "FileIntegrity",
    13: "ArchitectureSupported",
    14: "FeatureCombinations",
    15: "PodHygiene",
}
"""Preflight's rules by number."""


class Foreseen(StrEnum):
    """Whether a failure can be seen before a GPU is used."""

    YES = "Y"
    PARTLY = "P"
    NO = "N"


@dataclass(frozen=True)
class Failure:
    """One public failure."""

    id: str
    what: str
    foreseen: Foreseen
    rules: tuple[int, ...] = ()
    canary: bool = False
    """Only a known prompt or the quality gate after the step sees it."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The catalogue's entries that name it: its own, and those of the same number with a letter."""
        return tuple(e for e in CATALOGUE if e.id == self.id or (e.id[:-1] == self.id and e.id[-1].islower()))

    @property
    def covered(self) -> bool:
        """Whether anything catches it."""
        return bool(self.entries or self.rules or self.canary)


def _table(text: str) -> tuple[Failure, ...]:
    """One failure a line: id, Y|P|N, rules or - or canary, what it is."""
    found = []
    for line in text.strip().splitlines():
        name, foreseen, by, what = line.split(maxsplit=3)
        rules = tuple(int(rule) for rule in by.split(",")) if by[0].isdigit() else ()
        found.append(Failure(name, what, Foreseen(foreseen), rules, canary=by == "canary"))
    return tuple(found)


FAILURES: Final = _table("""
D1 Y - gated or private repository
D2 P 15 the hub refuses more requests
D3 Y 12 Git-LFS pointer or truncated shard
D4 Y 15 volume too small
D5 Y 15 cache on the node's disk
D6 Y 15 no writable HOME or cache directory
D7 Y 13 the image's transformers does not know the model
D8 Y 13 the model brings its own code
D10 Y 12 custom or missing tokenizer
D11 Y 12 no chat template
D12 Y 12 no or ambiguous weight files
C1 Y 3 AWQ file in another layout
C2 Y 3 AutoAWQ or AutoGPTQ directory
C3 Y 3 GPTQ through the LLM API
C5 Y 4 KV heads and tensor parallelism
C6 Y 4 attention heads and tensor parallelism
C7 Y 5 packed shard of 70B AWQ at TP 8
C8 Y 5 packed shard of intermediate size 29568 at TP 8
C9 Y 5 packed shard of intermediate size 13696 at TP 4
C10 Y 5 W4A8 rows no multiple of 128
C11 Y 5 vocabulary and tensor parallelism on an old converter
C12 Y 13 rope_type with an old converter
C14 Y 9 host memory while converting
C16 Y 13 explicit head_dim with old code
C17 Y 5 block FP8 shard of DeepSeek-V3 at TP 32
C18 Y 14 garbage from an INT8 KV cache without calibration
C19 N canary garbage from INT4 or INT8 weight-only
Q1 Y 15 no GPU is visible
Q2 Y 2 unknown or mixed quantization format
Q3 Y 15 calibration set behind an air gap
Q4 Y 15 calibration set unknown
Q5 Y 15 bare name of a calibration set
Q6 N canary the export only warned
Q7 Y 9 offloaded weights
Q8 Y 12 no pad token
Q9 P 9 GPU memory in calibration
Q11 P - calibration without usable ranges
Q13 Y 11 mixed precision on an old runtime
Q14 Y 5 in_features and group size
B1 Y 2 FP8 on a GPU without it
B2 Y 2 FP8 attention on an older GPU
B3 Y 2 row-wise FP8 on Ada
B4 Y 2 W4A8 before Ada
B5 Y 2 integer methods on Blackwell
B6 Y 14 group size without kernel
B7 P 5 shapes differ between checkpoint and configuration
B8 Y 11 names differ between checkpoint and network
B10 Y 14 head size without kernel
B11 Y 2 fused attention on Turing
B13 P 8 no implementation for a node
B14 Y 8 GPU memory while building
B15 Y 11 option unknown to this version
B16 Y 1 image without engine tools
B17 Y 13 architecture unknown to trtllm-build
B18 Y 10,14 options in conflict
B19 Y 10 EAGLE limits
B20 Y 14 options switched off silently
B22 Y 7,11 a rank's file is missing
L1 Y 11 engine of another compute capability
L2 Y 11 engine of another TensorRT
L3 Y 11 engine of another product
L4 P 11 engine cannot be read
L5 Y 11 engine configuration of another version
L6 Y 7,11 engine and processes differ in number
L7 Y 7 MPI size is not TP x PP
L9 Y 7 fewer GPUs than the parallelism needs
L11 P - no peer access between GPUs
L12 Y 15 CUDA IPC across pods
L13 Y 2 kernel not compiled for this GPU
L14 Y 15 driver older than the image's CUDA
L16 Y 8 GPU memory at start of the engine
L17 Y 8 KV cache holds no whole sequence
L18 Y 14 packed input and paged KV cache
L19 Y 14 block reuse needs paged context attention
L20 Y 14 block reuse with INT8 KV cache
S1 Y 2 FP4 before Blackwell
S2 Y 2 block FP8 on another GPU
S4 Y 14 no attention kernel for this combination
S6 Y 3 quantized checkpoint that the PyTorch runtime does not load
S7 Y 3 quant_algo missing or contradictory
S8 Y 14 block or group size without kernel
S11 Y 13 architecture unknown to the runtime
S12 Y 6 experts and expert parallelism
S13 Y 4 bare assertion in attention.py
S15 Y 13 unknown key in the serving configuration
S16 Y 8 the executor does not fit
S18 Y 10 prompt longer than a batch may be
S20 P 10 shape outside the engine's profiles
S22 Y 10 more draft tokens than the engine takes
S23 Y 14 LoRA rank above the maximum
S24 Y 7 too few MPI slots
S25 Y 15 MPI as root
S26 Y 15 MPI cannot reach a node
S28 Y 15 /dev/shm too small
S29 Y 7,15 two ranks on one GPU
S31 Y 15 server listens where probes do not come
S32 N - executor died while the process lives
S33 N canary healthy while hung
S34 Y 15 killed by a probe while loading
""")
"""The failures that docs/failures.md lists."""
