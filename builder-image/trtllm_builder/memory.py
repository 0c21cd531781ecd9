"""Memory of the container, from its control group: use, limit, and number of processes that the kernel killed.

Progress lines contain the peak, because a container that was killed cannot report it afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trtllm_diagnosis import Diagnosis
from trtllm_diagnosis.memory import in_words, out_of_memory

CONTROL_GROUP = Path("/sys/fs/cgroup")
_INTERVAL_SECONDS = 0.5
_NOTICEABLE: Final = 1.05
"""Factor by which a new peak must exceed the reported one to be reported."""
_NO_LIMIT = 1 << 60
"""Smallest number that means no limit: version 1 of control groups reports one near 2**63."""


@dataclass(frozen=True)
class ContainerMemory:
    """Memory of the container at one moment, in bytes."""

    used: int
    """Anonymous and shared memory. Cached files do not count: the kernel drops them before it kills a process."""
    limit: int | None
    kills: int
    """Processes of the container that the kernel killed because of memory."""

    @property
    def limit_in_words(self) -> str | None:
        """The limit as text for a message."""
        return None if self.limit is None else in_words(self.limit)


def container_memory(group: Path = CONTROL_GROUP) -> ContainerMemory | None:
    """Memory of the container; None if its control group cannot be read."""
    try:
        if (group / "memory.stat").exists():
            used = _table(group / "memory.stat")
            limit = (group / "memory.max").read_text().strip()
            kills = _table(group / "memory.events").get("oom_kill", 0)
            return ContainerMemory(used["anon"] + used["shmem"], None if limit == "max" else int(limit), kills)
        group = group / "memory"
        used = _table(group / "memory.stat")
        number = int((group / "memory.limit_in_bytes").read_text())
        kills = _table(group / "memory.oom_control").get("oom_kill", 0)
        limit_bytes = None if number >= _NO_LIMIT else number
        return ContainerMemory(used["total_rss"] + used.get("total_shmem", 0), limit_bytes, kills)
    except (OSError, KeyError, ValueError):
        return None


def killed_for_memory() -> int:
    """Number of the container's processes that the kernel killed until now; 0 if it is unknown."""
    memory = container_memory()
    return 0 if memory is None else memory.kills


def explain_kill(program: str, template: str) -> Diagnosis:
    """Diagnosis of a program of which the kernel killed a process because of memory."""
    memory = container_memory()
    return out_of_memory(f"A process of {program}", memory.limit_in_words if memory else None, None, template)


def _table(path: Path) -> dict[str, int]:
    """Numbers by name, from lines of a name and a number."""
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


class MemoryPeak:
    """Measures the peak several times a second, in a thread, until it is stopped."""

    def __init__(self, notify: Callable[[], object], group: Path = CONTROL_GROUP) -> None:
        """`notify` is called in that thread if the peak has grown noticeably since it was read."""
        self._notify, self._group = notify, group
        self._peak = self._reported = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def read(self) -> int | None:
        """Peak until now, in bytes; None if it cannot be measured."""
        self._measure()
        self._reported = self._peak
        return self._peak or None

    def stop(self) -> None:
        """Stop measuring. `notify` is not called any more."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._measure() and not self._stopped.wait(_INTERVAL_SECONDS):
            if self._peak > self._reported * _NOTICEABLE:
                self._notify()

    def _measure(self) -> bool:
        memory = container_memory(self._group)
        if memory is not None:
            self._peak = max(self._peak, memory.used)
        return memory is not None
