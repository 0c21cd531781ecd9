"""The ladder of a QuantizedModel that names no method: decided once for a spec; pure.

Called by quantizedmodel.observe for the resource and by quantizedmodel.siblings for the others.
"""

from __future__ import annotations

from collections.abc import Iterable

from trtllm_api.base import Device
from trtllm_api.digest import digest_of
from trtllm_api.modelstatus import MethodLadder, QuantizedModelStatus
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.kube.objects import Object, dig, labels_of
from trtllm_planner.inventory import gpu_inventory
from trtllm_planner.quantization.ladder import method_ladder


def decided_ladder(
    spec: QuantizedModelSpec, source_digest: str, status: QuantizedModelStatus, nodes: Iterable[Object]
) -> MethodLadder | None:
    """The ladder in status while all but the nodes is what it was; else a new one. None: named, or no GPU yet.

    A node that comes or goes must not change the request that is running or finished.
    """
    if spec.quantization.method is not None:
        return None
    inputs = _inputs(spec, source_digest)
    known = status.plan.ladder if status.plan is not None else None
    if known is not None and known.inputs == inputs:
        return known
    allowed = (node for node in nodes if _allowed(spec, node)) if spec.device is Device.GPU else ()
    return method_ladder(spec, gpu_inventory(allowed), inputs)


def wants_ladder(resource: Object) -> bool:
    """It names no method, runs on GPUs, and has nothing decided yet: nodes that come may matter to it."""
    method = dig(resource, "spec", "quantization", "method")
    cpu = dig(resource, "spec", "device") == Device.CPU
    return not method and not cpu and not dig(resource, "status", "plan", "ladder")


def gpus_of(node: Object | None) -> object:
    """The parts of a node that may decide a ladder."""
    if node is None:
        return None
    found = gpu_inventory((node,))
    return (found, labels_of(node)) if found.nodes else None


def _inputs(spec: QuantizedModelSpec, source_digest: str) -> str:
    wire = spec.to_wire()
    parts = ("quantization", "calibration", "quality", "checkpoint", "device")
    selector = spec.pod_template.node_selector
    return digest_of({"source": source_digest, "nodes": selector, **{part: wire.get(part) for part in parts}})


def _allowed(spec: QuantizedModelSpec, node: Object) -> bool:
    wanted = spec.pod_template.node_selector or {}
    return wanted.items() <= labels_of(node).items()
