"""Observed: one EngineBuild with everything that decides about it, frozen; built by enginebuild.observe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EngineArtifact, EngineBuildStatus
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import Condition
from trtllm_api.modelstatus import QuantizedModelStatus, SourceStatus
from trtllm_operator.kube.objects import Object
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.shared.children import Children
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
        """The cause why it cannot continue without a person."""
        return self.condition(STALLED) if self.current else None


@dataclass(frozen=True)
class Sibling:
    """An older EngineBuild of the namespace that is at work on the same."""

    name: str
    same_source: bool
    same_build: bool
    """Everything that decides about the engine is written alike."""
    building: bool
    """It has no engine yet: one that was planned on other GPUs may have another."""


@dataclass(frozen=True)
class BuiltBy:
    """An engine that another EngineBuild of the namespace has built."""

    name: str
    engine: EngineArtifact


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
    """The status as last written."""
    deleting: bool
    retry: str
    """Value of the user's retry annotation."""
    model: Model | None
    """None: there is no such QuantizedModel."""
    leaders: tuple[Sibling, ...]
    """Older EngineBuilds that work on the same: of two, the older one does the work."""
    engines: Mapping[str, BuiltBy]
    """Engines of the namespace by their request digest."""
    fetched_by: FetchedBy | None
    claim: Object | None
    """The PersistentVolumeClaim of model and engine; None: it does not exist, or is not known yet."""
    inventory: Inventory
    """The cluster's GPUs."""
    children: Children
    settings: BuilderSettings
    now: datetime
