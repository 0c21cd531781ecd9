"""Observed: one EngineBuild with everything that decides about it, frozen; built by enginebuild.observe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.enginebuild import EngineBuildSpec, EngineBuildStatus
from trtllm_api.meta import Condition
from trtllm_api.quantizedmodel import QuantizedModelStatus
from trtllm_operator.children.identity import Owner
from trtllm_operator.children.objects import Object
from trtllm_operator.children.settings import BuilderSettings
from trtllm_operator.conditions import READY, STALLED


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
    model: Model | None
    """None: there is no such QuantizedModel."""
    deployment: Object | None
    service: Object | None
    replica_sets: tuple[Object, ...]
    pods: tuple[Object, ...]
    progress: ProgressLine | None
    """Last progress line of a server that starts."""
    settings: BuilderSettings
    now: datetime
