"""Two nodes on this machine, for test_two_nodes.py: each with a network, a host name and a file system like a pod's.

A pod's user has no home and no entry in /etc/passwd, the root file system is read-only, and only the leader's name
resolves. Both have a second network, with addresses that the other cannot reach. Needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

USER = 65532
LEADER = "demo-0"
ADDRESS = f"{LEADER}.demo.models"
"""As LeaderWorkerSet writes LWS_LEADER_ADDRESS: it resolves through the headless Service."""
_numbers = itertools.count()
_SETUP = """
hostname {name}
mount --bind {directory}/hosts /etc/hosts
mount --bind {directory}/resolv.conf /etc/resolv.conf
mount -t tmpfs tmpfs {scratch}
mount -t tmpfs tmpfs /dev/shm
{binds}
mount --bind {shared} {shared}
mount -o remount,bind,ro /
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs env -i {words}
"""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass
class Started:
    """What Process asks of a process."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def exitcode(self) -> int | None:
        return self.popen.poll()

    def is_alive(self) -> bool:
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)


class TwoNodes:
    """The leader's node is number 0.

    The kernel removes a namespace and its interfaces after `ip` has returned: each pair of nodes has names of its own.
    """

    def __init__(self) -> None:
        self._name = f"{os.getpid()}-{next(_numbers)}"
        self._names = [f"launch-{self._name}-{number}" for number in range(2)]
        with contextlib.ExitStack() as undo:
            self.directory = Path(tempfile.mkdtemp(prefix="nodes"))
            undo.callback(shutil.rmtree, self.directory)
            self.directory.chmod(0o755)
            self.shared = self.directory / "shared"
            self.shared.mkdir()
            self.shared.chmod(0o777)
            self.scratch = self.directory / "tmp"
            """The same path in both nodes, with other content."""
            self.scratch.mkdir()
            network = undo.enter_context(own_network())
            self.hosts = (f"{network}.10", f"{network}.11")
            bridge = f"lb{self._name}"
            run("ip", "link", "add", bridge, "type", "bridge")
            undo.callback(run, "ip", "link", "delete", bridge)
            run("ip", "addr", "add", f"{network}.1/24", "dev", bridge)
            run("ip", "link", "set", bridge, "up")
            for number, name in enumerate(self._names):
                run("ip", "netns", "add", name)
                undo.callback(self._remove_node, number)
                self._connect(number, bridge)
            self._undo = undo.pop_all()

    @property
    def python(self) -> Path:
        """The interpreter, where pods may read it."""
        return self.directory / "python" / "bin" / Path(os.path.realpath(sys.executable)).name

    def start(self, number: int, arguments: list[str], environment: dict[str, str], log: Path) -> Started:
        """Run Python with these arguments in the node."""
        directory = self.directory / str(number)
        places = {sys.base_prefix: self.directory / "python"}
        places |= {path: self.directory / f"path{i}" for i, path in enumerate(sys.path) if Path(path).is_dir()}
        for place in places.values():
            place.mkdir(exist_ok=True)
        search = [place for path, place in places.items() if path != sys.base_prefix]
        variables = {
            **environment,
            "PYTHONPATH": ":".join([environment["PYTHONPATH"], *map(str, search)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.scratch),
        }
        words = [*(f"{name}={value}" for name, value in variables.items()), str(self.python), *arguments]
        script = _SETUP.format(
            name=LEADER if number == 0 else f"{LEADER}-{number}",
            directory=directory,
            scratch=self.scratch,
            shared=self.shared,
            user=USER,
            binds="\n".join(f"mount --bind {shlex.quote(path)} {place}" for path, place in places.items()),
            words=shlex.join(words),
        )
        inside = ("ip", "netns", "exec", self._names[number], "unshare", "--mount", "--uts", "sh", "-ec", script)
        with log.open("wb") as file:
            return Started(subprocess.Popen(inside, stdout=file, stderr=subprocess.STDOUT))

    def processes(self, number: int) -> list[int]:
        """Everything that runs in the node."""
        return [int(pid) for pid in run("ip", "netns", "pids", self._names[number]).split()]

    def lose_power(self, number: int) -> None:
        """End everything in the node without a word."""
        for pid in self.processes(number):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def unplug(self, number: int) -> None:
        """No packet leaves or reaches the node any more."""
        run("ip", "link", "set", self._veth(number), "down")

    def remove(self) -> None:
        """End the processes; remove interfaces and files."""
        self._undo.close()

    def _remove_node(self, number: int) -> None:
        while self.processes(number):
            self.lose_power(number)
            time.sleep(0.01)
        run("ip", "netns", "delete", self._names[number])

    def _veth(self, number: int) -> str:
        return f"lv{self._name}-{number}"

    def _connect(self, number: int, bridge: str) -> None:
        name, veth, directory = self._names[number], self._veth(number), self.directory / str(number)
        directory.mkdir()
        own = f"{self.hosts[number]} {LEADER}-{number}\n" if number else ""
        (directory / "hosts").write_text(
            f"127.0.0.1 localhost\n{self.hosts[0]} {ADDRESS} {LEADER if not number else ''}\n{own}"
        )
        (directory / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", veth, "master", bridge, "up")
        for words in (
            "link set lo up",
            f"addr add {self.hosts[number]}/24 dev eth0",
            "link set eth0 up",
            "link add storage0 type veth peer name storage1",
            f"addr add 10.212.0.1{number}/24 dev storage0",
            "link set storage0 up",
            "link set storage1 up",
        ):
            run("ip", "-n", name, *words.split())


@contextlib.contextmanager
def own_network() -> Iterator[str]:
    """The first three numbers of a network that no other pair of nodes uses, in this run or in another."""
    for number in range(256):
        network = f"10.213.{number}"
        with Path(tempfile.gettempdir(), f"{network}.lock").open("w") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not run("ip", "-o", "addr", "show", "to", f"{network}.0/24"):
                yield network
                return
    raise RuntimeError("Every network of 10.213.0.0/16 is in use.")
