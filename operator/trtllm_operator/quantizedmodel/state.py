"""State: the meaning of a snapshot of a QuantizedModel; made by determine_state, read by steps and status."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import DesiredJob
from trtllm_operator.outcomes.job import JobOutcome
from trtllm_operator.quantizedmodel.known import (
    Known,
)


class StateKind(StrEnum):
    """The place of the resource in its pipeline."""

    DELETING = "Deleting"
    INVALID = "Invalid"
    SUSPENDED = "Suspended"
    WAITING = "Waiting"
    FETCHING = "Fetching"
    REFUSED = "Refused"
    QUANTIZING = "Quantizing"
    FAILED = "Failed"
    READY = "Ready"


@dataclass(frozen=True)
class State:
    """The meaning of a snapshot; steps and status follow from it alone."""

    kind: StateKind
    reason: Reason
    message: str
    known: Known = field(default_factory=Known)
    stage: ChildStage | None = None
    """The stage that works, waits or has failed."""
    jobs: tuple[DesiredJob, ...] = ()
    """Jobs that belong to this request, whether they exist or not: all others are obsolete."""
    outcome: JobOutcome | None = None
    """Outcome of the Job of `stage`; None while it does not exist."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def job(self) -> DesiredJob | None:
        """The Job of `stage`."""
        return next((job for job in self.jobs if job.stage is self.stage), None)
