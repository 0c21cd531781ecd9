"""What a builder Job and its pods say: `job_outcome`, pure; called by quantizedmodel.state.

The builder's own BuildResult is believed first. What it cannot report, because it was killed or never started, is read
from the pods: out of memory, evicted, image, scheduling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from trtllm_api.contract import BuildResult, FailureReason
from trtllm_api.diagnosis import Diagnosis, DiagnosisReason, diagnose
from trtllm_operator.children.job import CONTAINER
from trtllm_operator.children.objects import (
    Object,
    condition_of,
    creation_order,
    dig,
    is_deleting,
    is_true,
    items,
    name_of,
    parse_time,
)

EVIDENCE_GRACE = timedelta(seconds=20)
"""The Job's end may be seen before its pod's: wait that long for the pod's last words."""


class PodReason(StrEnum):
    """What only the operator sees of a builder that did not, or could not, speak for itself."""

    OUT_OF_MEMORY = FailureReason.OUT_OF_MEMORY.value
    """The kernel killed the container at its memory limit."""
    EVICTED = "Evicted"
    """The node was short of memory or disk and threw the pod out."""
    IMAGE_PULL = "ImagePull"
    """The image cannot be pulled."""
    UNSCHEDULABLE = "Unschedulable"
    """No node takes the pod."""
    CONFIGURATION = "PodConfiguration"
    """The pod refers to a Secret, ConfigMap or volume that is not there, or the namespace refuses it."""
    BAD_TERMINATION = "BadTermination"
    """The container ended without a result that can be read."""
    STARTING = "PodStarting"
    """The pod is placed and its container not running yet."""
    RUNNING = "PodRunning"
    """The container runs."""
    RETRYING = "Retrying"
    """A pod was lost or ended with a transient error; the Job makes another."""
    QUEUED = "Queued"
    """The Job is suspended, as a queue does until it admits it."""
    NO_POD = "PodPending"
    """The Job has no pod yet."""


@dataclass(frozen=True)
class JobRunning:
    """Not finished; trouble that may pass is in reason and message."""

    reason: PodReason
    message: str
    pod: str | None = None
    """The pod whose log has progress."""
    earlier: str = ""
    """Why an earlier pod of the same Job died."""


@dataclass(frozen=True)
class JobSucceeded:
    """Finished with a result that says so."""

    result: BuildResult


@dataclass(frozen=True)
class JobFailed:
    """Finished, and another run would end the same way or has been tried often enough."""

    reason: str
    message: str
    remedy: str
    result: BuildResult | None = None


@dataclass(frozen=True)
class JobLost:
    """Finished without evidence: the pods are gone. The store has what was published, so running it again is cheap."""

    message: str


JobOutcome = JobRunning | JobSucceeded | JobFailed | JobLost


def job_outcome(job: Object, pods: Iterable[Object], now: datetime) -> JobOutcome:
    """What the Job means; pods are those that it controls."""
    ordered = sorted(pods, key=creation_order)
    if is_true(job, "Complete"):
        return _completed(job, ordered, now)
    failed = condition_of(job, "Failed")
    if failed is not None and failed.get("status") == "True":
        return _failed(job, failed, ordered, now)
    return _unfinished(job, ordered)


def result_of(pod: Object) -> BuildResult | None:
    """The BuildResult in the builder's termination message, if it can be read."""
    try:
        value = json.loads(str(dig(_terminated(pod), "message") or ""))
        return BuildResult.model_validate(value)
    except (ValueError, ValidationError):
        return None


def _terminated(pod: Object) -> Object | None:
    for status in items(pod, "status", "containerStatuses"):
        if status.get("name") == CONTAINER:
            found: Object | None = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
            return found
    return None


def _completed(job: Object, pods: list[Object], now: datetime) -> JobOutcome:
    succeeded = [pod for pod in pods if dig(pod, "status", "phase") == "Succeeded"]
    if not succeeded:
        return _missing_evidence(job, "Complete", now)
    result = result_of(succeeded[-1])
    if result is not None and result.exit_code == 0:
        return JobSucceeded(result)
    said = str(dig(_terminated(succeeded[-1]), "message") or "")
    return JobFailed(
        PodReason.BAD_TERMINATION,
        f"pod {name_of(succeeded[-1])} exited with 0 and left no result that can be read: {last_line(said)}",
        "the builder image and the operator must be of the same release: check both images' tags",
    )


def _failed(job: Object, condition: Object, pods: list[Object], now: datetime) -> JobOutcome:
    dead = [pod for pod in pods if dig(pod, "status", "phase") == "Failed" or _terminated(pod) is not None]
    if not dead:
        outcome = _missing_evidence(job, "Failed", now)
        if isinstance(outcome, JobRunning):
            return outcome
        return JobFailed(
            PodReason.BAD_TERMINATION,
            f"Job {name_of(job)} failed and its pods are gone: {condition.get('message', '')}",
            "set the annotation trtllm.dev/retry to a new value to run it again",
        )
    # a permanent failure ends the Job at once, so it is the last pod's; without one the first death is the root cause
    spoken = [(pod, result) for pod in dead if (result := result_of(pod)) is not None]
    permanent = [result for _, result in spoken if result.exit_code in range(64, 70)]
    if permanent:
        return _from_result(permanent[-1])
    first = _death(dead[0])
    attempts = f" ({len(dead)} attempts)" if len(dead) > 1 else ""
    if first is not None:
        return JobFailed(first.reason, first.message + attempts, first.remedy, first.result)
    return JobFailed(PodReason.BAD_TERMINATION, str(condition.get("message", "")) + attempts, _RETRY)


