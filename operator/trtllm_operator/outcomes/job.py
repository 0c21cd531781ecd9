"""job_outcome: the meaning of a builder Job's state and of its pods'; pure.

An Indexed Job is its pods of each index: a message says which one it is about. outcomes.pod reads the single pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from trtllm_api.contract import PERMANENT_EXIT_CODES, BuildResult
from trtllm_api.reasons import Reason
from trtllm_operator.kube.objects import (
    Object,
    condition_of,
    creation_order,
    dig,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    parse_time,
)
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.pod import (
    RETRY,
    JobFailed,
    death_of,
    from_result,
    last_line,
    pod_trouble,
    result_of,
    terminated,
    was_moved,
)

__all__ = [
    "EVIDENCE_GRACE",
    "JobFailed",
    "JobLost",
    "JobOutcome",
    "JobRunning",
    "JobSucceeded",
    "Reason",
    "job_outcome",
]

EVIDENCE_GRACE = timedelta(seconds=20)
"""The Job's end may be seen before its pod's: wait that long for the pod's last words."""
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class JobRunning:
    """Not finished; trouble that may pass is in reason and message."""

    reason: Reason
    message: str
    pod: str | None = None
    """A pod that runs: its log has progress."""
    earlier: str = ""
    """The cause of death of an earlier pod of the same Job."""
    others: tuple[str, ...] = ()
    """The other running pods of an Indexed Job."""


@dataclass(frozen=True)
class JobSucceeded:
    """Finished with a result that says so."""

    result: BuildResult
    """The result; the lowest index's of an Indexed Job."""


@dataclass(frozen=True)
class JobLost:
    """Finished without evidence: the pods are gone. The store has what was published, so running it again is cheap."""

    message: str


JobOutcome = JobRunning | JobSucceeded | JobFailed | JobLost


def job_outcome(job: Object, pods: Iterable[Object], now: datetime, evidence: Evidence) -> JobOutcome:
    """The meaning of a Job's state; `pods` are those that it controls."""
    ordered = sorted(pods, key=creation_order)
    if is_true(job, "Complete"):
        return _completed(job, ordered, now)
    failed = condition_of(job, "Failed")
    if failed is not None and failed.get("status") == "True":
        return _failed(job, failed, ordered, now, evidence)
    return _unfinished(job, ordered, evidence)


def _completions(job: Object) -> int:
    """The number of pods that share the work; 0 for a Job without indexes."""
    return int(dig(job, "spec", "completions") or 1) if dig(job, "spec", "completionMode") == "Indexed" else 0


def _index(pod: Object) -> int:
    said = str(dig(pod, "metadata", "annotations", _INDEX) or labels_of(pod).get(_INDEX))
    return int(said) if said.isdigit() else 0


def _which(job: Object, pod: Object) -> str:
    """`index 1`, where there are several."""
    return f"index {_index(pod)}" if _completions(job) > 1 else ""


def _said(which: str, message: str) -> str:
    return f"{which}: {message}" if which else message


def _completed(job: Object, pods: list[Object], now: datetime) -> JobOutcome:
    succeeded = {_index(pod): pod for pod in pods if dig(pod, "status", "phase") == "Succeeded"}
    wanted = max(1, _completions(job))
    if len(succeeded) < wanted:
        # pods of an Indexed Job that are gone by now have left their files: the other results will do
        missing = _missing_evidence(job, "Complete", now)
        if isinstance(missing, JobRunning) or not succeeded:
            return missing
    results: dict[int, BuildResult] = {}
    for index, pod in sorted(succeeded.items()):
        result = result_of(pod)
        if result is None or result.exit_code != 0:
            said = str(dig(terminated(pod), "message") or "")
            return JobFailed(
                Reason.BAD_TERMINATION,
                f"pod {name_of(pod)} exited with 0 and left no result that can be read: {last_line(said)}",
                "the builder image and the operator must be of the same release: check both images' tags",
            ).about(_which(job, pod))
        results[index] = result
    return JobSucceeded(results[min(results)])


