"""EngineBuild of sixteen ranks: built by an Indexed Job on two nodes, served by a group of pods with real MPI."""

from __future__ import annotations

import time
from typing import Any

from support.cluster_engines import answer, engine, running
from support.cluster_world import NAMESPACE, World, eventually
from support.leaderworkerset_double import LeaderWorkerSetDouble


def test_sixteen_ranks_are_built_and_served_by_two_nodes_though_pods_were_killed(engines: World, double: str) -> None:
    layout = {"tensor": 8, "pipeline": 2}
    with (
        LeaderWorkerSetDouble(engines, NAMESPACE) as groups,
        engine(engines, "sixteen", double, seconds=10, parallelism=layout, serving={}),
    ):
        eventually(lambda: len(running(engines, "sixteen", "build")) == 2, "two pods that build", 180)
        pods = running(engines, "sixteen", "build")
        assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
        one = next(pod for pod in pods if index_of(pod) == 1)
        time.sleep(4)
        engines.kill_pod(one["metadata"]["name"])
        try:
            engines.wait_for("eb", "sixteen", "Ready", 400)
        except AssertionError as error:
            raise AssertionError(f"{error}; the LeaderWorkerSet double: {groups.faults[-3:]}") from error
        untouched = [pod for pod in engines.pods("sixteen", "build") if index_of(pod) == 0]
        assert len(untouched) == 1, "the other index goes on"
        assert answer(engines, "sixteen")
        servers = engines.pods("sixteen", "serve")
        assert len({pod["spec"]["nodeName"] for pod in servers}) == 2
        worker = next(pod for pod in servers if "trtllm.dev/server" not in pod["metadata"]["labels"])
        engines.kill_pod(worker["metadata"]["name"])
        leader = next(pod for pod in servers if "trtllm.dev/server" in pod["metadata"]["labels"])
        eventually(lambda: anew(engines, leader), "a new group", 120)
        engines.wait_for("eb", "sixteen", "Ready", 240)
        assert answer(engines, "sixteen")


def anew(world: World, leader: dict[str, Any]) -> bool:
    """Another leader of that name has taken its place, and the resource does not pretend to be Ready meanwhile."""
    uids = {pod["metadata"]["uid"] for pod in world.pods("sixteen", "serve")}
    waiting = world.condition("eb", "sixteen", "Ready").get("status") != "True"
    return bool(uids) and leader["metadata"]["uid"] not in uids and waiting


def index_of(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])
