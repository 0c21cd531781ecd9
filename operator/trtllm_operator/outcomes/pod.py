"""The end of a single pod, or the obstacle to its start; pure.

The builder's own BuildResult is believed first. What it cannot report, because it was killed or never started, is
explained by trtllm_diagnosis from the pod, its Events and its log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from pydantic import ValidationError

from trtllm_api.contract import BuildResult
from trtllm_api.problem import Problem
from trtllm_api.reasons import Reason
from trtllm_diagnosis import diagnose_end, diagnose_waiting
from trtllm_diagnosis.model import shorten
from trtllm_diagnosis.waiting import newest_first
from trtllm_operator.kube.objects import Object, condition_of, dig, is_true, items, name_of
from trtllm_operator.manifests.job import CONTAINER
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.progress import last_progress, stopped, summary

_WHILE = {Reason.HOST_OUT_OF_MEMORY, Reason.TERMINATED, Reason.EVICTED}
"""Ends that come from outside: what the builder was doing is worth knowing."""
RETRY = "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again"


@dataclass(frozen=True)
class JobFailed(Problem):
    """The end of a Job that failed: another run would end the same way, or enough were tried."""

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
    """The end of the builder's container; None while it runs."""
    for status in items(pod, "status", "containerStatuses"):
        if status.get("name") == CONTAINER:
            found: Object | None = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
            return found
    return None


def from_result(result: BuildResult) -> JobFailed:
    """A failure in the builder's own words."""
    reason = result.reason or Reason.BAD_TERMINATION
    return JobFailed(
        reason, result.message or f"the builder ended with exit code {result.exit_code}", result.remedy, result
    )


def was_moved(pod: Object) -> bool:
    """Drained, preempted or taken back by a queue: its end counts as nobody's failure."""
    return is_true(pod, "DisruptionTarget")


def death_of(pod: Object, evidence: Evidence) -> JobFailed | None:
    """The cause of a pod's death, in the builder's own words where there are any; None for a pod that lives."""
    result = result_of(pod)
    if result is not None and result.exit_code != 0:
        return from_result(result)
    end = terminated(pod)
    evicted = dig(pod, "status", "reason") == "Evicted"
    if was_moved(pod) and not evicted and (end is None or end.get("exitCode") != 0):
        said = condition_of(pod, "DisruptionTarget") or {}
        why = said.get("message") or said.get("reason") or "it does not say why"
        return JobFailed(Reason.POD_MOVED, f"pod {name_of(pod)} was taken from its node: {shorten(str(why))}", RETRY)
    log = evidence.log_of(pod) or str(dig(end, "message") or "")
    progress = last_progress(log)
    found = diagnose_end(
        pod,
        log=log.splitlines(),
        events=evidence.events_of(pod),
        memory_peak=progress.memory_peak if progress else None,
        template="spec.podTemplate",
    )
    if found is None:
        return None
    if found.reason is Reason.UNKNOWN:
        return JobFailed(Reason.BAD_TERMINATION, f"pod {name_of(pod)}{_unexplained(pod, log)}", RETRY)
    doing = f" It was at: {summary(stopped(progress))}." if progress and found.reason in _WHILE else ""
    return JobFailed(found.reason, f"pod {name_of(pod)}: {shorten(found.message)}{doing}", found.remedy)


def _unexplained(pod: Object, log: str) -> str:
    """The end of the first container that failed, and its last line."""
    for status in (*items(pod, "status", "initContainerStatuses"), *items(pod, "status", "containerStatuses")):
        end = dig(status, "state", "terminated") or dig(status, "lastState", "terminated") or {}
        code, said = end.get("exitCode"), str(end.get("message") or "")
        if code and status.get("name") == CONTAINER:
            return f" ended with exit code {code} and left no result: {last_line(log)}"
        if code:
            return f": its init container {status.get('name')} ended with exit code {code}: {last_line(said)}"
    return " failed and does not say why"


def pod_trouble(pod: Object, evidence: Evidence) -> tuple[Reason, str] | None:
    """The obstacle of a pending pod, as reason and sentence; it may still pass."""
    if (condition_of(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        message = f"pod {name_of(pod)} is held back by a scheduling gate: a queue has not admitted it yet"
        return Reason.QUEUED, message
    events = evidence.events_of(pod)
    found = diagnose_waiting(pod, events)
    if found is not None:
        return found.reason, f"pod {name_of(pod)}: {shorten(found.message)} {found.remedy}"
    newest = next(newest_first(events), None)
    if newest is not None and newest.get("reason") == "Pulling":
        said = str(newest.get("message") or newest.get("note") or "").removeprefix("Pulling image ")
        return Reason.PULLING_IMAGE, f"pod {name_of(pod)}: the node downloads image {shorten(said)}"
    return None


def last_line(text: str) -> str:
    """The last line that says something, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shorten(lines[-1]) if lines else "its log is empty"
