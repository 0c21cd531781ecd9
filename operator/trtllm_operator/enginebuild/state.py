"""determine_state: what a snapshot of an EngineBuild means; pure, called by the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_operator.children.objects import Object, dig, is_deleting
from trtllm_operator.children.rollout import Rollout, rollout_outcome
from trtllm_operator.children.server import ARTIFACT_ANNOTATION
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.reasons import Reason
from trtllm_operator.enginebuild.target import Target, is_applied, target


class StateKind(StrEnum):
    """Where the resource is."""

    DELETING = "Deleting"
    INVALID = "Invalid"
    WAITING = "Waiting"
    MODEL_FAILED = "ModelFailed"
    SUSPENDED = "Suspended"
    ROLLING_OUT = "RollingOut"
    FAILED = "Failed"
    SERVING = "Serving"


@dataclass(frozen=True)
class State:
    """What the snapshot means; the plan and the status follow from it alone."""

    kind: StateKind
    reason: Reason
    message: str
    target: Target | None = None
    rollout: Rollout | None = None
    """None while there is no Deployment."""


def determine_state(observed: Observed) -> State:
    """Total: every snapshot has a state."""
    if observed.deleting:
        return State(StateKind.DELETING, Reason.DELETING, "the resource is being deleted")
    spec = observed.spec
    if spec is None:
        return State(StateKind.INVALID, Reason.INVALID_SPEC, observed.spec_error, rollout=_rollout(observed))
    wanted = target(observed, spec)
    state = _with_artifact(observed, spec, wanted) if wanted else _without_artifact(observed, spec)
    return _held_back(observed, state) if spec.suspend else state


def _without_artifact(observed: Observed, spec: EngineBuildSpec) -> State:
    model = observed.model
    if model is None:
        message = (
            f"QuantizedModel {spec.model_ref.name} does not exist in namespace {observed.owner.namespace}: create it"
        )
        return State(StateKind.WAITING, Reason.MODEL_NOT_FOUND, message)
    if model.stalled is not None:
        message = (
            f"QuantizedModel {model.name} has failed ({model.stalled.reason}): {model.stalled.message} "
            f"(kubectl describe qm/{model.name})"
        )
        return State(StateKind.MODEL_FAILED, Reason.MODEL_FAILED, message)
    stage = f" (stage {model.status.stage})" if model.status.stage else ""
    message = f"QuantizedModel {model.name} has no artifact yet{stage}"
    return State(StateKind.WAITING, Reason.MODEL_NOT_READY, message)


def _rollout(observed: Observed) -> Rollout | None:
    found = observed.deployment
    if found is None or is_deleting(found):
        return None
    return rollout_outcome(found, observed.replica_sets, observed.pods)


def _with_artifact(observed: Observed, spec: EngineBuildSpec, wanted: Target) -> State:
    what, replicas = f"{wanted.artifact.method} artifact {wanted.artifact.digest[7:19]}", spec.serving.replicas
    rollout = _rollout(observed)
    state = State(StateKind.ROLLING_OUT, Reason.ROLLING_OUT, f"{what} is being rolled out", wanted, rollout)
    if rollout is None or not is_applied(wanted.deployment, observed.deployment):
        return state
    old = (
        f"; {rollout.ready - rollout.updated_ready} old ones serve on" if rollout.ready > rollout.updated_ready else ""
    )
    if rollout.complete:
        if replicas == 0:
            message = f"no server runs, because replicas is 0; {what} would be served"
            return replace(state, kind=StateKind.SERVING, reason=Reason.SCALED_TO_ZERO, message=message)
        count = "the server has" if replicas == 1 else f"all {replicas} servers have"
        message = f"{count} answered as {what} should"
        return replace(state, kind=StateKind.SERVING, reason=Reason.SERVING, message=message)
    if rollout.failed:
        message = f"servers of {what} do not get ready{old}: {rollout.failed}"
        return replace(state, kind=StateKind.FAILED, reason=Reason.ROLLOUT_FAILED, message=message)
    message = f"{rollout.updated_ready} of {replicas} servers of {what} ready{old}"
    if rollout.trouble:
        message += f"; {rollout.trouble}"
    reason = Reason.ROLLING_OUT
    if rollout.refused:
        reason = Reason.REPLICA_FAILURE
    elif observed.status.artifact == wanted.artifact:
        reason = Reason.REPLICAS_NOT_READY
    return replace(state, reason=reason, message=message)


def _held_back(observed: Observed, state: State) -> State:
    """spec.suspend: what is rolled out already goes on and may be Ready; anything else waits."""
    applied = state.target is not None and is_applied(state.target.deployment, observed.deployment)
    if applied and state.kind in {StateKind.SERVING, StateKind.FAILED}:
        return replace(state, message=f"{state.message}; changes are held back by spec.suspend")
    serving = served_digest(observed.deployment)
    held = (
        f"{state.target.artifact.digest[7:19]} is not rolled out"
        if state.target and not applied
        else "no change is rolled out"
    )
    still = f"; {serving[7:19]} goes on serving" if serving else ""
    return replace(
        state, kind=StateKind.SUSPENDED, reason=Reason.SUSPENDED, message=f"held back by spec.suspend: {held}{still}"
    )


def served_digest(deployment: Object | None) -> str:
    """The artifact that the Deployment's template names."""
    return str(dig(deployment, "spec", "template", "metadata", "annotations", ARTIFACT_ANNOTATION) or "")
