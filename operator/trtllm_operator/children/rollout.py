"""What a Deployment and its pods say: `rollout_outcome`, pure; called by enginebuild.state."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from trtllm_api.contract import PERMANENT_EXIT_CODES
from trtllm_operator.children.joboutcome import cut, last_line, pod_trouble, recognised
from trtllm_operator.children.objects import (
    Object,
    condition_of,
    creation_order,
    dig,
    is_deleting,
    is_true,
    items,
    labels_of,
    name_of,
)
from trtllm_operator.children.server import CONTAINER
from trtllm_operator.conditions import with_remedy

_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"
OOM_RESTARTS = 2
"""A server killed for memory that often will be killed again."""


@dataclass(frozen=True)
class Rollout:
    """Numbers and troubles of the newest ReplicaSet's servers."""

    replicas: int
    """Of all ReplicaSets."""
    ready: int
    """Of all ReplicaSets."""
    updated_ready: int
    """Of the newest."""
    complete: bool
    """As many as wanted, all of the newest template, all available, no other."""
    failed: str
    """Why it will not get on by itself; empty while it may."""
    trouble: str
    """What holds it up just now; it may pass."""
    refused: bool
    """Kubernetes refuses to create pods."""
    starting: str | None
    """A pod that runs and is not ready yet: its log has progress."""


def rollout_outcome(deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object]) -> Rollout:
    """Read the Deployment's status; nothing is believed that was said about an older generation of it."""
    wanted = int(dig(deployment, "spec", "replicas") or 0)
    seen = (dig(deployment, "status", "observedGeneration") or 0) >= (dig(deployment, "metadata", "generation") or 0)
    counts = {
        key: int(dig(deployment, "status", key) or 0)
        for key in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    }
    newest = _newest(deployment, replica_sets, pods)
    said = _server_failure(newest)
    progressing = condition_of(deployment, "Progressing") or {}
    late = seen and progressing.get("reason") == "ProgressDeadlineExceeded"
    troubles = [trouble[1] for pod in newest if (trouble := pod_trouble(pod)) is not None]
    crashed = _crash(newest)
    refused = seen and is_true(deployment, "ReplicaFailure")
    if refused:
        troubles.insert(0, str((condition_of(deployment, "ReplicaFailure") or {}).get("message", "")))
    complete = seen and all(count == wanted for count in counts.values())
    failed = said or (
        f"not ready in time: {next(filter(None, [*troubles, crashed]), 'no server answered')}" if late else ""
    )
    return Rollout(
        replicas=counts["replicas"],
        ready=counts["readyReplicas"],
        updated_ready=sum(is_true(pod, "Ready") for pod in newest),
        complete=complete,
        failed="" if complete else failed,
        trouble=next(filter(None, [*troubles, crashed]), ""),
        refused=refused,
        starting=next((name_of(pod) for pod in newest if _is_starting(pod)), None),
    )


def _newest(deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """Living pods of the newest ReplicaSet, the older first."""
    revision = dig(deployment, "metadata", "annotations", _REVISION)
    current = [rs for rs in replica_sets if dig(rs, "metadata", "annotations", _REVISION) == revision]
    hashes = {labels_of(rs).get(_TEMPLATE_HASH) for rs in current}
    chosen = [pod for pod in pods if labels_of(pod).get(_TEMPLATE_HASH) in hashes and not is_deleting(pod)]
    return sorted(chosen, key=creation_order)


def _is_starting(pod: Object) -> bool:
    return dig(pod, "status", "phase") == "Running" and not is_true(pod, "Ready")


def _ends(pods: list[Object]) -> Iterable[tuple[Object, Object, int]]:
    for pod in pods:
        for status in items(pod, "status", "containerStatuses"):
            end = dig(status, "state", "terminated") or dig(status, "lastState", "terminated")
            if status.get("name") == CONTAINER and end and not status.get("ready"):
                yield pod, end, int(status.get("restartCount") or 0)


def _server_failure(pods: list[Object]) -> str:
    """A server that says that it will never serve this artifact here, or that memory is too small for it."""
    for pod, end, restarts in _ends(pods):
        if end.get("exitCode") in PERMANENT_EXIT_CODES:
            return _own_words(end)
        if end.get("reason") == "OOMKilled" and restarts >= OOM_RESTARTS:
            return f"{_oom(pod)}: set serving.podTemplate.resources.limits.memory to more"
    return ""


def _crash(pods: list[Object]) -> str:
    for pod, end, restarts in _ends(pods):
        if end.get("reason") == "OOMKilled":
            return _oom(pod)
        if end.get("exitCode") != 0:
            return f"server {name_of(pod)} ended with {end.get('exitCode')} ({restarts} restarts): {_own_words(end)}"
    return ""


def _oom(pod: Object) -> str:
    containers = [c for c in items(pod, "spec", "containers") if c.get("name") == CONTAINER]
    limit = dig(containers[0], "resources", "limits", "memory") if containers else None
    return f"server {name_of(pod)} was killed for memory" + (f" at its limit of {limit}" if limit else "")


def _own_words(end: Object) -> str:
    """The server's termination message: JSON with message and remedy, or else the end of its log."""
    text = str(end.get("message") or "")
    try:
        value = json.loads(text)
    except ValueError:
        found = recognised(text, end.get("exitCode"))
        return cut(found.sentence) if found is not None else last_line(text)
    message, remedy = dig(value, "message"), dig(value, "remedy")
    return cut(with_remedy(str(message), str(remedy or ""))) if message else last_line(text)
