"""A replica over two nodes with real Open MPI: real ranks that talk to each other over a network, without ssh."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trtllm_api.contract import CONTROL_PORT, SERVE_PORT

from .conftest import FAST, LOST, VERSION, Pod, Process, get, wait_until
from .two_nodes import ADDRESS, LEADER, USER, TwoNodes


class Group:
    """The leader's pod and the worker's, as LeaderWorkerSet makes them."""

    def __init__(self, nodes: TwoNodes, gpus: int, **settings: float) -> None:
        self.nodes = nodes
        self.pod = Pod(nodes.shared, python=nodes.python)
        # the nodes have scratch space of their own
        shutil.rmtree(self.pod.scratch)
        world = 2 * gpus
        self.pod.request |= {"nodes": 2, "world": world, "gpusPerNode": gpus}
        mapping = {"world_size": world, "tp_size": gpus, "pp_size": 2}
        self.pod.artifact({"config.json": json.dumps({"version": VERSION, "pretrained_config": {"mapping": mapping}})})
        fake = Path(__file__).with_name("fake_llmapi_launch.py").read_text()
        self.pod.program("trtllm-llmapi-launch", f"#!{nodes.python}\n{fake}")
        (nodes.shared / "request.json").write_text(json.dumps(self.pod.request))
        self.worker, self.leader = self.start(1, settings), self.start(0, settings)

    def start(self, number: int, settings: dict[str, float]) -> Process:
        """Start the pod's launcher."""
        scratch, shared = self.nodes.scratch, self.nodes.shared
        words = [text for name, value in (FAST | settings).items() for text in (f"--{name}", str(value))]
        arguments = ["-m", "trtllm_builder", "launch", "--request", f"{shared}/request.json", "--scratch", str(scratch)]
        environment = {
            "PATH": f"{shared}/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{shared}/python",
            "FAKE_SERVE": str(self.pod.behaviour),
            "TERMINATION_LOG": f"{shared}/termination{number}",
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "LWS_LEADER_ADDRESS": ADDRESS,
            "LWS_WORKER_INDEX": str(number),
            "LWS_GROUP_SIZE": "2",
        }
        log = self.nodes.directory / f"log{number}"
        started = self.nodes.start(number, [*arguments, *words], environment, log)
        return Process(started, self.nodes.hosts[number], CONTROL_PORT, shared / f"termination{number}", log)


@pytest.fixture
def nodes() -> Iterator[TwoNodes]:
    made = TwoNodes()
    yield made
    made.remove()


def test_sixteen_ranks_on_two_nodes_talk_to_each_other_and_rank_0_serves(nodes: TwoNodes) -> None:
    group = Group(nodes, gpus=8)
    group.leader.ready()
    ranks = {said["rank"]: said for said in group.pod.calls("rank")}
    assert sorted(ranks) == list(range(16))
    assert {said["sum"] for said in ranks.values()} == {sum(range(16))}
    assert [ranks[rank]["host"] for rank in range(16)] == [LEADER] * 8 + [f"{LEADER}-1"] * 8
    assert {said["user"] for said in ranks.values()} == {USER}
    assert [get(SERVE_PORT, "/health", host)[0] for host in nodes.hosts] == [200, 0]
    assert "WARNING" not in "".join(group.leader.log + group.worker.log)
    group.worker.stop()
    group.leader.stop()
    assert (group.leader.end(), group.worker.end()) == (0, 0)
    assert not group.leader.termination.exists()
    assert not group.worker.termination.exists()
    wait_until(lambda: not nodes.processes(0) + nodes.processes(1))


def test_a_worker_whose_node_dies_ends_the_group_and_is_named(nodes: TwoNodes) -> None:
    group = Group(nodes, gpus=1, **{"lost-seconds": LOST})
    group.leader.ready()
    nodes.lose_power(1)
    assert group.leader.end() == 75
    assert f"{LEADER}-1" in group.leader.said()["message"]
    wait_until(lambda: not nodes.processes(0))


def test_a_leader_whose_node_dies_ends_its_worker(nodes: TwoNodes) -> None:
    group = Group(nodes, gpus=1, **{"lost-seconds": LOST})
    group.leader.ready()
    nodes.lose_power(0)
    assert group.worker.end() not in {0, *range(64, 70)}
    assert ADDRESS in group.worker.said()["message"]
    wait_until(lambda: not nodes.processes(1))


def test_a_cut_network_ends_both_sides(nodes: TwoNodes) -> None:
    group = Group(nodes, gpus=1, **{"lost-seconds": LOST})
    group.leader.ready()
    nodes.unplug(1)
    assert (group.leader.end(), group.worker.end()) == (75, 75)
    assert group.leader.said()["message"].startswith(f"The worker {LEADER}-1 has not polled for ")
    assert group.worker.said()["message"].startswith(f"The leader {ADDRESS} has not answered for ")
