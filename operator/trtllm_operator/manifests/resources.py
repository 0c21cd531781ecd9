"""Resource requests of each stage, planned from ModelFacts; used by children.pod's callers and by preflight's messages.

The formulas are upper estimates of what the builder was seen to need; users override them in podTemplate.resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trtllm_api.base import Device
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import ResourceRequirements
from trtllm_planner.host import host_memory_needed

GPU_RESOURCE = "nvidia.com/gpu"
MIB = 1024**2
GIB = 1024**3
RUNTIME_BYTES = 1536 * MIB
"""Python with torch, transformers and ModelOpt imported, and their buffers."""
RANK_BYTES = 3 * GIB
"""Host memory of one trtllm-serve process: libraries, CUDA context, pinned buffers."""
_ROUND = 256 * MIB


@dataclass(frozen=True)
class Resources:
    """Requests and limits of one container."""

    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)

    def merged(self, user: ResourceRequirements | None) -> Resources:
        """The user's values over these; a request above its limit pulls the limit up, a limit below pulls it down.

        Kubernetes refuses a pod whose request exceeds its limit, or differs from it for a device, and who sets one
        value should not have to know the planned other one.
        """
        if user is None:
            return self
        requests = dict(self.requests) | (user.requests or {})
        limits = dict(self.limits) | (user.limits or {})
        for name in requests.keys() & limits.keys():
            if _is_device(name):
                requests[name] = limits[name] = (user.limits or {}).get(name) or requests[name]
            if parse_quantity(requests[name]) <= parse_quantity(limits[name]):
                continue
            if name in (user.limits or {}):
                requests[name] = limits[name]
            else:
                limits[name] = requests[name]
        return Resources(requests, limits)

    def with_gpus(self, count: int) -> Resources:
        """Limits and requests with this number of GPUs, which replaces any other."""
        gpus = {GPU_RESOURCE: str(count)}
        return Resources({**self.requests, **gpus}, {**self.limits, **gpus})

    def without(self, name: str) -> Resources:
        """Nothing of that resource."""
        kept = [{key: value for key, value in part.items() if key != name} for part in (self.requests, self.limits)]
        return Resources(*kept)

    def to_wire(self) -> dict[str, dict[str, str]]:
        """The JSON form; empty parts left out."""
        parts = {"requests": dict(self.requests), "limits": dict(self.limits)}
        return {key: value for key, value in parts.items() if value}


def _is_device(name: str) -> bool:
    return "/" in name


_SUFFIXES = {
    "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip


def parse_quantity(text: str) -> float:
    """A Kubernetes quantity as a number: `1536Mi` -> 1610612736.0, `250m` -> 0.25."""
    digits = text.rstrip("mkKMGTPi")
    return float(digits) * _SUFFIXES[text[len(digits) :]]


def _mebibytes(count: float) -> str:
    return f"{-(-int(count) // _ROUND) * _ROUND // MIB}Mi"


def fetch_resources() -> Resources:
    """Fetching streams files and reads headers: independent of the model's size."""
    return Resources({"cpu": "250m", "memory": "512Mi"}, {"memory": "2Gi"})


def quantize_bytes(facts: ModelFacts, device: Device, tokens_in_flight: int) -> int:
    """Host memory of a quantize Job, in bytes; tokens_in_flight = batch size x sequence length.

    CPU: fp32 weights of the source, of its quantized copy and of half a reloaded artifact (4 x 2.5 bytes a parameter),
    and six fp32 logits of a batch. GPU: the weights pass through host memory once, with a fifth on top.
    """
    if device is Device.GPU:
        return int(RUNTIME_BYTES + 2.5 * GIB + 1.2 * facts.bytes)
    return int(RUNTIME_BYTES + 10 * facts.parameters + 24 * tokens_in_flight * max(facts.vocabulary_size, 32768))


def quantize_resources(facts: ModelFacts, device: Device, tokens_in_flight: int) -> Resources:
    """Request the estimate, and stop at twice of it: a wrong estimate should not take the node down."""
    need = quantize_bytes(facts, device, tokens_in_flight)
    requests = {"cpu": "1", "memory": _mebibytes(need)}
    limits = {"memory": _mebibytes(2 * need)}
    return _with_gpu(Resources(requests, limits), device)


def serve_resources(artifact_bytes: int, device: Device) -> Resources:
    """Memory of a server: on a CPU, the packed artifact (at 4 bits the smallest) is kept as fp32 weights."""
    need = RUNTIME_BYTES + (8 * artifact_bytes if device is Device.CPU else 2 * artifact_bytes)
    return _with_gpu(Resources({"cpu": "500m", "memory": _mebibytes(need)}, {"memory": _mebibytes(2 * need)}), device)


def convert_resources(source_bytes: int) -> Resources:
    """convert_checkpoint.py holds the whole model in host memory, and a GPU for what calibrates."""
    return _of_engine(host_memory_needed(source_bytes), gpus=1)


def build_resources(source_bytes: int, gpus: int, pods: int) -> Resources:
    """One of the pods that build: each holds its share of the ranks."""
    return _of_engine(host_memory_needed(-(-source_bytes // pods)), gpus=gpus)


def publish_resources() -> Resources:
    """Publishing reads every file once, to hash it."""
    return Resources({"cpu": "500m", "memory": "512Mi"}, {"memory": "2Gi"})


def engine_serve_resources(artifact_bytes: int, gpus: int, shared_memory: str) -> Resources:
    """One pod of trtllm-serve: a process for each GPU, this pod's part of the artifact on its way to them."""
    need = gpus * RANK_BYTES + int(1.2 * artifact_bytes)
    return _of_engine(need, gpus=gpus, shared_memory=shared_memory)


def shared_memory_for(gpus: int) -> str:
    """Size of /dev/shm: NCCL and the ranks' queues take more with every process that takes part."""
    return f"{2 * gpus if gpus > 1 else 1}Gi"


def _of_engine(need: int, *, gpus: int, shared_memory: str | None = None) -> Resources:
    """Twice the estimate as the limit, and /dev/shm: what lies there counts as the container's memory."""
    shared = int(parse_quantity(shared_memory or shared_memory_for(gpus)))
    requests = {"cpu": "1", "memory": _mebibytes(need)}
    return Resources(requests, {"memory": _mebibytes(2 * need + shared)}).with_gpus(gpus)


def _with_gpu(resources: Resources, device: Device) -> Resources:
    return resources if device is Device.CPU else resources.with_gpus(1)
