"""Rollout: the state of the servers' Deployment or LeaderWorkerSet and of its pods; pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from trtllm_api.contract import PERMANENT_EXIT_CODES
from trtllm_api.problem import as_sentence
from trtllm_api.reasons import Reason
from trtllm_diagnosis import diagnose_end
from trtllm_diagnosis.model import shorten
from trtllm_operator.kube.objects import (
    Object,
    condition_of,
    creation_order,
    dig,
    is_deleting,
    is_true,
    items,
    labels_of,
    name_of,
    parse_time,
)
from trtllm_operator.manifests.identity import SERVER_LABEL
from trtllm_operator.manifests.leader_worker_set import TEMPLATE_ANNOTATION
from trtllm_operator.manifests.server import BYTES_ANNOTATION, CONTAINER, DEADLINE_MARGIN_SECONDS, start_seconds
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.pod import last_line, pod_trouble

_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"
_SIGTERM = 143
OOM_RESTARTS = 2
"""A server killed for memory that often will be killed again."""


@dataclass(frozen=True)
class Rollout:
    """Numbers and troubles of the newest template's servers; a group of pods counts as one server."""

    replicas: int
    """Pods of all revisions."""
    ready: int
    """Ready pods of all revisions."""
    updated_ready: int
    """Ready pods of the newest revision."""
    complete: bool
    """There are as many pods as wanted, all of the newest template, all available, and no other."""
    failed: str
    """The cause why it cannot continue by itself; empty while it may."""
    trouble: str
    """The present obstacle; it may pass."""
    refused: bool
    """Kubernetes refuses to create pods."""
    starting: str | None
    """A pod that runs and is not ready yet: its log has progress."""
    pending: bool = False
    """A pod does not run yet: Events that wake nobody may tell why."""


def rollout_outcome(
    deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object], evidence: Evidence
) -> Rollout:
    """Read the Deployment's status; nothing is believed that was said about an older generation of it."""
    wanted = int(dig(deployment, "spec", "replicas") or 0)
    seen = (dig(deployment, "status", "observedGeneration") or 0) >= (dig(deployment, "metadata", "generation") or 0)
    counts = {
        key: int(dig(deployment, "status", key) or 0)
        for key in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    }
    newest = _newest(deployment, replica_sets, pods)
    said = _server_failure(newest, evidence)
    progressing = condition_of(deployment, "Progressing") or {}
    late = seen and progressing.get("reason") == "ProgressDeadlineExceeded"
    troubles = [trouble[1] for pod in newest if (trouble := pod_trouble(pod, evidence)) is not None]
    crashed = _crash(newest, evidence)
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
        pending=any(dig(pod, "status", "phase") == "Pending" for pod in newest),
    )


def group_rollout_outcome(lws: Object | None, pods: Iterable[Object], now: datetime, evidence: Evidence) -> Rollout:
    """Read the LeaderWorkerSet's status and its pods, leaders and workers; None: there is none.

    A LeaderWorkerSet has no deadline of its own: `now` holds it to the one that a Deployment would have.
    """
    if lws is None:
        return Rollout(0, 0, 0, complete=False, failed="", trouble="", refused=False, starting=None)
    wanted = int(dig(lws, "spec", "replicas") or 0)
    counts = [int(dig(lws, "status", key) or 0) for key in ("replicas", "readyReplicas", "updatedReplicas")]
    # older releases of the controller do not say which generation they have seen: then the newest pods must do
    observed = dig(lws, "status", "observedGeneration")
    seen = observed is None or observed >= (dig(lws, "metadata", "generation") or 0)
    template = dig(lws, "metadata", "annotations", TEMPLATE_ANNOTATION)
    made_from = ("metadata", "annotations", TEMPLATE_ANNOTATION)
    newest = sorted((pod for pod in pods if dig(pod, *made_from) == template), key=creation_order)
    living = [pod for pod in newest if not is_deleting(pod)]
    leaders = [pod for pod in living if SERVER_LABEL in labels_of(pod)]
    ready = sum(is_true(pod, "Ready") for pod in leaders)
    complete = seen and all(count == wanted for count in (*counts, ready)) and not is_true(lws, "UpdateInProgress")
    # a pod that fails takes its group with it: what it said is read while it goes
    said, crashed = _server_failure(newest, evidence), _crash(sorted(newest, key=_was_stopped), evidence)
    troubles = [trouble[1] for pod in living if (trouble := pod_trouble(pod, evidence)) is not None]
    refused = evidence.refusal_of(lws)
    if refused:
        troubles.insert(0, refused)
    first = next(filter(None, [*troubles, crashed]), "")
    failed = said or (f"not ready in time: {first or 'no server answered'}" if seen and _is_late(lws, now) else "")
    return Rollout(
        replicas=counts[0],
        ready=counts[1],
        updated_ready=ready,
        complete=complete,
        failed="" if complete else failed,
        trouble=first,
        refused=bool(refused),
        starting=next((name_of(pod) for pod in leaders if _is_starting(pod)), None),
    )


def _was_stopped(pod: Object) -> bool:
    """It ended because it was told to, as the rest of a group is when one of its pods fails."""
    return any(end.get("exitCode") == _SIGTERM for _, end, _ in _ends([pod]))


def _is_late(lws: Object, now: datetime) -> bool:
    """It has been progressing for longer than a server may take to start."""
    condition = condition_of(lws, "Progressing") or {}
    since = parse_time(condition.get("lastTransitionTime")) if condition.get("status") == "True" else None
    if since is None:
        return False
    size = str(dig(lws, "metadata", "annotations", BYTES_ANNOTATION) or "0")
    budget = start_seconds(int(size) if size.isdigit() else 0) + DEADLINE_MARGIN_SECONDS
    return now - since > timedelta(seconds=budget)


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


def _server_failure(pods: list[Object], evidence: Evidence) -> str:
    """A server that says that it will never serve this artifact here, or that memory is too small for it."""
    for pod, end, restarts in _ends(pods):
        if end.get("exitCode") in PERMANENT_EXIT_CODES:
            return _own_words(pod, end, evidence)
        if end.get("reason") == "OOMKilled" and restarts >= OOM_RESTARTS:
            return f"server {name_of(pod)}: {_own_words(pod, end, evidence)}"
    return ""


def _crash(pods: list[Object], evidence: Evidence) -> str:
    for pod, end, restarts in _ends(pods):
        if end.get("exitCode") != 0:
            said = _own_words(pod, end, evidence)
            return f"server {name_of(pod)} ended with {end.get('exitCode')} ({restarts} restarts): {said}"
    return ""


def _own_words(pod: Object, end: Object, evidence: Evidence) -> str:
    """The server's termination message: JSON with message and remedy, or else what its end and its log's end mean."""
    text = str(end.get("message") or "")
    value = None
    with contextlib.suppress(ValueError):
        value = json.loads(text)
    message, remedy = dig(value, "message"), dig(value, "remedy")
    if message and remedy is not None:
        return shorten(f"{as_sentence(str(message))} {as_sentence(str(remedy))}".strip())
    events = evidence.events_of(pod)
    found = diagnose_end(pod, container=CONTAINER, events=events, template="spec.serving.podTemplate")
    return last_line(text) if found is None or found.reason is Reason.UNKNOWN else shorten(found.sentence)
