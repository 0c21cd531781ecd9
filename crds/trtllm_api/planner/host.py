"""Memory and disk that the Jobs themselves need: calibration, conversion, build; used by rules and by the planner.

Heuristics, and called so wherever they are shown. Calibration: GPU memory of 1.2 x the source's bytes, or layers are
offloaded and ModelOpt fails. Conversion and build: 2.7 x the source's bytes in host memory (a 49B build peaked at
133 GB), and 64 GiB for a source of 15 GiB (an 8B model died with 48 GB); smaller sources need 4 GiB and 4 x their size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trtllm_api.planner.mapping import ONE_RANK
from trtllm_api.planner.memory import GIB, weight_bytes
from trtllm_api.planner.question import EngineQuestion
from trtllm_api.planner.tables import Algorithm, EngineRuntime

CALIBRATION_SHARE = 1.2
BUILD_SHARE = 2.7
DISK_MARGIN = 1.1


@dataclass(frozen=True)
class HostNeeds:
    """What a Job should ask for, in bytes."""

    gpu_memory: int
    """Of all GPUs together, to calibrate without offloading."""
    memory: int
    """Of the host, to convert and build."""
    disk: int
    """Source, checkpoint and engine, and a tenth more."""


def host_memory_needed(source_bytes: int) -> int:
    """To convert or build a model of this many bytes."""
    return math.ceil(max(min(64 * GIB, 4 * GIB + 4 * source_bytes), BUILD_SHARE * source_bytes))


def calibration_memory_needed(source_bytes: int) -> int:
    """GPU memory to calibrate a model of this many bytes."""
    return math.ceil(CALIBRATION_SHARE * source_bytes)


def artifact_bytes(question: EngineQuestion) -> int:
    """Size of the quantized checkpoint; about that of all ranks of the engine together, too."""
    return weight_bytes(replace(question, layout=ONE_RANK))


def host_needs(question: EngineQuestion) -> HostNeeds:
    """For quantizing, unless the checkpoint is quantized already, and building the engine, where there is one."""
    source = question.facts.bytes
    ready = question.facts.quantization is not None
    quantizes = question.algorithm is not Algorithm.NONE and not ready
    made = int(quantizes) + int(question.runtime is EngineRuntime.TENSORRT)
    artifact = source if ready else artifact_bytes(question)
    return HostNeeds(
        gpu_memory=calibration_memory_needed(source) if quantizes else 0,
        memory=host_memory_needed(source),
        disk=math.ceil(DISK_MARGIN * (source + made * artifact)),
    )
