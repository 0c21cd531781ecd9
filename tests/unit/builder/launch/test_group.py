"""Several pods are one replica: a real mpirun starts a real daemon through worker launchers on loopback addresses."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from support.ports import free_port

from .conftest import ANSWER, LOST, VERSION, Pod, Process, get, processes_with, wait_until

NODES = 2


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def group(pod: Pod) -> Pod:
    pod.request |= {"nodes": NODES, "world": 4, "gpusPerNode": 2}
    mapping = {"world_size": 4, "tp_size": 2, "pp_size": 2}
    pod.artifact({"config.json": json.dumps({"version": VERSION, "pretrained_config": {"mapping": mapping}})})
    return pod


def place(index: int, size: int = NODES) -> dict[str, str]:
    return {"LWS_LEADER_ADDRESS": "localhost", "LWS_WORKER_INDEX": str(index), "LWS_GROUP_SIZE": str(size)}


def lead(pod: Pod, port: int, **settings: float) -> Process:
    return pod.launch(environment=place(0), control_port=port, **settings)


def work(pod: Pod, port: int, index: int = 1, **settings: float) -> Process:
    return pod.launch(host=f"127.0.0.{index + 1}", environment=place(index), control_port=port, **settings)


def test_mpirun_starts_a_rank_for_each_gpu_through_the_workers_launcher(group: Pod, port: int) -> None:
    ranks = group.root / "ranks"
    ranks.mkdir()
    launch = group.root / "bin" / "trtllm-llmapi-launch"
    group.program(launch.name, launch.read_text().replace("\n", f"\necho $PPID > {ranks}/$OMPI_COMM_WORLD_RANK\n", 1))
    worker, leader = work(group, port), lead(group, port)
    leader.ready()
    worker.ready()
    wait_until(lambda: len(list(ranks.iterdir())) == 4)
    daemons = [int((ranks / str(rank)).read_text()) for rank in range(4)]
    assert daemons[0] == daemons[1] != daemons[2] == daemons[3]
    assert parent(daemons[0]) == leader.pid
    assert parent(daemons[2]) == worker.pid
    assert len(group.calls("argv")) == 1


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_sigterm_drains_the_whole_group(group: Pod, port: int) -> None:
    worker, leader = work(group, port), lead(group, port)
    leader.ready()
    worker.ready()
    worker.stop()
    leader.stop()
    assert (leader.end(), worker.end()) == (0, 0)
    assert group.calls("terminated") == [None]
    assert not leader.termination.exists()
    assert not worker.termination.exists()


def test_a_worker_that_is_told_to_stop_first_waits_for_the_leaders_requests(group: Pod, port: int) -> None:
    worker, leader = work(group, port), lead(group, port)
    leader.ready()
    worker.ready()
    worker.stop()
    wait_until(lambda: worker.health()[1] == {"status": "draining"})
    assert leader.health()[0] == 200
    assert get(group.serve_port, "/health")[0] == 0 or worker.lives
    leader.stop()
    assert (leader.end(), worker.end()) == (0, 0)


def test_while_workers_are_missing_progress_counts_them(group: Pod, port: int) -> None:
    group.request["nodes"] = 3
    leader = group.launch(environment=place(0, 3), control_port=port)
    group.launch(host="127.0.0.3", environment=place(2, 3), control_port=port)
    wait_until(lambda: bool(leader.progress()) and leader.progress()[-1]["detail"] == "1 of 2 workers are connected")
    assert leader.health() == (503, {"status": "waiting", "detail": "1 of 2 workers are connected"})
    assert leader.health("live")[0] == 200
    assert not group.calls("argv")


def test_workers_that_do_not_come_are_named(group: Pod, port: int) -> None:
    leader = lead(group, port, gather_seconds=0.5)
    assert leader.end() == 75
    assert leader.said() == {
        "reason": "InternalError",
        "message": "0 of 1 workers are connected after 0 minutes. Missing: localhost-1.",
        "remedy": f"Check these pods: they must be scheduled, have their image, and reach localhost on port {port}.",
    }


def test_a_leader_that_does_not_come_is_named(group: Pod, port: int) -> None:
    worker = work(group, port, gather_seconds=0.5)
    assert worker.end() == 75
    assert worker.said()["message"] == f"The leader localhost:{port} did not answer within 0 minutes."


def test_a_leader_whose_name_does_not_resolve_yet_is_awaited(group: Pod, port: int) -> None:
    environment = place(1) | {"LWS_LEADER_ADDRESS": "group-0.group.nowhere.invalid"}
    worker = group.launch(environment=environment, control_port=port)
    wait_until(lambda: worker.health() == (503, {"status": "waiting", "detail": "for group-0.group.nowhere.invalid"}))
    wait_until(lambda: "no answer yet from group-0.group.nowhere.invalid" in worker.progress()[-1]["detail"])
    assert worker.lives


def test_the_servers_death_ends_the_group_with_its_cause_at_the_leader(group: Pod, port: int) -> None:
    group.behave(say="trtllm-serve: error: unrecognized arguments: --nothing", die=2, linger=1)
    worker, leader = work(group, port), lead(group, port)
    assert leader.end() == 64
    assert leader.said()["reason"] == "InvalidOptions"
    assert worker.end() == 75
    assert worker.said()["message"].startswith("The job of the leader localhost has ended")
    assert worker.said()["remedy"] == "The group restarts. Read the leader's termination message for the cause."


def test_a_server_that_ends_without_a_word_is_missed_though_mpirun_stays(group: Pod, port: int) -> None:
    group.behave(die=7, linger=1)
    worker, leader = work(group, port), lead(group, port)
    assert leader.end() == 75
    assert leader.said()["message"] == "trtllm-serve ended by itself, and its log contains no known error."
    assert worker.end() == 75


def test_a_server_that_mpirun_never_starts_is_missed(group: Pod, port: int) -> None:
    group.program("trtllm-llmapi-launch", "#!/bin/sh\nexec sleep 100\n")
    work(group, port)
    leader = lead(group, port, appear_seconds=1)
    assert leader.end() == 75
    assert leader.said()["message"] == (
        "mpirun did not start trtllm-serve within 1 s, and its log contains no known error."
    )


def test_a_worker_that_cannot_run_mpis_daemon_is_named_by_the_leader(group: Pod, port: int) -> None:
    worker = group.launch(host="127.0.0.2", environment=place(1) | {"OMPI_MCA_oob": "nothing"}, control_port=port)
    leader = lead(group, port)
    assert leader.end() == 75
    assert leader.said()["message"].startswith("MPI's daemon in the pod localhost-1 ended with exit code ")
    assert worker.end() != 0


def test_a_worker_that_dies_ends_the_group(group: Pod, port: int) -> None:
    worker, leader = work(group, port), lead(group, port)
    leader.ready()
    worker.ready()
    worker.signal(signal.SIGKILL)
    os.kill(daemon_of(worker), signal.SIGKILL)
    assert leader.end() == 75
    assert leader.said()["message"]


def daemon_of(worker: Process) -> int:
    """The worker's orted, which has lost its parent."""
    for number, words in processes_with(f"TERMINATION_LOG={worker.termination}"):
        if words[0].endswith(b"orted"):
            return number
    raise AssertionError("no daemon")


