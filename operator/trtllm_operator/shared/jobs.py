"""Builder Jobs as both kinds' state and plan see them: outcome, the steps that make one, those that clear others away.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from trtllm_api.reasons import Reason
from trtllm_operator.kube.objects import (
    Manifest,
    Object,
    by_name,
    condition_of,
    is_deleting,
    is_owned,
    is_true,
    name_of,
    parse_time,
    uid_of,
)
from trtllm_operator.manifests.job import CONTAINER, DesiredJob, builder_job, request_config_map
from trtllm_operator.outcomes.evidence import QUIET
from trtllm_operator.outcomes.job import (
    EVIDENCE_GRACE,
    JobFailed,
    JobLost,
    JobOutcome,
    JobRunning,
    JobSucceeded,
    job_outcome,
)
from trtllm_operator.shared.children import Children
from trtllm_operator.shared.steps import Apply, Delete, ReadLogs, Requeue, Step

_TOLD_BY_EVENTS = {
    Reason.POD_STARTING,
    Reason.PULLING_IMAGE,
    Reason.VOLUME_NOT_MOUNTED,
    Reason.POD_NETWORK_FAILED,
}
"""Events wake nobody: whoever waits for news of these must look again."""
KEEP_FINISHED = timedelta(days=1)
"""Finished Jobs and their logs stay that long after their result is in status."""


def outcome_of(plan: DesiredJob, children: Children, now: datetime) -> JobOutcome | None:
    """None while the Job does not exist."""
    job = by_name(children.jobs, plan.name)
    if job is None or is_deleting(job):
        return None
    return job_outcome(job, pods_of(job, children.pods), now, children.evidence)


def pods_of(job: Object, pods: Iterable[Object]) -> tuple[Object, ...]:
    """The pods that a Job controls."""
    return tuple(pod for pod in pods if is_owned(pod, uid_of(job)))


def foreign_result(outcome: JobSucceeded) -> JobFailed:
    """The result of a stage that was not asked for."""
    return JobFailed(
        Reason.BAD_TERMINATION,
        f"the builder reported success of stage {outcome.result.stage} without the result that belongs to it",
        "the builder image and the operator must be of the same release: check both images' tags",
    )


@dataclass(frozen=True)
class Said:
    """A Job's outcome in words, for a State."""

    reason: Reason | None
    """None: the work goes on as it should."""
    message: str
    failed: bool = False


def said(outcome: JobOutcome | None, doing: str) -> Said:
    """`doing` is said while the Job is at work, or does not exist yet."""
    if isinstance(outcome, JobFailed):
        return Said(outcome.reason, outcome.sentence, failed=True)
    if isinstance(outcome, JobLost):
        return Said(Reason.RESULT_LOST, f"{outcome.message}: it runs again")
    if isinstance(outcome, JobRunning):
        again = f"; an earlier attempt ended: {outcome.earlier}" if outcome.earlier else ""
        if outcome.reason in {Reason.POD_RUNNING, Reason.POD_STARTING, Reason.POD_PENDING}:
            return Said(None, doing + again)
        return Said(outcome.reason, outcome.message + again)
    return Said(None, doing)


def work_steps(
    plan: DesiredJob, jobs: Iterable[Object], outcome: JobOutcome | None, claim: Manifest | None
) -> Iterator[Step]:
    """Make the Job, with the claim where that does not exist yet, or look after it."""
    if by_name(jobs, plan.name) is None:
        if claim is not None:
            yield Apply(claim)
        yield Apply(request_config_map(plan))
        yield Apply(builder_job(plan))
    elif isinstance(outcome, JobLost):
        yield Delete("Job", plan.name)
    elif isinstance(outcome, JobRunning) and outcome.reason is Reason.POD_RUNNING:
        if outcome.pod is None:
            yield Requeue(EVIDENCE_GRACE.total_seconds())
            return
        yield from (ReadLogs(pod, CONTAINER) for pod in (outcome.pod, *outcome.others))
    elif isinstance(outcome, JobRunning) and outcome.reason in _TOLD_BY_EVENTS:
        yield Requeue(QUIET.total_seconds())


def obsolete_steps(
    jobs: Iterable[Object], current: Collection[str], now: datetime, *, stopped: bool, settled: bool
) -> Iterator[Step]:
    """Jobs that work on something else go at once; finished ones stay for a day, their result being in status."""
    for job in jobs:
        name = name_of(job)
        if is_deleting(job):
            continue
        ended = _ended(job)
        if ended is None:
            if stopped or name not in current:
                yield from _delete(name)
        elif name not in current:
            left = (ended + KEEP_FINISHED - now).total_seconds()
            if left <= 0:
                yield from _delete(name)
            elif settled:
                yield Requeue(left)


def _delete(name: str) -> Iterator[Step]:
    yield Delete("Job", name)
    yield Delete("ConfigMap", name)


def _ended(job: Object) -> datetime | None:
    for kind in ("Complete", "Failed"):
        if is_true(job, kind):
            return parse_time((condition_of(job, kind) or {}).get("lastTransitionTime"))
    return None
