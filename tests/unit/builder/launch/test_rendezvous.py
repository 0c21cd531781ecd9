"""What crosses the network between the pods of a group, and what a worker would run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_port
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.launch.answer import agrees
from trtllm_builder.launch.control import Control
from trtllm_builder.launch.handover import Handover
from trtllm_builder.launch.network import interface_towards
from trtllm_builder.launch.place import Place, place_of
from trtllm_builder.launch.remote import parse
from trtllm_builder.launch.rendezvous import Rendezvous
from trtllm_builder.launch.settings import parse as settings_of
from trtllm_builder.launch.state import Phase, State

from .conftest import failure_of, get, wait_until

URI = "18.0;tcp://192.0.2.2:55945;tcp6://[fd00::2]:58167"
ORTED = f'/usr/bin/orted -mca ess "env" -mca orte_hnp_uri "{URI}" -mca pmix "^s1,s2"'
EXPORTS = (
    "PATH=/usr/bin:$PATH ; export PATH ; LD_LIBRARY_PATH=/usr/lib:${LD_LIBRARY_PATH:-} ; export LD_LIBRARY_PATH ; "
    "DYLD_LIBRARY_PATH=/usr/lib:${DYLD_LIBRARY_PATH:-} ; export DYLD_LIBRARY_PATH ; "
)
WORDS = (
    *("/usr/bin/orted", "-mca", "ess", "env", "-mca", "orte_hnp_uri"),
    *(URI, "-mca", "pmix", "^s1,s2"),
)


@pytest.mark.parametrize("text", [ORTED, f"  {EXPORTS}  {ORTED}", f"( test ! -r ./.profile || . ./.profile; {ORTED} )"])
def test_mpiruns_commands_are_understood_without_a_shell(text: str) -> None:
    assert parse(text, {"PATH": "/bin"}).command == WORDS


def test_search_paths_before_the_daemon_are_kept() -> None:
    paths = parse(f"{EXPORTS}{ORTED}", {"PATH": "/bin", "LD_LIBRARY_PATH": "/lib"}).paths
    assert paths == {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/usr/lib:/lib", "DYLD_LIBRARY_PATH": "/usr/lib:"}


@pytest.mark.parametrize(
    "text",
    [
        "sh -c true",
        "",
        "orted ; rm -rf /",
        "rm -rf / ; orted",
        "orted | sh",
        "orted > /etc/passwd",
        "LD_PRELOAD=/tmp/evil.so ; orted",
        "export LD_PRELOAD ; orted",
        'orted "unbalanced',
        "( orted )",
    ],
)
def test_anything_but_mpis_daemon_is_refused(text: str) -> None:
    failure = failure_of(lambda: parse(text, {}))
    assert failure.exit_code == 64
    assert failure.message == (f"The leader's command does not start MPI's daemon (orted or prted): {text!r}.")


def test_a_substitution_is_text_to_the_daemon() -> None:
    assert parse("orted $(touch x) `id`".replace("(", "").replace(")", ""), {}).command[1:] == (
        "$touch",
        "x",
        "`id`",
    )


def test_a_pods_name_comes_from_its_leaders() -> None:
    names = {"LWS_LEADER_ADDRESS": "demo-3.demo.ns", "LWS_WORKER_INDEX": "2", "LWS_GROUP_SIZE": "3"}
    place = place_of(names, 3)
    assert (place.name, place.workers) == ("demo-3-2", ("demo-3-1", "demo-3-2"))
    assert Place(0, 3, "demo-3.demo.ns").name == "demo-3"


def test_a_pod_beyond_its_group_is_refused() -> None:
    names = {"LWS_LEADER_ADDRESS": "demo-3.demo.ns", "LWS_WORKER_INDEX": "3", "LWS_GROUP_SIZE": "3"}
    assert failure_of(lambda: place_of(names, 3)).message == (
        "LWS_WORKER_INDEX is 3, but a group of 3 pods has the indexes 0 to 2."
    )


def test_a_stranger_is_told_nothing() -> None:
    rendezvous = Rendezvous(["a-1"], 60)
    assert rendezvous.poll("a-2", "run") is None
    assert not rendezvous.ended("a-1", "run", 0)
    assert rendezvous.give("a-2", "orted") == 255
    assert rendezvous.missing == ["a-1"]


def test_a_command_waits_for_its_end() -> None:
    rendezvous, status = Rendezvous(["a-1"], 60), list[int]()
    thread = threading.Thread(target=lambda: status.append(rendezvous.give("a-1", "orted x")))
    thread.start()
    wait_until(lambda: (rendezvous.poll("a-1", "run") or {})["command"] == "orted x")
    assert thread.is_alive()
    assert rendezvous.ended("a-1", "run", 3)
    thread.join(5)
    assert status == [3]


def test_a_worker_that_comes_back_in_the_middle_is_a_problem() -> None:
    rendezvous = Rendezvous(["a-1"], 60)
    threading.Thread(target=rendezvous.give, args=("a-1", "orted"), daemon=True).start()
    wait_until(lambda: (rendezvous.poll("a-1", "first") or {})["command"] is not None)
    rendezvous.poll("a-1", "second")
    assert rendezvous.problem == "The worker a-1 restarted while it took part in the job."


def test_a_worker_that_comes_back_before_the_job_is_welcome() -> None:
    rendezvous = Rendezvous(["a-1"], 60)
    rendezvous.poll("a-1", "first")
    rendezvous.poll("a-1", "second")
    assert rendezvous.problem is None


def test_workers_hear_that_all_is_over() -> None:
    rendezvous = Rendezvous(["a-1"], 60)
    rendezvous.poll("a-1", "run")
    threading.Timer(0.2, rendezvous.poll, ("a-1", "run")).start()
    rendezvous.close(20)
    assert (rendezvous.poll("a-1", "run") or {})["over"]


@pytest.fixture
def handover(tmp_path: Path) -> Iterator[Handover]:
    made = Handover(Path(os.path.relpath(tmp_path)) / "s", Rendezvous(["a-1"], 60))
    yield made
    made.close()


def agent(words: list[str], path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trtllm_builder.launch.agent", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TRTLLM_LAUNCH_SOCKET": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_agent_for_an_unknown_pod_ends_as_ssh_would(handover: Handover) -> None:
    assert agent(["a-2", "orted", "x"], str(handover.path)).returncode == 255


def test_an_agent_without_its_launcher_says_so(tmp_path: Path) -> None:
    ended = agent(["a-1", "orted"], "/nowhere/socket")
    assert ended.returncode == 255
    assert ended.stderr == "The launcher of this pod does not answer on /nowhere/socket: No such file or directory.\n"


def test_an_agent_that_a_person_calls_says_who_calls_it() -> None:
    ended = agent([], "")
    assert ended.returncode == 255
    assert ended.stderr.startswith("TRTLLM_LAUNCH_SOCKET or the command is missing")


def test_the_socket_is_the_pods_own(handover: Handover) -> None:
    assert handover.path.stat().st_mode & 0o077 == 0


def test_the_rendezvous_is_served_to_its_workers_only() -> None:
    port = free_port()
    state = State()
    control = Control(settings_of(["--host", "127.0.0.1", "--control-port", str(port)]), state)
    try:
        assert get(port, "/rendezvous?host=a-1&run=x")[0] == 404
        control.rendezvous = Rendezvous(["a-1"], 60)
        status, word = get(port, "/rendezvous?host=a-1&run=x")
        assert (status, word["command"], word["over"]) == (200, None, False)
        assert get(port, "/rendezvous?host=a-2&run=x")[0] == 404
        assert get(port, "/rendezvous?host=a-1&run=x&status=0", method="POST")[0] == 404
        assert get(port, "/elsewhere")[0] == 404
        state.to(Phase.FAILED)
        assert get(port, "/health/live")[0] == 503
    finally:
        control.close()


def test_nothing_follows_draining() -> None:
    state = State()
    state.to(Phase.DRAINING)
    state.to(Phase.READY)
    assert not state.ready


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        ("Paris is old.", "Paris is old.", True),
        ("Paris is old and large and grey.", "Paris was", True),
        ("The city of Paris, on the Seine.", "That city of Paris, on the Seine", True),
        ("Paris is old.", "Xylophone", False),
        ("Paris is old.", "", False),
        ("Yes", "No", False),
    ],
)
def test_answers_agree_when_they_begin_alike_or_are_much_alike(recorded: str, given: str, expected: bool) -> None:
    assert agrees(recorded, given) is expected


def test_a_failure_is_an_exception_that_says_it() -> None:
    with pytest.raises(BuilderFailure, match="does not start MPI's daemon"):
        parse("id", {})


def test_the_interface_that_all_pods_have_in_common_is_mpis() -> None:
    rendezvous = Rendezvous(["a-1", "a-2"], 60)
    for name in ("a-1", "a-2"):
        rendezvous.poll(name, "run", "127.0.0.1", "lo")
    assert rendezvous.interface == "lo"
    rendezvous.poll("a-2", "run", "127.0.0.1", "ens5")
    assert rendezvous.interface == ""
    rendezvous.poll("a-2", "run", "fd00::2", "")
    assert rendezvous.interface == ""


def test_an_interface_towards_nobody_is_none() -> None:
    assert interface_towards("127.0.0.1") == "lo"
    assert interface_towards("no.such.host.invalid") == ""


def test_a_worker_that_is_not_heard_of_when_mpi_ends_is_named() -> None:
    rendezvous = Rendezvous(["a-1", "a-2"], 60)
    threading.Timer(0.2, rendezvous.poll, ("a-1", "run")).start()
    rendezvous.poll("a-2", "run")
    assert rendezvous.fault(0.5) == "The worker a-2 no longer polls, and mpirun has ended."


def test_workers_that_are_heard_of_have_no_part_in_mpis_end() -> None:
    rendezvous = Rendezvous(["a-1"], 60)
    threading.Timer(0.2, rendezvous.poll, ("a-1", "run")).start()
    assert rendezvous.fault(20) is None