_RETRY = "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again"


def _from_result(result: BuildResult) -> JobFailed:
    reason = str(result.reason or PodReason.BAD_TERMINATION)
    return JobFailed(
        reason, result.message or f"the builder ended with exit code {result.exit_code}", result.remedy, result
    )


def _death(pod: Object) -> JobFailed | None:
    """Why this pod died, the builder's own words first; None for a pod that did not."""
    result = result_of(pod)
    if result is not None and result.exit_code != 0:
        return _from_result(result)
    if dig(pod, "status", "reason") == "Evicted":
        return JobFailed(
            PodReason.EVICTED,
            f"pod {name_of(pod)} was evicted: {dig(pod, 'status', 'message') or 'the node was short of resources'}",
            "raise podTemplate.resources.requests to what the pod really uses, or give the node more room",
        )
    end = _terminated(pod)
    if end is None:
        return None
    if end.get("reason") == "OOMKilled" or end.get("exitCode") == 137:
        return _out_of_memory(pod, end)
    code, said = end.get("exitCode"), str(end.get("message") or "")
    found = recognised(said, code)
    if found is not None:
        return JobFailed(str(found.reason), f"pod {name_of(pod)}: {found.message}", found.remedy)
    return JobFailed(
        PodReason.BAD_TERMINATION,
        f"pod {name_of(pod)} ended with exit code {code} and left no result: {last_line(said)}",
        _RETRY,
    )


def _out_of_memory(pod: Object, end: Object) -> JobFailed:
    limit = next(
        (
            dig(c, "resources", "limits", "memory")
            for c in items(pod, "spec", "containers")
            if c.get("name") == CONTAINER
        ),
        None,
    )
    if end.get("reason") == "OOMKilled":
        at = f"at its limit of {limit}" if limit else "because the node ran out of memory"
        return JobFailed(
            PodReason.OUT_OF_MEMORY,
            f"pod {name_of(pod)} was killed for memory {at}",
            f"set podTemplate.resources.limits.memory to more than {limit}, or calibrate on shorter sequences"
            if limit
            else "set podTemplate.resources.requests.memory to what the pod really uses",
        )
    return JobFailed(
        PodReason.BAD_TERMINATION,
        f"pod {name_of(pod)} was killed from outside (exit code 137)",
        "likely the node stopped or somebody killed it; a new value of the annotation trtllm.dev/retry runs it again",
    )


def _missing_evidence(job: Object, kind: str, now: datetime) -> JobOutcome:
    ended = parse_time((condition_of(job, kind) or {}).get("lastTransitionTime"))
    if ended is None or now - ended < EVIDENCE_GRACE:
        return JobRunning(PodReason.RUNNING, "the Job has ended; waiting for its pod's result")
    return JobLost(f"Job {name_of(job)} ended and its pods are gone")


def _unfinished(job: Object, pods: list[Object]) -> JobRunning:
    alive = [
        pod for pod in pods if dig(pod, "status", "phase") in {None, "Pending", "Running"} and not is_deleting(pod)
    ]
    deaths = [death for pod in pods if pod not in alive and (death := _death(pod)) is not None]
    earlier = deaths[0].message if deaths else ""
    if not alive:
        if deaths:
            return JobRunning(PodReason.RETRYING, f"{earlier}; trying again")
        if dig(job, "spec", "suspend"):
            return JobRunning(PodReason.QUEUED, f"Job {name_of(job)} is suspended: a queue has not admitted it yet")
        return JobRunning(PodReason.NO_POD, f"Job {name_of(job)} has no pod yet")
    pod = alive[-1]
    if dig(pod, "status", "phase") == "Running":
        return JobRunning(PodReason.RUNNING, f"pod {name_of(pod)} runs", name_of(pod), earlier)
    reason, message = pod_trouble(pod) or (PodReason.STARTING, f"pod {name_of(pod)} starts")
    return JobRunning(reason, message, earlier=earlier)


def pod_trouble(pod: Object) -> tuple[PodReason, str] | None:
    """What keeps a pending pod from running, in the scheduler's or kubelet's own words; it may still pass."""
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == "Unschedulable":
        return PodReason.UNSCHEDULABLE, f"pod {name_of(pod)} fits no node: {scheduled.get('message', '')}"
    for status in items(pod, "status", "containerStatuses"):
        waiting: Any = dig(status, "state", "waiting") or {}
        reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
        if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
            return PodReason.IMAGE_PULL, f"image {status.get('image')} cannot be pulled ({reason}): {cut(said)}"
        if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
            return PodReason.CONFIGURATION, f"pod {name_of(pod)} cannot start ({reason}): {cut(said)}"
    return None


def recognised(log: str, exit_code: Any) -> Diagnosis | None:
    """What the end of a crashed container's log means, where the catalogue knows it."""
    found = diagnose(log.splitlines(), exit_code=exit_code if isinstance(exit_code, int) else None)
    return None if found is None or found.reason in {DiagnosisReason.UNKNOWN, DiagnosisReason.TERMINATED} else found


def last_line(text: str) -> str:
    """The last line that says something, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return cut(lines[-1]) if lines else "its log is empty"


def cut(text: str, limit: int = 400) -> str:
    """At most limit characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
