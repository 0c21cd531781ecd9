"""What a single pod says of its end, or of what keeps it from starting; pure, called by joboutcome and rollout.

The builder's own BuildResult is believed first. What it cannot report, because it was killed or never started, is read
from the pod: out of memory, evicted, moved away, image, scheduling.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from trtllm_api.contract import BuildResult, FailureReason
from trtllm_api.diagnosis import Diagnosis, DiagnosisReason, diagnose
from trtllm_api.diagnosis.scheduling import explain_unschedulable
from trtllm_operator.children.job import CONTAINER
from trtllm_operator.children.objects import Object, condition_of, dig, is_true, items, name_of

RETRY = "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again"


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
    MOVED = "PodMoved"
    """The pod was drained, preempted or taken back by a queue."""
    QUEUED = "Queued"
    """The Job is suspended, or its pod gated, as a queue does until it admits it."""
    NO_POD = "PodPending"
    """The Job has no pod yet."""


@dataclass(frozen=True)
class JobFailed:
    """Finished, and another run would end the same way or has been tried often enough."""

    reason: str
    message: str
    remedy: str
    result: BuildResult | None = None

    def about(self, what: str) -> JobFailed:
        """The same, saying which of several pods it is about."""
        return replace(self, message=f"{what}: {self.message}") if what else self


def result_of(pod: Object) -> BuildResult | None:
    """The BuildResult in the builder's termination message, if it can be read."""
    try:
        value = json.loads(str(dig(terminated(pod), "message") or ""))
        return BuildResult.model_validate(value)
    except (ValueError, ValidationError):
        return None


def terminated(pod: Object) -> Object | None:
    """How the builder's container ended; None while it has not."""
    for status in items(pod, "status", "containerStatuses"):
        if status.get("name") == CONTAINER:
            found: Object | None = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
            return found
    return None


def from_result(result: BuildResult) -> JobFailed:
    """A failure in the builder's own words."""
    reason = str(result.reason or PodReason.BAD_TERMINATION)
    return JobFailed(
        reason, result.message or f"the builder ended with exit code {result.exit_code}", result.remedy, result
    )


def was_moved(pod: Object) -> bool:
    """Drained, preempted or taken back by a queue: its end counts as nobody's failure."""
    return is_true(pod, "DisruptionTarget")


def death_of(pod: Object) -> JobFailed | None:
    """Why this pod died, the builder's own words first; None for a pod that did not."""
    result = result_of(pod)
    if result is not None and result.exit_code != 0:
        return from_result(result)
    if dig(pod, "status", "reason") == "Evicted":
        return JobFailed(
            PodReason.EVICTED,
            f"pod {name_of(pod)} was evicted: {dig(pod, 'status', 'message') or 'the node was short of resources'}",
            "raise podTemplate.resources.requests to what the pod really uses, or give the node more room",
        )
    end = terminated(pod)
    if was_moved(pod) and (end is None or end.get("exitCode") != 0):
        said = condition_of(pod, "DisruptionTarget") or {}
        why = said.get("message") or said.get("reason") or "it does not say why"
        return JobFailed(PodReason.MOVED, f"pod {name_of(pod)} was taken from its node: {cut(str(why))}", RETRY)
    if end is None:
        return _init_death(pod)
    if end.get("exitCode") == 0:
        return None
    if end.get("reason") == "OOMKilled" or end.get("exitCode") == 137:
        return _out_of_memory(pod, end)
    code, said_last = end.get("exitCode"), str(end.get("message") or "")
    found = recognised(said_last, code)
    if found is not None:
        return JobFailed(str(found.reason), f"pod {name_of(pod)}: {found.message}", found.remedy)
    return JobFailed(
        PodReason.BAD_TERMINATION,
        f"pod {name_of(pod)} ended with exit code {code} and left no result: {last_line(said_last)}",
        RETRY,
    )


def _init_death(pod: Object) -> JobFailed | None:
    """The container that copies the builder's code did not end well, so the main one never began."""
    for status in items(pod, "status", "initContainerStatuses"):
        end = dig(status, "state", "terminated") or {}
        if end.get("exitCode"):
            said = last_line(str(end.get("message") or ""))
            return JobFailed(
                PodReason.BAD_TERMINATION,
                f"pod {name_of(pod)}: its init container {status.get('name')} ended with exit code "
                f"{end.get('exitCode')}: {said}",
                RETRY,
            )
    return None


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


def pod_trouble(pod: Object) -> tuple[PodReason, str] | None:
    """What keeps a pending pod from running, in the scheduler's or kubelet's own words; it may still pass."""
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == "Unschedulable":
        found = explain_unschedulable(str(scheduled.get("message") or ""))
        said = found.message.removeprefix("No node takes the pod: ")
        return PodReason.UNSCHEDULABLE, f"pod {name_of(pod)} fits no node: {said} {found.remedy}"
    if scheduled is not None and scheduled.get("reason") == "SchedulingGated":
        return (
            PodReason.QUEUED,
            f"pod {name_of(pod)} is held back by a scheduling gate: a queue has not admitted it yet",
        )
    for status in (*items(pod, "status", "initContainerStatuses"), *items(pod, "status", "containerStatuses")):
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
