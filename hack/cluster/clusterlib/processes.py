"""Starts and stops the cluster's programs by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from clusterlib.problem import Problem
from clusterlib.settings import Settings


def inside(settings: Settings) -> list[str]:
    """Prefix of a command that runs in the cluster's network namespace.

    Not `ip netns exec`: that would give the command mounts of its own, which kubelet and containerd must share.
    """
    name = settings.network_namespace
    return ["nsenter", f"--net=/run/netns/{name}"] if name else []


class Processes:
    """Programs of a cluster, with process ids in <state>/run and logs in <state>/log."""

    def __init__(self, settings: Settings) -> None:
        self.run = settings.state / "run"
        self.log = settings.state / "log"
        self._prefix = inside(settings)
        for directory in (self.run, self.log):
            directory.mkdir(parents=True, exist_ok=True)

    def running(self, name: str) -> int | None:
        """Process id of a program that was started here and still runs."""
        try:
            pid, started = (self.run / f"{name}.pid").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def start(self, name: str, command: Sequence[str | Path], *, env: dict[str, str] | None = None) -> None:
        """Start a program if it does not run. Its output goes to the log of its name."""
        if self.running(name):
            return
        with (self.log / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._prefix, *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(env or {})},
                cwd="/",
            )
        (self.run / f"{name}.pid").write_text(f"{process.pid} {_start_time(process.pid)}")

    def stop(self, name: str, timeout: float = 10) -> None:
        """Send TERM, then KILL, and wait until the process has ended."""
        pid = self.running(name)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + timeout
            while self.running(name) and time.monotonic() < deadline:
                time.sleep(0.02)
            if self.running(name):
                os.kill(pid, signal.SIGKILL)
                while self.running(name):
                    time.sleep(0.02)
        (self.run / f"{name}.pid").unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Programs that were started and not stopped."""
        return sorted(path.stem for path in self.run.glob("*.pid"))

    def tail(self, name: str, lines: int = 5) -> str:
        """Last lines of a program's log."""
        path = self.log / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def wait_until(self, ready: Callable[[], bool], what: str, timeout: float, program: str | None = None) -> None:
        """Poll until ready. Raises Problem with the end of the log if the program ended."""
        deadline = time.monotonic() + timeout
        while not ready():
            if program and not self.running(program):
                raise Problem(f"{program} ended before {what} was ready. Its last output:\n{self.tail(program)}")
            if time.monotonic() > deadline:
                output = f" The last output of {program}:\n{self.tail(program)}" if program else ""
                raise Problem(f"{what} was not ready within {timeout:.0f} s.{output}")
            time.sleep(0.05)


def _start_time(pid: int) -> str | None:
    """Start time of a process, which differs from a later one with the same id; None if it ended or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]
