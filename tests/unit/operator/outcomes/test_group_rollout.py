"""What a LeaderWorkerSet and its pods mean: one table, keyed by sentences."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.engine_samples import server_plan
from trtllm_operator.manifests.leader_worker_set import leader_worker_set
from trtllm_operator.manifests.server import start_seconds
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.rollout import Rollout, group_rollout_outcome

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MADE = leader_worker_set(server_plan(nodes=2))
Object = dict[str, Any]


def lws(
    replicas: int = 1,
    ready: int = 0,
    updated: int = 1,
    *,
    seen: int | None = 2,
    made: int | None = None,
    **conditions: str,
) -> Object:
    """With status.replicas `made` and conditions that are True since the given time."""
    told = [{"type": kind, "status": "True", "lastTransitionTime": since} for kind, since in conditions.items()]
    status: Object = {
        "replicas": replicas if made is None else made,
        "readyReplicas": ready,
        "updatedReplicas": updated,
    }
    if seen is not None:
        status["observedGeneration"] = seen
    return {
        "metadata": {**MADE["metadata"], "generation": 2},
        "spec": {**MADE["spec"], "replicas": replicas},
        "status": {**status, "conditions": told},
    }


def pod(
    group: int, worker: int = 0, *, old: bool = False, going: bool = False, ready: bool = False, **status: Any
) -> Object:
    template = MADE["spec"]["leaderWorkerTemplate"]["workerTemplate" if worker else "leaderTemplate"]
    meta: Object = {
        "name": f"llama-servers-{group}" + (f"-{worker}" if worker else ""),
        "labels": template["metadata"]["labels"],
        "annotations": {**template["metadata"]["annotations"], **({"trtllm.dev/template": "old"} if old else {})},
    }
    if going:
        meta["deletionTimestamp"] = "2026-11-25T11:59:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *status.pop("conditions", [])]
    return {
        "metadata": meta,
        "spec": template["spec"],
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def died(code: int, message: str = "", reason: str = "Error") -> Object:
    end = {"exitCode": code, "message": message, "reason": reason}
    state = {"name": "server", "ready": False, "restartCount": 1, "state": {}, "lastState": {"terminated": end}}
    return {"containerStatuses": [state]}


UNPLACED: Object = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.",
        }
    ],
}
REFUSED = '{"message": "the engine is for 16 ranks and the group has 8", "remedy": "build it anew"}'
QUIET = Rollout(1, 0, 0, complete=False, failed="", trouble="", refused=False, starting=None)
BUDGET = timedelta(seconds=start_seconds(16 * 1024**3) + 120)
LONG_AGO = (NOW - BUDGET - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
LATELY = (NOW - BUDGET + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
CASES: dict[str, tuple[Object | None, list[Object], dict[str, Any]]] = {
    "no LeaderWorkerSet": (None, [], {"replicas": 0}),
    "ready leaders are ready servers, whatever their number of pods": (
        lws(ready=1),
        [pod(0, ready=True), pod(0, 1, ready=True)],
        {"ready": 1, "updated_ready": 1, "complete": True},
    ),
    "its status about an older generation is not believed": (
        lws(ready=1, seen=1),
        [pod(0, ready=True)],
        {"ready": 1, "updated_ready": 1},
    ),
    "a controller that does not say what it has seen is believed when the newest pods are ready": (
        lws(ready=1, seen=None),
        [pod(0, ready=True)],
        {"ready": 1, "updated_ready": 1, "complete": True},
    ),
    "and not when only old ones are": (lws(ready=1, seen=None), [pod(0, ready=True, old=True)], {"ready": 1}),
    "an update that is going on is not complete": (
        lws(ready=1, UpdateInProgress=LATELY),
        [pod(0, ready=True)],
        {"ready": 1, "updated_ready": 1},
    ),
    "a group too many is not complete": (
        lws(ready=1, made=2),
        [pod(0, ready=True)],
        {"replicas": 2, "ready": 1, "updated_ready": 1},
    ),
    "none is wanted and none is there": (lws(0, updated=0), [], {"replicas": 0, "complete": True}),
    "the leader that starts has progress in its log": (
        lws(),
        [pod(0, 1, ready=True), pod(0)],
        {"starting": "llama-servers-0"},
    ),
    "a worker that fits no node is the trouble": (
        lws(),
        [pod(0), pod(0, 1, **UNPLACED)],
        {
            "starting": "llama-servers-0",
            "trouble": "pod llama-servers-0-1: No node takes the pod: of 2 nodes, 2 have too few free nvidia.com/gpu. "
            "Ask for fewer GPUs per pod, wait for GPUs to become free, or add nodes.",
        },
    ),
    "a worker that crashed is named, not the leader that had to go with it": (
        lws(),
        [pod(0, going=True, **died(143)), pod(0, 1, going=True, **died(1, "starting\nthe table of ranks is odd"))],
        {"trouble": "server llama-servers-0-1 ended with 1 (1 restarts): the table of ranks is odd"},
    ),
    "a worker killed for memory names its limit": (
        lws(),
        [pod(0, 1, **died(137, reason="OOMKilled"))],
        {
            "trouble": (
                "server llama-servers-0-1 ended with 137 (1 restarts): Container server was killed at its memory limit "
                "(limit {limit}). Set spec.serving.podTemplate.resources.limits.memory above {limit}."
            )
        },
    ),
    "a leader that says it will never serve this fails the rollout": (
        lws(),
        [pod(0, going=True, **died(67, REFUSED))],
        {
            "failed": "The engine is for 16 ranks and the group has 8. Build it anew.",
            "trouble": "server llama-servers-0 ended with 67 (1 restarts): "
            "The engine is for 16 ranks and the group has 8. Build it anew.",
        },
    ),
    "an old group's crash is not blamed on the new template": (lws(), [pod(0, old=True, **died(67, REFUSED))], {}),
    "it has its time to start": (lws(Progressing=LATELY), [], {}),
    "and no longer": (lws(Progressing=LONG_AGO), [], {"failed": "not ready in time: no server answered"}),
    "unless it is complete": (
        lws(ready=1, Progressing=LONG_AGO),
        [pod(0, ready=True)],
        {"ready": 1, "updated_ready": 1, "complete": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_it_means(case: str) -> None:
    given, pods, changes = CASES[case]
    (container,) = MADE["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
    limit = container["resources"]["limits"]["memory"]
    wanted = {**asdict(QUIET), **changes}
    wanted["trouble"] = wanted["trouble"].replace("{limit}", limit)
    found = asdict(group_rollout_outcome(given, pods, NOW, Evidence()))
    assert found == wanted
