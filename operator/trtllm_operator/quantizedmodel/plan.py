"""plan: the steps from a State of a QuantizedModel to the next; pure, called by the engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from trtllm_operator.children.job import CONTAINER, builder_job, request_config_map
from trtllm_operator.children.joboutcome import EVIDENCE_GRACE, JobLost, JobRunning, PodReason
from trtllm_operator.children.objects import Object, by_name, condition_of, is_deleting, is_true, name_of, parse_time
from trtllm_operator.children.store import store_claim
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.reasons import Reason
from trtllm_operator.quantizedmodel.state import State, StateKind
from trtllm_operator.steps import Apply, Delete, Plan, ReadLogs, Requeue, Step

KEEP_FINISHED = timedelta(days=1)
"""Finished Jobs and their logs stay that long after their result is in status."""
DATASET_POLL_SECONDS = 5.0
"""Users' ConfigMaps are not watched."""


def plan(observed: Observed, state: State) -> Plan:
    """Children of an invalid spec stay as they are: whoever made them was content."""
    if state.kind in {StateKind.DELETING, StateKind.INVALID}:
        return ()
    steps = [*_obsolete(observed, state)]
    if state.kind in {StateKind.FETCHING, StateKind.QUANTIZING}:
        steps += _work(observed, state)
    if state.reason == Reason.DATASET_MISSING:
        steps.append(Requeue(DATASET_POLL_SECONDS))
    return tuple(steps)


def _work(observed: Observed, state: State) -> Iterator[Step]:
    job, outcome = state.job, state.outcome
    if job is None or observed.spec is None:
        return
    found = by_name(observed.jobs, job.name)
    if found is None:
        if not observed.store_exists:
            yield Apply(store_claim(observed.owner.namespace, observed.spec.storage, observed.settings))
        yield Apply(request_config_map(job))
        yield Apply(builder_job(job))
    elif isinstance(outcome, JobLost):
        yield Delete("Job", job.name)
    elif isinstance(outcome, JobRunning) and outcome.reason is PodReason.RUNNING:
        yield ReadLogs(outcome.pod, CONTAINER) if outcome.pod else Requeue(EVIDENCE_GRACE.total_seconds())


def _obsolete(observed: Observed, state: State) -> Iterator[Step]:
    """Jobs that work on something else go at once; finished ones stay for a day, their result being in status."""
    wanted = set() if state.kind is StateKind.SUSPENDED else {job.name for job in state.jobs}
    current = {job.name for job in state.jobs}
    for job in observed.jobs:
        name = name_of(job)
        if is_deleting(job):
            continue
        ended = _ended(job)
        if ended is None:
            if name not in wanted:
                yield from _delete(name)
        elif name not in current:
            left = (ended + KEEP_FINISHED - observed.now).total_seconds()
            if left <= 0:
                yield from _delete(name)
            elif state.kind is StateKind.READY:
                yield Requeue(left)


def _delete(name: str) -> Iterator[Step]:
    yield Delete("Job", name)
    yield Delete("ConfigMap", name)


def _ended(job: Object) -> datetime | None:
    for kind in ("Complete", "Failed"):
        if is_true(job, kind):
            return parse_time((condition_of(job, kind) or {}).get("lastTransitionTime"))
    return None
