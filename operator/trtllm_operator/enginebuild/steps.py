"""plan: the steps from a State of an EngineBuild to the next; pure."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.reasons import Reason
from trtllm_operator.enginebuild.desired_servers import Target, is_applied
from trtllm_operator.enginebuild.determine import found_servers
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.state import WORKING, State, StateKind
from trtllm_operator.kube.objects import dig, name_of
from trtllm_operator.manifests.server import CONTAINER
from trtllm_operator.manifests.store_claim import store_claim
from trtllm_operator.outcomes.evidence import QUIET
from trtllm_operator.shared.jobs import obsolete_steps, work_steps
from trtllm_operator.shared.steps import Apply, Delete, ReadLogs, Requeue, Scale, Step, Steps

_KINDS = ("Deployment", "LeaderWorkerSet")
_INSTALLED_SECONDS = 30.0
"""Seconds between two checks whether LeaderWorkerSet is installed."""
_LOOK_AGAIN = 5.0
"""Seconds between looks at a LeaderWorkerSet that is not complete: it is not watched, and its pods say most of it."""


def steps(observed: Observed, state: State) -> Steps:
    """Jobs, then servers and Service as the target has them; nothing of these while changes are held back."""
    spec = observed.spec
    if spec is None or state.kind is StateKind.DELETING:
        return ()
    steps = [
        *obsolete_steps(
            observed.children.jobs,
            {job.name for job in state.jobs},
            observed.now,
            stopped=spec.suspend,
            settled=state.kind in {StateKind.SERVING, StateKind.BUILT},
        )
    ]
    if state.kind in WORKING.values() and state.job is not None:
        claim = None
        if observed.claim is None and spec.source is not None:
            claim = store_claim(observed.owner.namespace, spec.storage, observed.settings)
        steps += work_steps(state.job, observed.children.jobs, state.outcome, claim)
    if state.reason == Reason.LEADER_WORKER_SET_MISSING:
        steps.append(Requeue(_INSTALLED_SECONDS))
    if not spec.suspend:
        steps += _serve(observed, spec, state)
    return tuple(steps)


def _serve(observed: Observed, spec: EngineBuildSpec, state: State) -> Iterator[Step]:
    target = state.target
    if target is None:
        yield from _scale(observed, spec)
        if spec.serving is None and state.kind is StateKind.BUILT:
            yield from _remove(observed, None)
        return
    found = found_servers(observed, target.servers["kind"])
    for desired, present in ((target.servers, found), (target.service, observed.children.service)):
        if not is_applied(desired, present):
            yield Apply(desired)
    if state.kind is StateKind.SERVING:
        yield from _remove(observed, target)
    if state.kind is StateKind.ROLLING_OUT and state.rollout is not None:
        if state.rollout.starting is not None:
            yield ReadLogs(state.rollout.starting, CONTAINER)
        if target.servers["kind"] == "LeaderWorkerSet":
            yield Requeue(_LOOK_AGAIN)
        elif state.rollout.pending:
            yield Requeue(QUIET.total_seconds())


def _scale(observed: Observed, spec: EngineBuildSpec) -> Iterator[Step]:
    """An engine may take hours: what serves meanwhile follows spec.serving.replicas all the same."""
    for kind in _KINDS:
        found = found_servers(observed, kind)
        if found is not None and spec.serving is not None and dig(found, "spec", "replicas") != spec.serving.replicas:
            yield Scale(kind, name_of(found), spec.serving.replicas)


def _remove(observed: Observed, target: Target | None) -> Iterator[Step]:
    """Servers of the other kind, once those of the target answer; all of them where nothing is to be served."""
    for kind in _KINDS:
        found = found_servers(observed, kind)
        if found is not None and (target is None or kind != target.servers["kind"]):
            yield Delete(kind, name_of(found))
    if target is None and observed.children.service is not None:
        yield Delete("Service", name_of(observed.children.service))
