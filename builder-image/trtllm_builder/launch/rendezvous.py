"""The leader's side of a group: workers poll it for their command; control.py serves it, leader.py waits on it.

Workers pull: nothing listens on them, no key or password is needed, and a pod that is not there yet is just late.
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
    """What is known of one."""

    run: str = ""
    """Of the launcher that polls: a restarted one has another."""
    seen: float = 0.0
    address: str = ""
    interface: str = ""
    """By which it reaches the leader."""
    command: str | None = None
    status: int | None = None
    told: bool = False
    """It heard that all is over."""


class Rendezvous:
    """Shared by the control server's threads, the agents' and the leader's."""

    def __init__(self, workers: Sequence[str], lost_seconds: float) -> None:
        self.run = uuid.uuid4().hex
        self._lost_seconds = lost_seconds
        self._workers = {name: _Worker() for name in workers}
        self._changed = threading.Condition()
        self._over = False
        self._problem: str | None = None

    @property
    def missing(self) -> list[str]:
        """Workers that never came."""
        with self._changed:
            return [name for name, worker in self._workers.items() if not worker.run]

    @property
    def problem(self) -> str | None:
        """One sentence when a worker was lost after all had come."""
        with self._changed:
            for name, worker in self._workers.items():
                silent = time.monotonic() - worker.seen
                if self._problem is None and worker.run and worker.status is None and silent > self._lost_seconds:
                    self._problem = f"The worker {name} has not been heard of for {silent:.0f} s."
            return self._problem

    def fault(self, seconds: float) -> str | None:
        """One sentence about the first worker whose daemon did not end well, or that is not heard of meanwhile."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                for name, worker in self._workers.items():
                    if worker.status:
                        return f"MPI's daemon in the pod {name} ended with exit code {worker.status}."
                quiet = [name for name, worker in self._workers.items() if worker.seen < until - seconds]
                if not quiet or time.monotonic() >= until:
                    return f"The worker {quiet[0]} is not heard of any more, and mpirun ended." if quiet else None
                self._changed.wait(_STEP_SECONDS / 5)

    @property
    def interface(self) -> str:
        """The one by which all pods reach each other; empty when it has not the same name in all."""
        with self._changed:
            names = {worker.interface for worker in self._workers.values()}
            addresses = [worker.address for worker in self._workers.values()]
        names |= {interface_towards(address) for address in addresses}
        return names.pop() if len(names) == 1 else ""

    def poll(self, host: str, run: str, address: str = "", interface: str = "") -> dict[str, Any] | None:
        """A worker asks what to do; None when it is not one of the group."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None:
                return None
            if worker.run not in {"", run} and worker.command is not None and not self._over:
                self._problem = self._problem or f"The worker {host} was restarted while it had a part in the job."
            worker.run, worker.seen, worker.told = run, time.monotonic(), self._over
            worker.address, worker.interface = address, interface
            self._changed.notify_all()
            return {"leader": self.run, "command": worker.command, "over": self._over}

    def ended(self, host: str, run: str, status: int) -> bool:
        """A worker reports how its command ended; False when it was not given one."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None or worker.run != run or worker.command is None:
                return False
            worker.status = status
            self._changed.notify_all()
            return True

    def give(self, host: str, command: str) -> int:
        """Hand the command over and wait for its end; 255, as ssh has it, when that cannot be."""
        with self._changed:
            worker = self._workers.get(host)
            if worker is None or worker.command is not None:
                return 255
            worker.command = command
            while worker.status is None and not self._over:
                self._changed.wait(_STEP_SECONDS)
            return 255 if worker.status is None else worker.status

    def close(self, seconds: float) -> None:
        """All is over: tell the workers that still ask, but wait for them no longer than this."""
        until = time.monotonic() + seconds
        with self._changed:
            self._over = True
            self._changed.notify_all()
            while time.monotonic() < until and any(
                worker.run and worker.status is None and not worker.told for worker in self._workers.values()
            ):
                self._changed.wait(_STEP_SECONDS / 5)