def test_a_worker_that_falls_silent_ends_the_group(group: Pod, port: int) -> None:
    worker, leader = work(group, port), lead(group, port, lost_seconds=LOST)
    leader.ready()
    worker.signal(signal.SIGSTOP)
    try:
        assert leader.end() == 75
    finally:
        worker.signal(signal.SIGCONT)
    assert leader.said()["message"].startswith("The worker localhost-1 has not polled for ")
    assert worker.end() != 0


def test_a_leader_that_vanishes_ends_its_workers(group: Pod, port: int) -> None:
    worker, leader = work(group, port, lost_seconds=LOST), lead(group, port)
    leader.ready()
    worker.ready()
    children = [
        pid
        for pid in map(int, filter(str.isdigit, (entry.name for entry in Path("/proc").iterdir())))
        if _is_child(pid, leader.pid)
    ]
    leader.signal(signal.SIGKILL)
    assert worker.end() not in {0, *range(64, 70)}
    assert worker.said()["message"]
    for pid in children:
        os.killpg(pid, signal.SIGKILL)


def _is_child(pid: int, of: int) -> bool:
    try:
        return parent(pid) == of
    except OSError:
        return False


def test_a_worker_of_a_group_of_another_size_is_refused(group: Pod, port: int) -> None:
    worker = group.launch(environment=place(1, 3), control_port=port)
    assert worker.end() == 64
    assert worker.said() == {
        "reason": "BadRequest",
        "message": "A replica has 2 nodes, but the LeaderWorkerSet's group has 3 pods.",
        "remedy": "Set the LeaderWorkerSet's size to 2.",
    }


def test_a_pod_that_does_not_know_its_place_is_refused(group: Pod) -> None:
    process = group.launch(environment={"LWS_LEADER_ADDRESS": "", "LWS_WORKER_INDEX": "", "LWS_GROUP_SIZE": ""})
    assert process.end() == 64
    assert process.said()["message"] == (
        "A replica has 2 nodes, but the pod has no place in a group: LWS_LEADER_ADDRESS is '', "
        "LWS_WORKER_INDEX '', LWS_GROUP_SIZE ''."
    )


def test_an_argument_with_a_blank_comes_whole_through_mpi(group: Pod, port: int) -> None:
    group.request["arguments"] = ["--chat_template", "a template.jinja"]
    work(group, port)
    lead(group, port).ready()
    (arguments,) = group.calls("argv")
    assert arguments[arguments.index("--chat_template") + 1] == "a template.jinja"


def test_a_worker_on_another_gpu_says_so_itself(group: Pod, port: int) -> None:
    group.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA T4, 7.5, 15360 MiB'\n")
    worker = work(group, port)
    assert worker.end() == 67
    assert worker.said()["reason"] == "GpuMismatch"


def test_the_answer_of_a_group_is_judged_too(group: Pod, port: int) -> None:
    group.behave(answer="qzx vvk jjw")
    worker, leader = work(group, port), lead(group, port)
    assert leader.end() == 65
    assert ANSWER in leader.said()["message"]
    assert worker.end() == 75
