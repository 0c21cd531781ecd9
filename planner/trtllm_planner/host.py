"""Memory and disk that the Jobs need: calibration, conversion, build.

Calibration, GPU memory in bytes (V = vocabulary, T = tokens of one batch, that is batch size x sequence length):

    2 parameters                        the model in 16 bits
    T (2 V + 4 layers kv_heads head_dim + 8 hidden)    logits, the cache that transformers fills, hidden states
    16 x the largest linear layer       its copies while scales are searched and weights packed
    6 V hidden + T (14 V + 2 layers hidden)    Auto: gradients of the embedding, the loss in 32 bits, what they need
    1.5 GiB                             CUDA context, library workspaces

The terms are fitted to peaks of ModelOpt 0.47 on a GPU (docs/planning.md). With less memory, ModelOpt fails or offloads
layers.

Conversion and build, host memory: 2.7 x the source's bytes (NVIDIA's example of Command-R peaks at 2.64 x, a 49B build
peaked at 133 GB), at least 64 GiB for a source of 14 GiB or more (an 8B model died with 48 GB); smaller sources need
8 GiB and 4 x their size (a build of a model of 0.3 GB had 7 GiB). These are heuristics, and messages call them so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trtllm_api.facts import ModelFacts
from trtllm_planner.memory import CONTEXT_BYTES, GIB, weight_bytes
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.layout import ONE_RANK
from trtllm_planner.tensorrt_llm.shards import Cut, cut_of
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime

CALIBRATION_TOKENS = 512
"""Tokens of a calibration batch by default: one sequence of 512."""
WORKING_COPIES = 16
"""Bytes of working memory per weight of the largest linear layer."""
BUILD_SHARE = 2.7
DISK_MARGIN = 1.1


@dataclass(frozen=True)
class HostNeeds:
    """Memory and disk that Jobs need, in bytes."""

    gpu_memory: int
    """Memory of all GPUs together that calibration needs without offloading; 0 if nothing is calibrated."""
    memory: int
    """Host memory that conversion and build need; 0 if nothing is built."""
    disk: int
    """Disk space for source, checkpoint and engine, and a tenth more."""


def host_memory_needed(source_bytes: int) -> int:
    """Host memory in bytes to convert or build a model of this many bytes."""
    return math.ceil(max(min(64 * GIB, 8 * GIB + 4 * source_bytes), BUILD_SHARE * source_bytes))


def calibration_memory_needed(facts: ModelFacts, tokens: int = CALIBRATION_TOKENS, *, searched: bool = False) -> int:
    """GPU memory in bytes to calibrate on batches of `tokens` tokens; `searched`: method Auto chooses the formats."""
    vocabulary, hidden = facts.vocabulary_size, facts.hidden_size
    cache = 4 * facts.layers * facts.key_value_heads * facts.head_dim
    shapes = (item.in_features * item.out_features for item in facts.linears if cut_of(item.name) is not Cut.HEAD)
    size = 2 * facts.parameters + CONTEXT_BYTES
    size += tokens * (2 * vocabulary + cache + 8 * hidden)
    size += WORKING_COPIES * max(shapes, default=hidden * facts.intermediate_size)
    if searched:
        size += 6 * vocabulary * hidden + tokens * (14 * vocabulary + 2 * facts.layers * hidden)
    return size


def artifact_bytes(question: EngineQuestion) -> int:
    """Size of the quantized checkpoint in bytes, which is also about that of all ranks of the engine together."""
    return weight_bytes(replace(question, layout=ONE_RANK))


def host_needs(question: EngineQuestion) -> HostNeeds:
    """Needs of quantizing, unless the checkpoint is quantized already, and of building the engine, if there is one."""
    source = question.facts.bytes
    ready = question.facts.quantization is not None
    quantizes = question.algorithm is not Algorithm.NONE and not ready
    searched = question.algorithm is Algorithm.MIXED
    made = int(quantizes) + int(question.runtime is EngineRuntime.TENSORRT)
    artifact = source if ready else artifact_bytes(question)
    return HostNeeds(
        gpu_memory=calibration_memory_needed(question.facts, searched=searched) if quantizes else 0,
        memory=host_memory_needed(source) if question.runtime is EngineRuntime.TENSORRT else 0,
        disk=math.ceil(DISK_MARGIN * (source + made * artifact)),
    )
