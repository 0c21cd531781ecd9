"""compute_status: what users see of a State; pure."""

from __future__ import annotations

from datetime import datetime

from trtllm_api.enginebuild import Runtime
from trtllm_api.enginestatus import EngineArtifact, EngineBuildStatus, ServedArtifact, ServingStatus
from trtllm_api.meta import HistoryEntry, Progress
from trtllm_api.reasons import Reason
from trtllm_operator.enginebuild.conditions import status_facts
from trtllm_operator.enginebuild.known import Known
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.stage import Stage
from trtllm_operator.enginebuild.state import WORKING, State, StateKind
from trtllm_operator.manifests.identity import server_selector
from trtllm_operator.manifests.server import service_url
from trtllm_operator.outcomes.job import JobRunning
from trtllm_operator.outcomes.progress import progress_of_line, starting
from trtllm_operator.shared.conditions import conditions, cut, timestamp

MAX_HISTORY = 10
_STAGES = {
    StateKind.DELETING: Stage.DELETING,
    StateKind.INVALID: Stage.FAILED,
    StateKind.WAITING: Stage.WAITING,
    StateKind.MODEL_FAILED: Stage.FAILED,
    StateKind.SUSPENDED: Stage.SUSPENDED,
    StateKind.FETCHING: Stage.FETCHING,
    StateKind.REFUSED: Stage.FAILED,
    StateKind.CONVERTING: Stage.CONVERTING,
    StateKind.BUILDING: Stage.BUILDING,
    StateKind.PUBLISHING: Stage.PUBLISHING,
    StateKind.BUILT: Stage.BUILT,
    StateKind.ROLLING_OUT: Stage.ROLLING_OUT,
    StateKind.FAILED: Stage.FAILED,
    StateKind.SERVING: Stage.SERVING,
}
_STAGES_OF_REASONS = {
    Reason.SCALED_TO_ZERO: Stage.SCALED_TO_ZERO,
    Reason.WAITING_FOR_SIBLING: Stage.WAITING_FOR_SIBLING,
}


def compute_status(observed: Observed, state: State, now: datetime) -> EngineBuildStatus:
    """The whole status; what serves, and what it was made from, stays until better is rolled out or built."""
    before, known = observed.status, _known(observed, state)
    stage = _STAGES_OF_REASONS.get(state.reason)
    return EngineBuildStatus(
        observed_generation=observed.generation,
        stage=stage or _STAGES[state.kind],
        conditions=conditions(status_facts(observed, state), before.conditions, observed.generation, now),
        progress=_progress(observed, state),
        source=known.source,
        model_facts=known.facts,
        plan=known.plan,
        engine=known.engine,
        artifact=_artifact(observed, state),
        serving=_serving(observed, state),
        history=_history(observed, state, now),
    )


def _known(observed: Observed, state: State) -> Known:
    """The knowledge of this pass over that of earlier ones: a refused spec does not take the last good engine away."""
    before, known = observed.status, state.known
    if observed.spec is not None and observed.spec.source is None:
        source, facts = None, None
    else:
        source = known.source or before.source
        facts = known.facts or before.model_facts
    return Known(
        source=source, facts=facts, plan=known.plan or before.plan, engine=known.engine or _kept_engine(observed)
    )


def _kept_engine(observed: Observed) -> EngineArtifact | None:
    """The present engine, until there is a new one or the resource changes to a runtime without engines."""
    spec = observed.spec
    return observed.status.engine if spec is None or spec.runtime is Runtime.TENSORRT else None


def _progress(observed: Observed, state: State) -> Progress | None:
    if state.kind in WORKING.values() and isinstance(state.outcome, JobRunning):
        name = state.job.name if state.job else None
        line = observed.children.progress if state.outcome.pod is not None else None
        return progress_of_line(line, name) if line is not None else starting(job=name)
    if state.kind is StateKind.ROLLING_OUT and state.rollout is not None:
        line = observed.children.progress if state.rollout.starting is not None else None
        return progress_of_line(line, None) if line is not None else starting(state.reason)
    return None


def _artifact(observed: Observed, state: State) -> ServedArtifact | None:
    if state.kind is StateKind.SERVING and state.target is not None:
        return state.target.artifact
    if state.kind is StateKind.BUILT:
        return None
    return observed.status.artifact


def _serving(observed: Observed, state: State) -> ServingStatus | None:
    if observed.spec is None or state.kind is StateKind.DELETING:
        return observed.status.serving
    if observed.spec.serving is None and observed.spec.runtime is Runtime.TENSORRT:
        return None
    rollout = state.rollout
    labels = server_selector(observed.owner)
    return ServingStatus(
        url=service_url(observed.owner, observed.spec) if rollout is not None else None,
        replicas=rollout.replicas if rollout else 0,
        ready_replicas=rollout.ready if rollout else 0,
        selector=",".join(f"{key}={value}" for key, value in labels.items()),
    )


def _history(observed: Observed, state: State, now: datetime) -> tuple[HistoryEntry, ...]:
    """One entry for every engine built, every artifact rolled out, and everything that failed; newest first."""
    before = observed.status
    last = before.history[0] if before.history else None
    message = cut(state.message, 1024)
    if state.kind is StateKind.SERVING:
        news = state.target is not None and before.artifact != state.target.artifact
    elif state.kind is StateKind.BUILT:
        news = before.engine is None or before.engine.digest != (state.known.engine and state.known.engine.digest)
    elif state.kind in {StateKind.FAILED, StateKind.REFUSED}:
        told = (observed.generation, state.reason)
        news = last is None or (last.generation, last.reason) != told
    else:
        news = False
    if not news:
        return before.history
    entry = HistoryEntry(time=timestamp(now), generation=observed.generation, reason=state.reason, message=message)
    return (entry, *before.history)[:MAX_HISTORY]
