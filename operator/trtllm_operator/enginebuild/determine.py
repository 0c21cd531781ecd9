"""determine_state: what a snapshot of an EngineBuild means; pure.

First what should be served (making), then how far that is rolled out. What serves goes on until better is ready.
"""

from __future__ import annotations

from dataclasses import replace

from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.reasons import Reason
from trtllm_operator.enginebuild.desired_servers import (
    Target,
    is_applied,
    last_good_target,
    pytorch_target,
    tensorrt_target,
    transformers_target,
)
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.pipeline import engine_title, make
from trtllm_operator.enginebuild.state import WORKING, State, StateKind
from trtllm_operator.kube.objects import Object, dig, is_deleting
from trtllm_operator.manifests.server import ARTIFACT_ANNOTATION
from trtllm_operator.outcomes.rollout import Rollout, group_rollout_outcome, rollout_outcome

_UNDER_WAY = frozenset({*WORKING.values(), StateKind.WAITING})


def determine_state(observed: Observed) -> State:
    """Total: every snapshot has a state."""
    if observed.deleting:
        return State(StateKind.DELETING, Reason.DELETING, "the resource is being deleted")
    spec = observed.spec
    if spec is None:
        return State(StateKind.INVALID, Reason.INVALID_SPEC, observed.spec_error, rollout=_rollout(observed, None))
    made = make(observed, spec)
    if spec.serving is None and spec.runtime is Runtime.TENSORRT:
        return _stopped(made) if spec.suspend else made
    wanted = _target(observed, spec, made)
    if wanted is not None:
        state = _served(observed, replace(made, target=wanted, rollout=_rollout(observed, wanted)))
    else:
        state = replace(made, rollout=_rollout(observed, None))
    return _held_back(observed, state) if spec.suspend else state


def _target(observed: Observed, spec: EngineBuildSpec, made: State) -> Target | None:
    """None while there is nothing to serve."""
    known = made.known
    if made.kind is not StateKind.BUILT or known.subject is None:
        gone = spec.model_ref is not None and known.subject is None
        engine = observed.status.engine
        return last_good_target(observed, spec, engine_title(engine) if engine else "") if gone else None
    if spec.runtime is Runtime.TRANSFORMERS:
        return transformers_target(observed, spec, known.subject)
    if known.plan is None:
        raise ValueError("nothing is built for GPUs without a plan")
    if spec.runtime is Runtime.PYTORCH:
        return pytorch_target(observed, spec, known.subject, known.plan)
    if known.engine is None:
        raise ValueError("nothing is built for TensorRT without an engine")
    return tensorrt_target(observed, spec, known.engine, engine_title(known.engine), known.plan)


def found_servers(observed: Observed, kind: str) -> Object | None:
    """The Deployment or the LeaderWorkerSet, unless it is being deleted."""
    found = observed.children.deployment if kind == "Deployment" else observed.children.groups
    return None if found is None or is_deleting(found) else found


def _rollout(observed: Observed, wanted: Target | None) -> Rollout | None:
    """The rollout of the target's servers; servers of the other kind count, too: they serve until these are ready."""
    deployment, groups = found_servers(observed, "Deployment"), found_servers(observed, "LeaderWorkerSet")
    pods, evidence = observed.children.pods, observed.children.evidence
    single = (
        rollout_outcome(deployment, observed.children.replica_sets, pods, evidence) if deployment is not None else None
    )
    several = group_rollout_outcome(groups, pods, observed.now, evidence) if groups is not None else None
    if single is None or several is None:
        only = single or several
        wanted_kind = wanted.servers["kind"] if wanted else None
        if only is not None and wanted_kind and (wanted_kind == "Deployment") is (single is None):
            # the target's own are not there yet
            return replace(only, updated_ready=0, complete=False, failed="", trouble="", starting=None)
        return only
    newest, other = (single, several) if wanted is None or wanted.servers["kind"] == "Deployment" else (several, single)
    return replace(newest, replicas=newest.replicas + other.replicas, ready=newest.ready + other.ready)


def _served(observed: Observed, made: State) -> State:
    wanted, rollout = made.target, made.rollout
    if wanted is None:
        raise ValueError("nothing is wanted")
    replicas = dig(wanted.servers, "spec", "replicas")
    found = found_servers(observed, wanted.servers["kind"])
    state = replace(
        made,
        kind=StateKind.ROLLING_OUT,
        reason=Reason.ROLLING_OUT,
        message=f"{wanted.title} is being rolled out",
        outcome=None,
    )
    if rollout is None or not is_applied(wanted.servers, found):
        return state
    left = rollout.ready - rollout.updated_ready
    old = f"; {left} old ones keep serving" if left > 0 else ""
    if rollout.complete:
        if replicas == 0:
            message = "no server runs, because spec.serving.replicas is 0"
            return replace(state, kind=StateKind.SERVING, reason=Reason.SCALED_TO_ZERO, message=message)
        count = "the server has" if replicas == 1 else f"all {replicas} servers have"
        message = f"{count} answered as {wanted.title} should"
        return replace(state, kind=StateKind.SERVING, reason=Reason.SERVING, message=message)
    if rollout.failed:
        message = f"servers of {wanted.title} are not becoming ready{old}: {rollout.failed}"
        return replace(state, kind=StateKind.FAILED, reason=Reason.ROLLOUT_FAILED, message=message)
    message = f"{rollout.updated_ready} of {replicas} servers of {wanted.title} ready{old}"
    if rollout.trouble:
        message += f"; {rollout.trouble}"
    reason = Reason.ROLLING_OUT
    if rollout.refused:
        reason = Reason.POD_REFUSED
    elif observed.status.artifact == wanted.artifact:
        reason = Reason.REPLICAS_NOT_READY
    return replace(state, reason=reason, message=message)


def _held_back(observed: Observed, state: State) -> State:
    """spec.suspend: what is rolled out already goes on and may be Ready; anything else waits."""
    target = state.target
    applied = target is not None and is_applied(target.servers, found_servers(observed, target.servers["kind"]))
    if applied and state.kind in {StateKind.SERVING, StateKind.FAILED}:
        return replace(state, message=f"{state.message}; rollouts are paused by spec.suspend")
    serving = served_digest(observed)
    held = f"{target.title} is not rolled out" if target and not applied else "no change is rolled out"
    still = f"; {serving[7:19]} keeps serving" if serving else ""
    message = f"Rollout paused by spec.suspend: {held}{still}"
    return replace(state, kind=StateKind.SUSPENDED, reason=Reason.SUSPENDED, message=message)


def _stopped(state: State) -> State:
    """spec.suspend where nothing is served: the work stops, and what was finished stays."""
    if state.kind not in _UNDER_WAY:
        return state
    done = f"{state.stage} was stopped" if state.stage else "work was stopped"
    message = f"{done} by spec.suspend"
    return replace(state, kind=StateKind.SUSPENDED, reason=Reason.SUSPENDED, message=message)


def served_digest(observed: Observed) -> str:
    """The artifact that the servers' template names."""
    annotation = ("metadata", "annotations", ARTIFACT_ANNOTATION)
    single = dig(observed.children.deployment, "spec", "template", *annotation)
    several = dig(observed.children.groups, "spec", "leaderWorkerTemplate", "leaderTemplate", *annotation)
    return str(single or several or "")
