"""The leader's state of its group: workers poll it for their command.

Workers poll, so they listen on no port and need no key or password, and a pod may start late.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trtllm_builder.launch.network import interface_towards

_STEP_SECONDS = 0.5


@dataclass
class _Worker:
    """State of one worker."""

    run: str = ""
    """Identifier of the launcher that polls; it changes when the launcher restarts."""
    seen: float = 0.0
    address: str = ""
    interface: str = ""
    """Network interface through which the worker reaches the leader."""
    command: str | None = None
    status: int | None = None
    knows_end: bool = False
    """True if the worker has received the end of the job."""


class Rendezvous:
    """State of the group, shared by the threads of the control server, the agents and the leader."""

    def __init__(self, workers: Sequence[str], lost_seconds: float) -> None:
        self.run = uuid.uuid4().hex
        self._lost_seconds = lost_seconds
        self._workers = {name: _Worker() for name in workers}
        self._changed = threading.Condition()
        self._over = False
        self._problem: str | None = None

    @property
    def missing(self) -> list[str]:
        """Workers that have not polled yet."""
        with self._changed:
            return [name for name, worker in self._workers.items() if not worker.run]

    @property
    def problem(self) -> str | None:
        """A sentence if a worker was lost after it had polled; otherwise None."""
        with self._changed:
            for name, worker in self._workers.items():
                silent = time.monotonic() - worker.seen
                if self._problem is None and worker.run and worker.status is None and silent > self._lost_seconds:
                    self._problem = f"The worker {name} has not polled for {silent:.0f} s."
            return self._problem

    def fault(self, seconds: float) -> str | None:
        """A sentence about the first worker whose daemon failed, or that does not poll in time; otherwise None."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                for name, worker in self._workers.items():
                    if worker.status:
                        return f"MPI's daemon in the pod {name} ended with exit code {worker.status}."
                quiet = [name for name, worker in self._workers.items() if worker.seen < until - seconds]
                if not quiet or time.monotonic() >= until:
                    return f"The worker {quiet[0]} no longer polls, and mpirun has ended." if quiet else None
                self._changed.wait(_STEP_SECONDS / 5)

    @property
    def interface(self) -> str:
        """Network interface through which all pods reach each other; empty if its name differs between them."""
        with self._changed:
            names = {worker.interface for worker in self._workers.values()}
            addresses = [worker.address for worker in self._workers.values()]
        names |= {interface_towards(address) for address in addresses}
        return names.pop() if len(names) == 1 else ""

    def poll(self, host: str, run: str, address: str = "", interface: str = "") -> dict[str, Any] | None:
        """Answer to a worker's poll; None if it does not belong to the group."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None:
                return None
            if worker.run not in {"", run} and worker.command is not None and not self._over:
                self._problem = self._problem or f"The worker {host} restarted while it took part in the job."
            worker.run, worker.seen, worker.knows_end = run, time.monotonic(), self._over
            worker.address, worker.interface = address, interface
            self._changed.notify_all()
            return {"leader": self.run, "command": worker.command, "over": self._over}

    def ended(self, host: str, run: str, status: int) -> bool:
        """Record the exit code of a worker's command; False if the worker has no command."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None or worker.run != run or worker.command is None:
                return False
            worker.status = status
            self._changed.notify_all()
            return True

    def give(self, host: str, command: str) -> int:
        """Give the command to the worker and wait for its exit code; 255, as with ssh, if that is not possible."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None or worker.command is not None:
                return 255
            worker.command = command
            while worker.status is None and not self._over:
                self._changed.wait(_STEP_SECONDS)
            return 255 if worker.status is None else worker.status

    def close(self, seconds: float) -> None:
        """End the job, and wait at most this long until the polling workers have received the end."""
        until = time.monotonic() + seconds
        with self._changed:
            self._over = True
            self._changed.notify_all()
            while time.monotonic() < until and any(
                worker.run and worker.status is None and not worker.knows_end for worker in self._workers.values()
            ):
                self._changed.wait(_STEP_SECONDS / 5)
