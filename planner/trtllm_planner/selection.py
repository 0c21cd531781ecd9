"""Verdicts NoMatchingGpu: the cluster has too few GPUs, or none that spec.gpu allows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from trtllm_api.buildoptions import GpuSelector
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.inventory import GpuKind, Inventory
from trtllm_planner.tensorrt_llm.layout import Layout

_MOST = 4
"""Kinds of GPU that a sentence names."""


def _refusal(message: str, remedy: str, **numbers: int | str) -> Verdict:
    return refusal(Reason.NO_MATCHING_GPU, message, remedy, numbers)


def available(inventory: Inventory) -> str:
    """The GPUs as text: `16 x NVIDIA-H100-80GB-HBM3 (2 nodes of 8), 4 x NVIDIA-L4 (1 node)`."""
    parts = [_available(kind, inventory.counts(kind)) for kind in reversed(inventory.kinds()) if inventory.counts(kind)]
    more = len(parts) - _MOST
    return ", ".join(parts[:_MOST]) + (f" and {more} other products" if more > 0 else "") or "none"


def _available(kind: GpuKind, counts: tuple[int, ...]) -> str:
    number = f"{len(counts)} node" + ("s" if len(counts) > 1 else "")
    each = f" of {counts[0]}" if len(counts) > 1 and len(set(counts)) == 1 else ""
    uneven = f" of {', '.join(map(str, counts[:_MOST]))}" if len(set(counts)) > 1 else ""
    return f"{sum(counts)} x {kind.product} ({number}{each}{uneven})"


def nothing_left(inventory: Inventory, selector: GpuSelector | None) -> Verdict:
    """Refusal because spec.gpu allows no GPU of the cluster."""
    if selector is None or not (inventory.nodes or selector.product):
        return _refusal(
            "no node has a GPU: none carries the labels nvidia.com/gpu.product, memory and compute.major",
            "add GPU nodes with the GPU operator or gpu-feature-discovery; or, if an autoscaler adds them, set "
            "spec.gpu.product and spec.gpu.perNode",
        )
    wanted = _wanted(selector)
    has = available(inventory)
    if selector.product is not None and selector.per_node is not None:
        return _refusal(
            f"no node has {wanted} now, and the memory and compute capability of this product are not known",
            "set spec.gpu.computeCapability and spec.gpu.memory, as nvidia-smi reports them",
        )
    names = sorted({kind.product for kind in inventory.kinds()})
    near = [name for name in names if (selector.product or "").lower() in name.lower()]
    near = near or get_close_matches(selector.product or "", names, n=1, cutoff=0.8)
    if selector.product is not None and selector.product not in names:
        hint = f"did you mean {near[0]}? " if near else ""
        remedy = f"{hint}Use a product that a node has, or also set spec.gpu.perNode if an autoscaler adds such nodes"
        remedy = remedy if hint else remedy[0].lower() + remedy[1:]
    else:
        remedy = "relax spec.gpu, or add such nodes"
    return _refusal(f"no node has {wanted}: the cluster has {has}", remedy, wanted=wanted)


def _wanted(selector: GpuSelector) -> str:
    details = [
        f"compute capability {selector.compute_capability}" if selector.compute_capability else "",
        f"{selector.memory} of memory" if selector.memory else "",
        f"{selector.per_node} GPUs per node" if selector.per_node else "",
    ]
    known = ", ".join(item for item in details if item)
    return (selector.product or "a GPU") + (f" ({known})" if known else "")


def too_few(layout: Layout, inventory: Inventory, kinds: Iterable[GpuKind], engine_serves: bool) -> Verdict | None:
    """Refusal because none of these kinds has enough GPUs or nodes for the layout; None without kinds."""
    short = [kind for kind in kinds if inventory.counts(kind)]
    if not short:
        return None
    kept = Inventory(tuple(node for node in inventory.nodes if node.gpu in short))
    most = max(sum(kept.counts(kind)) for kind in short)
    ways = [f"use {most} rank{'s' if most > 1 else ''} or fewer"]
    if engine_serves:
        ways.append("leave spec.serving out and set spec.build.gpus, to build only")
    ways.append("set spec.gpu.perNode if an autoscaler adds nodes")
    return _refusal(
        f"{layout} takes {layout.world} GPUs of one product at the same time, and the cluster has {available(kept)}",
        ", or ".join(ways),
        world=layout.world,
    )


def build_too_large(pods: int, gpus: int, inventory: Inventory, kind: GpuKind) -> Verdict | None:
    """Refusal because a build that is not served needs more nodes than there are; None if it does not."""
    counts = inventory.counts(kind)
    if sum(count >= gpus for count in counts) >= pods:
        return None
    here = Inventory(tuple(node for node in inventory.nodes if node.gpu == kind))
    return _refusal(
        f"the build takes {pods} pods of {gpus} GPUs at the same time, and the cluster has {available(here)}",
        f"set spec.build.gpus to {sum(counts)} or less, so that ranks are built one after another; or set "
        "spec.gpu.perNode if an autoscaler adds nodes",
        pods=pods,
        gpus=gpus,
    )
