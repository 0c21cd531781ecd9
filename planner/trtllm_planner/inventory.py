"""GPUs of a cluster, parsed from the node labels that gpu-feature-discovery writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from trtllm_api.buildoptions import GpuSelector
from trtllm_planner.tensorrt_llm.gpus import GpuProduct, product_named
from trtllm_planner.tensorrt_llm.versions import Capability

NEW_NODES = 64
"""Largest number of nodes that an autoscaler is assumed to add."""
_RESOURCE = "nvidia.com/gpu"
_PREFIX = f"{_RESOURCE}."
_DRIVER = "nvidia.com/cuda.driver-version.full"


@dataclass(frozen=True, order=True)
class GpuKind:
    """GPUs that are the same to an engine. The planner chooses one kind."""

    product: str
    memory_mib: int
    capability: Capability
    mig: bool = False
    """Whether it is a MIG slice, which has no peer access and so holds one rank only."""
    replicas: int = 1
    """Number of pods that share one GPU by time-slicing or MPS."""

    @property
    def usable_mib(self) -> int:
        """Memory in MiB that one pod can count on, because sharing does not isolate memory."""
        return self.memory_mib // self.replicas

    @property
    def whole(self) -> bool:
        """Whether one pod has the whole GPU and can combine it with others."""
        return not self.mig and self.replicas == 1

    @property
    def sm(self) -> str:
        """Compute capability as NVIDIA's documents write it: `SM90`."""
        return f"SM{self.capability[0]}{self.capability[1]}"


@dataclass(frozen=True)
class GpuNode:
    """One node with GPUs of one kind."""

    name: str
    gpu: GpuKind
    count: int
    """Number of GPUs that one pod can request on this node."""
    driver: str | None = None


@dataclass(frozen=True)
class Inventory:
    """All GPUs that pods can use."""

    nodes: tuple[GpuNode, ...] = ()

    def kinds(self) -> tuple[GpuKind, ...]:
        """Kinds of GPU, the smallest memory first."""
        return tuple(self._counts)

    def counts(self, kind: GpuKind) -> tuple[int, ...]:
        """Numbers of GPUs per node for this kind, the largest first."""
        return self._counts.get(kind, ())

    @cached_property
    def _counts(self) -> Mapping[GpuKind, tuple[int, ...]]:
        found: dict[GpuKind, list[int]] = {}
        for node in self.nodes:
            found.setdefault(node.gpu, []).append(node.count)
        kinds = sorted(found, key=lambda kind: (kind.usable_mib, kind))
        return {kind: tuple(sorted(filter(None, found[kind]), reverse=True)) for kind in kinds}


def gpu_node(name: str, labels: Mapping[str, str], allocatable: int | None = None) -> GpuNode | None:
    """A node as its labels describe it; None if they describe no GPU.

    `allocatable`, which the kubelet reports, overrides the label's count: broken or shared GPUs change it.
    """
    product = labels.get(_PREFIX + "product", "")
    if not product:
        return None
    base, mig, shared = _split(product)
    known = product_named(base)
    memory = _number(labels.get(_PREFIX + "memory")) or (0 if mig or known is None else known.memory_mib)
    capability = _capability(labels, known)
    count = _number(labels.get(_PREFIX + "count")) or 0
    replicas = max(1, _number(labels.get(_PREFIX + "replicas")) or 1)
    if shared and replicas == 1:
        replicas = 2
    if not memory or capability is None:
        return None
    offered = count * replicas if allocatable is None else allocatable
    kind = GpuKind(product, memory, capability, mig, replicas)
    return GpuNode(name, kind, offered, labels.get(_DRIVER))


def inventory(nodes: Iterable[tuple[str, Mapping[str, str], int | None]]) -> Inventory:
    """Inventory from (name, labels, allocatable GPUs or None) of every node."""
    found = (gpu_node(name, labels, allocatable) for name, labels, allocatable in nodes)
    return Inventory(tuple(node for node in found if node is not None))


def gpu_inventory(nodes: Iterable[Mapping[str, Any]]) -> Inventory:
    """Inventory from Kubernetes' Node objects; cordoned and deleted nodes are left out."""
    return inventory(
        (
            str(node["metadata"]["name"]),
            node["metadata"].get("labels") or {},
            _number(str(((node.get("status") or {}).get("allocatable") or {}).get(_RESOURCE))),
        )
        for node in nodes
        if not (node.get("spec") or {}).get("unschedulable") and node["metadata"].get("deletionTimestamp") is None
    )


def narrow(found: Inventory, selector: GpuSelector | None) -> Inventory:
    """GPUs that spec.gpu allows; with product and perNode also those that an autoscaler would add."""
    if selector is None:
        return found
    capability = _capability_of(selector.compute_capability)
    least = quantity_bytes(selector.memory) >> 20 if selector.memory is not None else 0
    nodes = tuple(
        replace(node, count=min(node.count, selector.per_node or node.count))
        for node in found.nodes
        if selector.product in {None, node.gpu.product}
        and capability in {None, node.gpu.capability}
        and node.gpu.usable_mib >= least
        and node.count >= (selector.per_node or 1)
    )
    if nodes or selector.product is None or selector.per_node is None:
        return Inventory(nodes)
    kind = next((node.gpu for node in found.nodes if node.gpu.product == selector.product), None)
    kind = kind or _described(selector.product, capability, least)
    if kind is None or kind.usable_mib < least or capability not in {None, kind.capability}:
        return Inventory()
    return Inventory(tuple(GpuNode(f"new-{index}", kind, selector.per_node) for index in range(NEW_NODES)))


def _described(product: str, capability: Capability | None, least_mib: int) -> GpuKind | None:
    """A GPU that no node has yet, described by the table of products or else by spec.gpu."""
    base, mig, shared = _split(product)
    known = None if mig else product_named(base)
    memory = known.memory_mib if known is not None else least_mib
    capability = capability or (known.capability if known is not None else None)
    if not memory or capability is None:
        return None
    return GpuKind(product, memory, capability, mig, 2 if shared else 1)


_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_UNITS |= {f"{unit}i": 1 << 10 * (index + 1) for index, unit in enumerate("KMGTP")}


def quantity_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes quantity such as `80Gi`; thousandths are rounded up."""
    number = quantity.rstrip("mkMGTPKi")
    unit = quantity[len(number) :]
    if unit == "m":
        return math.ceil(Decimal(number) / 1000)
    return math.ceil(Decimal(number) * _UNITS[unit])


def _capability_of(text: str | None) -> Capability | None:
    if text is None:
        return None
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _split(product: str) -> tuple[str, bool, bool]:
    """The product without its suffixes, whether it is a MIG slice, and whether it is shared."""
    shared = product.endswith("-SHARED")
    base = product.removesuffix("-SHARED")
    name, mig, _ = base.partition("-MIG-")
    return name, bool(mig), shared


def _capability(labels: Mapping[str, str], known: GpuProduct | None) -> Capability | None:
    major = _number(labels.get(_PREFIX + "compute.major"))
    minor = _number(labels.get(_PREFIX + "compute.minor"))
    if major is not None and minor is not None:
        return major, minor
    return known.capability if known else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
