"""compute_status: what users see of a State; pure, called by the engine after every pass."""

from __future__ import annotations

from datetime import datetime

from trtllm_api.enginebuild import EngineBuildStatus, ServedArtifact, ServingStatus
from trtllm_api.meta import ConditionStatus, HistoryEntry, Progress
from trtllm_operator.children.identity import ChildStage, selector
from trtllm_operator.children.server import service_url
from trtllm_operator.conditions import Fact, conditions, cut, ready, reconciling, stalled, suspended, timestamp
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.reasons import Reason, Stage
from trtllm_operator.enginebuild.state import State, StateKind

MAX_HISTORY = 10
_STAGES = {
    StateKind.DELETING: Stage.DELETING,
    StateKind.INVALID: Stage.FAILED,
    StateKind.WAITING: Stage.WAITING,
    StateKind.MODEL_FAILED: Stage.FAILED,
    StateKind.SUSPENDED: Stage.SUSPENDED,
    StateKind.ROLLING_OUT: Stage.ROLLING_OUT,
    StateKind.FAILED: Stage.FAILED,
    StateKind.SERVING: Stage.SERVING,
}


def compute_status(observed: Observed, state: State, now: datetime) -> EngineBuildStatus:
    """The whole status; `artifact` moves on only when a rollout is complete."""
    facts = (*_overall(state), _model_ready(observed), _available(state))
    stage = Stage.SCALED_TO_ZERO if state.reason is Reason.SCALED_TO_ZERO else _STAGES[state.kind]
    return EngineBuildStatus(
        observed_generation=observed.generation,
        stage=stage,
        conditions=conditions(facts, observed.status.conditions, observed.generation, now),
        progress=_progress(observed, state),
        artifact=_artifact(observed, state),
        serving=_serving(observed, state),
        history=_history(observed, state, now),
    )


def _overall(state: State) -> tuple[Fact, ...]:
    match state.kind:
        case StateKind.SERVING:
            return ready(state.reason, state.message)
        case StateKind.FAILED | StateKind.MODEL_FAILED | StateKind.INVALID:
            return stalled(state.reason, state.message)
        case StateKind.SUSPENDED:
            return suspended(state.reason, state.message)
        case _:
            return reconciling(state.reason, state.message)


def _model_ready(observed: Observed) -> Fact:
    kind, model = "ModelReady", observed.model
    if model is None:
        name = observed.spec.model_ref.name if observed.spec else ""
        return Fact(kind, ConditionStatus.FALSE, Reason.MODEL_NOT_FOUND, f"QuantizedModel {name} does not exist")
    artifact = model.status.artifact
    if artifact is None:
        if model.stalled is not None:
            return Fact(kind, ConditionStatus.FALSE, Reason.MODEL_FAILED, model.stalled.message)
        return Fact(
            kind, ConditionStatus.FALSE, Reason.MODEL_NOT_READY, f"QuantizedModel {model.name} has no artifact yet"
        )
    what = f"QuantizedModel {model.name}: {artifact.method} artifact {artifact.digest[7:19]}"
    if model.ready:
        return Fact(kind, ConditionStatus.TRUE, Reason.MODEL_READY, what)
    if model.stalled is not None:
        said = f"{what} is its last good one; its present spec fails: {model.stalled.message}"
        return Fact(kind, ConditionStatus.TRUE, Reason.LAST_GOOD_ARTIFACT, said)
    return Fact(
        kind, ConditionStatus.TRUE, Reason.MODEL_UPDATING, f"{what} is its last good one; a new one is being made"
    )


def _available(state: State) -> Fact:
    kind, rollout = "Available", state.rollout
    if rollout is not None and rollout.ready > 0:
        return Fact(
            kind, ConditionStatus.TRUE, Reason.AVAILABLE, f"{rollout.ready} of {rollout.replicas} servers answer"
        )
    if state.reason is Reason.SCALED_TO_ZERO:
        return Fact(kind, ConditionStatus.FALSE, Reason.SCALED_TO_ZERO, "replicas is 0")
    return Fact(kind, ConditionStatus.FALSE, Reason.UNAVAILABLE, "no server answers")


def _progress(observed: Observed, state: State) -> Progress | None:
    if state.kind is not StateKind.ROLLING_OUT or state.rollout is None:
        return None
    line = observed.progress
    if line is None or state.rollout.starting is None:
        return Progress(stage=str(state.reason))
    return Progress(
        stage=line.stage,
        percent=min(100, int(100 * line.done / line.total)) if line.total else None,
        detail=line.detail,
        eta_seconds=None if line.eta_seconds is None else int(line.eta_seconds),
    )


def _artifact(observed: Observed, state: State) -> ServedArtifact | None:
    if state.kind is StateKind.SERVING and state.target is not None:
        return state.target.artifact
    return observed.status.artifact


def _serving(observed: Observed, state: State) -> ServingStatus | None:
    if observed.spec is None or state.kind is StateKind.DELETING:
        return observed.status.serving
    rollout = state.rollout
    labels = selector(observed.owner, ChildStage.SERVE)
    return ServingStatus(
        url=service_url(observed.owner, observed.spec) if rollout is not None else None,
        replicas=rollout.replicas if rollout else 0,
        ready_replicas=rollout.ready if rollout else 0,
        selector=",".join(f"{key}={value}" for key, value in labels.items()),
    )


def _history(observed: Observed, state: State, now: datetime) -> tuple[HistoryEntry, ...]:
    """One entry for every artifact that was rolled out and every rollout that failed, newest first."""
    before = observed.status
    last = before.history[0] if before.history else None
    message = cut(state.message, 1024)
    if state.kind is StateKind.SERVING:
        news = state.target is not None and before.artifact != state.target.artifact
    elif state.kind is StateKind.FAILED:
        news = last is None or (last.generation, last.reason) != (observed.generation, state.reason.value)
    else:
        news = False
    if not news:
        return before.history
    entry = HistoryEntry(time=timestamp(now), generation=observed.generation, reason=state.reason, message=message)
    return (entry, *before.history)[:MAX_HISTORY]
