"""Evidence: what pods and their makers report beside their status, and for which of them that is worth a request.

Pure; trtllm_operator.loop.pod_evidence gathers it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trtllm_operator.kube.objects import Object, dig, is_deleting, is_owned, is_true, items, name_of, parse_time, uid_of

QUIET = timedelta(seconds=15)
"""A pod that is placed and has not begun by then may wait for something that only its Events tell."""
_BEGINS = {None, "ContainerCreating", "PodInitializing"}
_SIGNALS = {137, 143}
_MOST_REFUSAL = 1024
"""Characters of the API server's words that are kept."""


@dataclass(frozen=True)
class Evidence:
    """Events and logs by the name of the pod, refusals by the name of the Job or LeaderWorkerSet."""

    events: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    """The last lines of a container that has ended."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """The API server's words where a controller could not create a pod: a quota, Pod Security, a webhook."""

    def events_of(self, pod: Object) -> tuple[Object, ...]:
        """Events of the pod; empty if none were fetched."""
        return self.events.get(name_of(pod), ())

    def log_of(self, pod: Object) -> str:
        """The end of the pod's log; empty if it was not fetched."""
        return self.logs.get(name_of(pod), "")

    def refusal_of(self, maker: Object) -> str:
        """The reason why the Job or LeaderWorkerSet has too few pods; empty if nobody refuses them."""
        return self.refusals.get(name_of(maker), "")


def lacks_pods(job: Object, pods: Iterable[Object]) -> bool:
    """The Job is at work, nobody suspends it, and it has no pod that may still run."""
    if dig(job, "spec", "suspend") or is_deleting(job) or any(is_true(job, end) for end in ("Complete", "Failed")):
        return False
    alive = {"Pending", "Running", None}
    mine = (pod for pod in pods if is_owned(pod, uid_of(job)))
    return not any(dig(pod, "status", "phase") in alive and not is_deleting(pod) for pod in mine)


def group_lacks_pods(groups: Object, pods: Iterable[Object]) -> bool:
    """The LeaderWorkerSet has fewer pods than its groups are to have."""
    size = int(dig(groups, "spec", "leaderWorkerTemplate", "size") or 1)
    wanted = int(dig(groups, "spec", "replicas") or 0) * size
    return sum(not is_deleting(pod) for pod in pods) < wanted


def newest_refusal(events: Iterable[Object], maker: Object) -> str:
    """The message of the last FailedCreate Event of the maker, or of a StatefulSet that a LeaderWorkerSet made."""
    name = name_of(maker)
    ours = re.compile(rf"{re.escape(name)}(-[0-9]+)?") if maker.get("kind") == "LeaderWorkerSet" else None
    found = [
        event
        for event in events
        if ours is None or ours.fullmatch(str(dig(event, "involvedObject", "name") or "")) is not None
    ]
    newest = max(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), default=None)
    return str((newest or {}).get("message") or "")[:_MOST_REFUSAL]


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
