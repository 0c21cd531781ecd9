"""Short forms of questions about engines; used by the cases beside this file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from public_models import H100, ask

from trtllm_api.facts import CheckpointFacts, Details
from trtllm_planner.inventory import GpuKind
from trtllm_planner.memory import GIB
from trtllm_planner.question import (
    CheckpointFile,
    EngineQuestion,
    EngineStamp,
    FileFacts,
    Limits,
    PodFacts,
)
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime

ENGINE = EngineRuntime.TENSORRT
AWQ, GPTQ = Algorithm.W4A16_AWQ, Algorithm.W4A16_GPTQ
MIG = GpuKind("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", 40192, (8, 0), mig=True)
SHARED = GpuKind("NVIDIA-L4-SHARED", 23034, (8, 9), replicas=4)
SHARD = CheckpointFile("model-00001-of-00002.safetensors", 1100, 92, 1000)
POD = PodFacts(gpus=2, shared_memory_bytes=2 * GIB, memory_limit_bytes=64 * GIB, host="0.0.0.0", grace_seconds=120)  # noqa: S104
STAMP = EngineStamp("1.2.1", H100.product, (9, 0), 1, 1)


def made(**changes: Any) -> EngineQuestion:
    """For the engine runtime, with its limits given."""
    return ask(runtime=ENGINE, **changes)


def limits(**changes: Any) -> Limits:
    return Limits(**{"max_seq_len": 4096, "max_batch_size": 8, **changes})


def checkpoint(method: str, algorithm: Algorithm | None = None, **more: Any) -> dict[str, Any]:
    return {
        "details": Details(checkpoint=CheckpointFacts(method=method, algorithm=algorithm, **more)),
        "algorithm": algorithm or Algorithm.NONE,
    }


def stamp(**changes: Any) -> EngineStamp:
    return replace(STAMP, **changes)


def pod(**changes: Any) -> EngineQuestion:
    return ask(layout=Layout(2), pod=replace(POD, **changes))


def files(*weights: CheckpointFile, **more: Any) -> EngineQuestion:
    return ask(files=FileFacts(weights, **more))