def _failed(job: Object, condition: Object, pods: list[Object], now: datetime, evidence: Evidence) -> JobOutcome:
    dead = [pod for pod in pods if _is_dead(pod)]
    if not dead:
        outcome = _missing_evidence(job, "Failed", now)
        if isinstance(outcome, JobRunning):
            return outcome
        return JobFailed(
            Reason.BAD_TERMINATION,
            f"Job {name_of(job)} failed and its pods are gone: {condition.get('message', '')}",
            "set the annotation trtllm.dev/retry to a new value to run it again",
        )
    # a permanent failure ends the Job at once, so it is the last pod's; without one the first death is the root cause
    spoken = [(pod, result) for pod in dead if (result := result_of(pod)) is not None]
    permanent = [(pod, result) for pod, result in spoken if result.exit_code in PERMANENT_EXIT_CODES]
    if permanent:
        pod, result = permanent[-1]
        return from_result(result).about(_which(job, pod))
    of_failed = [pod for pod in dead if _index(pod) in _failed_indexes(job)] or dead
    counted = [pod for pod in of_failed if not was_moved(pod)] or of_failed
    counted = [pod for pod in counted if _index(pod) == _index(counted[0])]
    which, first = _which(job, counted[0]), death_of(counted[0], evidence)
    attempts = f" ({len(counted)} attempts)" if len(counted) > 1 else ""
    if first is not None:
        stop = "." if attempts and first.message.endswith(".") else ""
        message = first.message.removesuffix(stop) + attempts + stop
        return JobFailed(first.reason, message, first.remedy, first.result).about(which)
    return JobFailed(Reason.BAD_TERMINATION, str(condition.get("message", "")) + attempts, RETRY).about(which)


def _is_dead(pod: Object) -> bool:
    if dig(pod, "status", "phase") == "Succeeded":
        return False
    return dig(pod, "status", "phase") == "Failed" or terminated(pod) is not None


def _failed_indexes(job: Object) -> set[int]:
    """status.failedIndexes, written as `0,2-4`."""
    found: set[int] = set()
    for part in filter(None, str(dig(job, "status", "failedIndexes") or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _missing_evidence(job: Object, kind: str, now: datetime) -> JobRunning | JobLost:
    ended = parse_time((condition_of(job, kind) or {}).get("lastTransitionTime"))
    if ended is None or now - ended < EVIDENCE_GRACE:
        return JobRunning(Reason.POD_RUNNING, "the Job has ended; waiting for its pod's result")
    return JobLost(f"Job {name_of(job)} ended and its pods are gone")


def _unfinished(job: Object, pods: list[Object], evidence: Evidence) -> JobRunning:
    alive = [
        pod for pod in pods if dig(pod, "status", "phase") in {None, "Pending", "Running"} and not is_deleting(pod)
    ]
    done = {_index(pod) for pod in pods if dig(pod, "status", "phase") == "Succeeded"}
    # an index that has succeeded since tells nothing any more
    deaths = [
        _said(_which(job, pod), death.message)
        for pod in pods
        if pod not in alive and _index(pod) not in done and (death := death_of(pod, evidence)) is not None
    ]
    earlier = deaths[0] if deaths else ""
    if not alive:
        if dig(job, "spec", "suspend"):
            said = f"Job {name_of(job)} is suspended: a queue has not admitted it yet"
            return JobRunning(Reason.QUEUED, said, earlier=earlier)
        if deaths:
            return JobRunning(Reason.POD_RETRYING, f"{earlier}; trying again")
        if len(done) >= max(1, _completions(job)):
            return JobRunning(Reason.POD_RUNNING, "every pod has ended; waiting for the Job to say so")
        refused = evidence.refusal_of(job)
        if refused:
            return JobRunning(Reason.POD_REFUSED, f"Kubernetes refuses the pods of Job {name_of(job)}: {refused}")
        return JobRunning(Reason.POD_PENDING, f"Job {name_of(job)} has no pod yet")
    running = [pod for pod in alive if dig(pod, "status", "phase") == "Running"]
    waiting = [pod for pod in alive if pod not in running]
    troubles = [
        (trouble[0], _said(_which(job, pod), trouble[1]))
        for pod in waiting
        if (trouble := pod_trouble(pod, evidence)) is not None
    ]
    if running:
        *others, last = [name_of(pod) for pod in running]
        message = _progress(job, running, len(done), troubles)
        return JobRunning(Reason.POD_RUNNING, message, last, earlier, tuple(others))
    pod = waiting[-1]
    reason, message = (
        troubles[-1] if troubles else (Reason.POD_STARTING, _said(_which(job, pod), f"pod {name_of(pod)} starts"))
    )
    return JobRunning(reason, message, earlier=earlier)


def _progress(job: Object, running: list[Object], done: int, troubles: list[tuple[Reason, str]]) -> str:
    total = _completions(job)
    if total <= 1:
        return f"pod {name_of(running[-1])} runs"
    message = f"{len(running)} of {total} pods run" + (f", {done} done" if done else "")
    return "; ".join([message, *(said for _, said in troubles[:1])])
