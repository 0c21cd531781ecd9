"""State: what a snapshot of an EngineBuild means; made by state.determine_state, read by plan and status."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict
from trtllm_operator.enginebuild.desired_servers import Target
from trtllm_operator.enginebuild.known import Known
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import DesiredJob
from trtllm_operator.outcomes.job import JobOutcome
from trtllm_operator.outcomes.rollout import Rollout


class StateKind(StrEnum):
    """The place of the resource in its pipeline."""

    DELETING = "Deleting"
    INVALID = "Invalid"
    WAITING = "Waiting"
    MODEL_FAILED = "ModelFailed"
    SUSPENDED = "Suspended"
    FETCHING = "Fetching"
    REFUSED = "Refused"
    CONVERTING = "Converting"
    BUILDING = "Building"
    PUBLISHING = "Publishing"
    BUILT = "Built"
    ROLLING_OUT = "RollingOut"
    FAILED = "Failed"
    SERVING = "Serving"


WORKING = {
    ChildStage.FETCH: StateKind.FETCHING,
    ChildStage.CONVERT: StateKind.CONVERTING,
    ChildStage.BUILD: StateKind.BUILDING,
    ChildStage.PUBLISH: StateKind.PUBLISHING,
}
"""The state while a Job of that stage is at work."""


@dataclass(frozen=True)
class State:
    """The meaning of a snapshot; steps and status follow from it alone."""

    kind: StateKind
    reason: Reason
    message: str
    target: Target | None = None
    """The servers that should exist; None while that is not known, and existing ones are left alone."""
    rollout: Rollout | None = None
    """The rollout of the present servers; None while there are none."""
    known: Known = field(default_factory=Known)
    stage: ChildStage | None = None
    """The stage that works, waits or has failed."""
    jobs: tuple[DesiredJob, ...] = ()
    """Jobs that belong to this spec, whether they exist or not: all others are obsolete."""
    outcome: JobOutcome | None = None
    """Outcome of the Job of `stage`; None while it does not exist."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def job(self) -> DesiredJob | None:
        """The Job of `stage`."""
        return next((job for job in self.jobs if job.stage is self.stage), None)
