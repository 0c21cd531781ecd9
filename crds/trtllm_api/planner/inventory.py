"""GPUs of a cluster, parsed from the labels that gpu-feature-discovery writes on nodes; read by planner and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trtllm_api.planner.tables import Capability, GpuProduct, product_named

_PREFIX = "nvidia.com/gpu."
_DRIVER = "nvidia.com/cuda.driver-version.full"


@dataclass(frozen=True, order=True)
class GpuKind:
    """GPUs that an engine sees as the same: what the planner chooses between."""

    product: str
    memory_mib: int
    capability: Capability
    mig: bool = False
    """A slice of a GPU: no peer access, so one rank only."""
    replicas: int = 1
    """Pods that time-slicing or MPS puts on one GPU."""

    @property
    def usable_mib(self) -> int:
        """Memory that one pod may count on: sharing does not isolate it."""
        return self.memory_mib // self.replicas

    @property
    def whole(self) -> bool:
        """One pod has the GPU to itself, and may join it with others."""
        return not self.mig and self.replicas == 1

    @property
    def sm(self) -> str:
        """`SM90`, as NVIDIA's documents write it."""
        return f"SM{self.capability[0]}{self.capability[1]}"


@dataclass(frozen=True)
class GpuNode:
    """One node: GPUs of one kind."""

    name: str
    gpu: GpuKind
    count: int
    """GPUs that one pod can ask for here."""
    driver: str | None = None


@dataclass(frozen=True)
class Inventory:
    """All GPUs that pods may use."""

    nodes: tuple[GpuNode, ...] = ()

    def kinds(self) -> tuple[GpuKind, ...]:
        """Each kind once, the smallest memory first."""
        return tuple(sorted({node.gpu for node in self.nodes}, key=lambda kind: (kind.usable_mib, kind)))

    def counts(self, kind: GpuKind) -> tuple[int, ...]:
        """GPUs per node of the nodes that have this kind, most first."""
        return tuple(sorted((node.count for node in self.nodes if node.gpu == kind and node.count > 0), reverse=True))


def gpu_node(name: str, labels: Mapping[str, str], allocatable: int | None = None) -> GpuNode | None:
    """A node as its labels describe it; None where they describe no GPU.

    `allocatable` (what the kubelet offers) overrides the count: GPUs that are broken or shared change it.
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
    """Of (name, labels, allocatable GPUs or None) of every node."""
    found = (gpu_node(name, labels, allocatable) for name, labels, allocatable in nodes)
    return Inventory(tuple(node for node in found if node is not None))


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
