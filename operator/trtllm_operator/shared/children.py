"""Children: everything in the cluster that belongs to one resource, as one frozen snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field

from trtllm_api.contract import ProgressLine
from trtllm_operator.kube.objects import Object
from trtllm_operator.outcomes.evidence import Evidence


@dataclass(frozen=True)
class Children:
    """Objects that the resource owns; objects that only carry its labels are not among them."""

    jobs: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    """Pods of Jobs and of servers."""
    replica_sets: tuple[Object, ...] = ()
    deployment: Object | None = None
    groups: Object | None = None
    """The LeaderWorkerSet."""
    groups_served: bool = True
    """The API server serves LeaderWorkerSets; True where nobody asked it."""
    service: Object | None = None
    progress: ProgressLine | None = None
    """Last progress line of the pods that work, or of a server that starts."""
    evidence: Evidence = field(default_factory=Evidence)
    """Events and logs of pods, where their status does not say enough."""
