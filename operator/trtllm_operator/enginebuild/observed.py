"""Observed: one EngineBuild with everything that decides about it, frozen; built by enginebuild.observe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import Condition
from trtllm_api.modelstatus import QuantizedModelStatus, SourceStatus
from trtllm_operator.kube.objects import Object
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.shared.conditions import READY, STALLED
from trtllm_planner.inventory import Inventory


@dataclass(frozen=True)
class Model:
    """The QuantizedModel that modelRef names."""

    name: str
    current: bool
    """Its status is about its present spec."""
    status: QuantizedModelStatus

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if its status is True."""
        return next((c for c in self.status.conditions if c.type == kind and c.status.value == "True"), None)

    @property
    def ready(self) -> bool:
        """Its artifact fulfils its present spec."""
        return self.current and self.condition(READY) is not None

    @property
    def stalled(self) -> Condition | None:
        """Why it cannot get on without a person."""
        return self.condition(STALLED) if self.current else None


@dataclass(frozen=True)
class Sibling:
    """Another EngineBuild of the namespace, as far as it matters to this one."""

    name: str
    leads: bool
    """It is older: of two that ask for the same, the older one does the work."""
    working: bool
    """Neither failed, suspended nor on its way out."""
    building: bool
    """It is at work and has not got its engine yet: one that was planned on other GPUs may have another."""
    same_source: bool
    same_build: bool
    """All that decides about the engine is written alike."""
    status: EngineBuildStatus


@dataclass(frozen=True)
class FetchedBy:
    """A source that another resource of the namespace, of either kind, has fetched already."""

    name: str
    source: SourceStatus
    facts: ModelFacts


@dataclass(frozen=True)
class Observed:
    """A snapshot; nothing in it changes while it is judged."""

    owner: Owner
    generation: int
    spec: EngineBuildSpec | None
    """None: it does not parse; see spec_error."""
    spec_error: str
    status: EngineBuildStatus
    """As last written."""
    deleting: bool
    retry: str
    """Value of the user's retry annotation."""
    model: Model | None
    """None: there is no such QuantizedModel."""
    siblings: tuple[Sibling, ...]
    fetched_by: FetchedBy | None
    claim: Object | None
    """The PersistentVolumeClaim of model and engine; None: it does not exist, or is not known yet."""
    inventory: Inventory
    """The cluster's GPUs."""
    jobs: tuple[Object, ...]
    deployment: Object | None
    groups: Object | None
    """The LeaderWorkerSet."""
    groups_served: bool
    """The cluster knows LeaderWorkerSets; True where it was not asked."""
    service: Object | None
    replica_sets: tuple[Object, ...]
    pods: tuple[Object, ...]
    """Of Jobs and servers."""
    progress: ProgressLine | None
    """Last progress line of the pod that works, or of a server that starts."""
    evidence: Evidence
    """Of the pods: Events and logs, where their status does not tell enough."""
    settings: BuilderSettings
    now: datetime
