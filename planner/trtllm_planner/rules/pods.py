"""The rule pod_hygiene: what a pod of a GPU server needs besides GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.host import DISK_MARGIN
from trtllm_planner.memory import GIB, gib
from trtllm_planner.question import EngineQuestion, PodFacts
from trtllm_planner.tensorrt_llm.layout import build_pods, nodes_for

WRITABLE = ("HOME", "HF_HOME", "TRITON_CACHE_DIR")
SHARED_MEMORY = GIB
"""Smallest /dev/shm, in bytes, with which NCCL and MPI start several ranks."""


def _refusal(message: str, remedy: str) -> Verdict:
    return refusal(Reason.POD_UNSUITABLE, message, remedy)


def _warning(message: str, remedy: str) -> Verdict:
    return warning(Reason.POD_UNSUITABLE, message, remedy)


def pod_hygiene(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse shared GPUs, volumes and pods that do not suit the layout."""
    gpu = question.gpu
    if gpu is not None and not gpu.whole and question.layout.world > 1:
        kind = "a MIG slice" if gpu.mig else f"shared by {gpu.replicas} pods"
        yield _refusal(
            f"{gpu.product} is {kind}: {question.layout} needs {question.layout.world} whole GPUs with peer access",
            "use TP 1, or nodes whose GPUs are neither sliced nor shared",
        )
    elif gpu is not None and gpu.replicas > 1:
        yield _warning(
            f"{gpu.product} is shared by {gpu.replicas} pods; nothing limits them to {gib(gpu.usable_mib << 20)} each",
            "use a whole GPU for a server",
        )
    yield from _storage(question)
    if question.pod is not None:
        yield from _pod(question, question.pod)


def _storage(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a ReadWriteOnce volume, which one node mounts at a time, for pods on several nodes."""
    if question.access_mode != "ReadWriteOnce":
        return
    per_node = question.gpus_per_node
    nodes = question.pods or (nodes_for(question.layout.world, per_node) if per_node else 1)
    if question.serving is None and question.build is not None and per_node:  # nothing but the build mounts it
        nodes, _ = build_pods(question.layout, nodes, per_node, question.build.gpus)
    remedy = "use a claim of accessMode ReadWriteMany"
    if nodes > 1:
        yield _refusal(
            f"the claim is ReadWriteOnce, and {question.layout} takes {nodes} pods on {nodes} nodes that all mount it",
            f"{remedy}, or a layout that fits one node",
        )
    elif question.serving is not None and question.serving.replicas > 1:
        yield _warning(
            f"the claim is ReadWriteOnce: of {question.serving.replicas} replicas only those on one node can start",
            remedy,
        )


def _pod(question: EngineQuestion, pod: PodFacts) -> Iterator[Verdict]:
    if pod.gpus > 1:
        yield from _shared_memory(pod)
    if pod.host is not None and pod.host != "0.0.0.0":  # noqa: S104 - a pod's server is reached through its Service
        yield _refusal(f"--host {pod.host} cannot be reached from outside the pod", "use --host 0.0.0.0")
    missing = [name for name in WRITABLE if name not in pod.writable]
    if missing:
        yield _refusal(
            f"{', '.join(missing)} name{'s' if len(missing) == 1 else ''} no writable directory",
            "mount an emptyDir and set the variables to it",
        )
    needed = int(pod.needed_bytes * DISK_MARGIN)
    if pod.volume_bytes is not None and pod.volume_bytes < needed:
        yield _refusal(
            f"the volume has {gib(pod.volume_bytes)}; source, checkpoint and engine need {gib(needed)} (10 % margin)",
            f"use a volume of {gib(needed)} or more",
        )
    if pod.startup_seconds is not None and pod.startup_seconds < pod.needed_startup_seconds:
        yield _refusal(
            f"the startup probe gives {pod.startup_seconds} s, and loading takes about {pod.needed_startup_seconds} s",
            f"allow {pod.needed_startup_seconds} s or more",
        )
    if pod.driver is not None and pod.least_driver is not None and _numbers(pod.driver) < _numbers(pod.least_driver):
        yield _refusal(
            f"the node's driver is {pod.driver}; image {question.image.reference} needs {pod.least_driver} or newer",
            "use nodes with a newer driver, or an older image",
        )
    if pod.offline and pod.needs_hub:
        yield _refusal(
            "the calibration data are on the hub, which an offline pod cannot reach",
            "mount them from a claim or a ConfigMap",
        )
    if pod.host is not None and pod.grace_seconds is None:
        yield _warning(
            "terminationGracePeriodSeconds is not set: 30 s may cut answers short",
            "set it to the time of the longest answer",
        )


def _shared_memory(pod: PodFacts) -> Iterator[Verdict]:
    size = pod.shared_memory_bytes
    if size is None or size < SHARED_MEMORY:
        has = "64 MiB" if size is None else gib(size)
        yield _refusal(
            f"{pod.gpus} GPUs in a pod with {has} of /dev/shm: NCCL fails with a bus error",
            f"mount an emptyDir with medium Memory and {gib(SHARED_MEMORY)} or more at /dev/shm",
        )
    elif pod.memory_limit_bytes is not None and pod.memory_limit_bytes <= size:
        yield _refusal(
            f"the {gib(size)} of /dev/shm are charged to the pod's memory limit of {gib(pod.memory_limit_bytes)}",
            "raise the limit by the size of /dev/shm",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
