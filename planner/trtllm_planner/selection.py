"""The Verdict GpuInventory: the cluster's GPUs against what is asked for; for decide."""

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
    """`16 x NVIDIA-H100-80GB-HBM3 (2 nodes of 8), 4 x NVIDIA-L4 (1 node)`."""
    parts = [_available(kind, inventory.counts(kind)) for kind in reversed(inventory.kinds()) if inventory.counts(kind)]
    more = len(parts) - _MOST
    return ", ".join(parts[:_MOST]) + (f" and {more} other products" if more > 0 else "") or "none"


def _available(kind: GpuKind, counts: tuple[int, ...]) -> str:
    number = f"{len(counts)} node" + ("s" if len(counts) > 1 else "")
    each = f" of {counts[0]}" if len(counts) > 1 and len(set(counts)) == 1 else ""
    uneven = f" of {', '.join(map(str, counts[:_MOST]))}" if len(set(counts)) > 1 else ""
    return f"{sum(counts)} x {kind.product} ({number}{each}{uneven})"


def nothing_left(inventory: Inventory, selector: GpuSelector | None) -> Verdict:
    """No GPU of the cluster is what spec.gpu asks for."""
    if selector is None or not (inventory.nodes or selector.product):
        return _refusal(
            "no node has a GPU: none carries the labels nvidia.com/gpu.product, memory and compute.major",
            "add GPU nodes with the GPU operator or gpu-feature-discovery; or, if an autoscaler brings them, set "
            "gpu.product and gpu.perNode",
        )
    wanted = _wanted(selector)
    has = available(inventory)
    if selector.product is not None and selector.per_node is not None:
        return _refusal(
            f"no node has {wanted} now, and what such a GPU is cannot be told from its name",
            "set gpu.computeCapability and gpu.memory, as nvidia-smi reports them",
        )
    names = sorted({kind.product for kind in inventory.kinds()})
    near = [name for name in names if (selector.product or "").lower() in name.lower()]
    near = near or get_close_matches(selector.product or "", names, n=1, cutoff=0.8)
    if selector.product is not None and selector.product not in names:
        hint = f"did you mean {near[0]}? " if near else ""
        remedy = f"{hint}Use a product that there is, or set gpu.perNode, too, if an autoscaler brings such nodes"
        remedy = remedy if hint else remedy[0].lower() + remedy[1:]
    else:
        remedy = "relax spec.gpu, or add such nodes"
    return _refusal(f"no node has {wanted}: the cluster has {has}", remedy, wanted=wanted)


def _wanted(selector: GpuSelector) -> str:
    details = [
        f"compute capability {selector.compute_capability}" if selector.compute_capability else "",
        f"{selector.memory} of memory" if selector.memory else "",
        f"{selector.per_node} GPUs a node" if selector.per_node else "",
    ]
    known = ", ".join(item for item in details if item)
    return (selector.product or "a GPU") + (f" ({known})" if known else "")


def too_few(layout: Layout, inventory: Inventory, kinds: Iterable[GpuKind], engine_serves: bool) -> Verdict | None:
    """Kinds that could carry a layout, had they more GPUs or nodes."""
    short = [kind for kind in kinds if inventory.counts(kind)]
    if not short:
        return None
    kept = Inventory(tuple(node for node in inventory.nodes if node.gpu in short))
    most = max(sum(kept.counts(kind)) for kind in short)
    ways = [f"ask for {most} rank{'s' if most > 1 else ''} at most"]
    if engine_serves:
        ways.append("leave serving out and set build.gpus to build only")
    ways.append("set gpu.perNode if an autoscaler brings more nodes")
    return _refusal(
        f"{layout} takes {layout.world} GPUs of one product at the same time, and the cluster has {available(kept)}",
        ", or ".join(ways),
        world=layout.world,
    )


def build_too_large(pods: int, gpus: int, inventory: Inventory, kind: GpuKind) -> Verdict | None:
    """The pods of a build that is not served must find nodes, too."""
    counts = inventory.counts(kind)
    if sum(count >= gpus for count in counts) >= pods:
        return None
    here = Inventory(tuple(node for node in inventory.nodes if node.gpu == kind))
    return _refusal(
        f"the build takes {pods} pods of {gpus} GPUs at the same time, and the cluster has {available(here)}",
        f"set build.gpus to {sum(counts)} or less: ranks are built one after another then; or set gpu.perNode if an "
        "autoscaler brings more nodes",
        pods=pods,
        gpus=gpus,
    )
