"""What pods say beside their status: Events and the logs of ended containers; pure, read by poddeath and rollout.

trtllm_operator.loop.pod_evidence gathers it, and asks here for which pods that is worth a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trtllm_operator.kube.objects import Object, dig, is_deleting, is_true, items, name_of, parse_time

QUIET = timedelta(seconds=15)
"""A pod that is placed and has not begun by then may wait for something that only its Events tell."""
_BEGINS = {None, "ContainerCreating", "PodInitializing"}
_SIGNALS = {137, 143}


@dataclass(frozen=True)
class Evidence:
    """By the name of the pod."""

    events: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    """The last lines of a container that has ended."""

    def events_of(self, pod: Object) -> tuple[Object, ...]:
        """None where none were asked for."""
        return self.events.get(name_of(pod), ())

    def log_of(self, pod: Object) -> str:
        """Empty where it was not asked for, or is gone."""
        return self.logs.get(name_of(pod), "")


def wants_events(pod: Object, now: datetime) -> bool:
    """Its status does not tell why it does not begin, or who had its container killed."""
    if is_deleting(pod):
        return False
    statuses = [*items(pod, "status", "initContainerStatuses"), *items(pod, "status", "containerStatuses")]
    if dig(pod, "status", "phase") == "Pending":
        since = parse_time(dig(pod, "status", "startTime"))
        silent = all(dig(status, "state", "waiting", "reason") in _BEGINS for status in statuses)
        return since is not None and now - since >= QUIET and silent and is_true(pod, "PodScheduled")
    return any(
        dig(end, "exitCode") in _SIGNALS and dig(end, "reason") != "OOMKilled"
        for status in statuses
        for end in (dig(status, "state", "terminated"), dig(status, "lastState", "terminated"))
    )


def wants_log(pod: Object, container: str) -> bool:
    """The container ended badly, and not in its own words: its termination message is cut, or not there at all."""
    for status in items(pod, "status", "containerStatuses"):
        end = dig(status, "state", "terminated")
        if status.get("name") == container and end and end.get("exitCode") != 0:
            return not _is_result(str(end.get("message") or ""))
    return False


def _is_result(message: str) -> bool:
    """A BuildResult, and not the log's last lines, which the kubelet puts in its place: they are JSON, too."""
    try:
        value = json.loads(message)
    except ValueError:
        return False
    return dig(value, "exitCode") is not None
