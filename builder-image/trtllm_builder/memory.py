"""The container's memory as its control group counts it: what is in use, the limit, how many the kernel has killed.

Progress writes the peak into its lines, for nobody can ask a container that was killed; engine.process and launch.child
ask whether a process of theirs was.
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
_WORTH_SAYING: Final = 1.05
"""A new peak is told when it is so many times the one that was told."""
_NO_LIMIT = 1 << 60
"""The first version of control groups writes a number near 2**63 for none."""


@dataclass(frozen=True)
class ContainerMemory:
    """At one moment, in bytes."""

    used: int
    """Anonymous and shared memory: cached files do not count, the kernel drops those before it kills."""
    limit: int | None
    kills: int
    """Processes of the container that the kernel has killed for memory."""

    @property
    def limit_in_words(self) -> str | None:
        """For a sentence."""
        return None if self.limit is None else in_words(self.limit)


def container_memory(group: Path = CONTROL_GROUP) -> ContainerMemory | None:
    """None outside a container whose control group can be read."""
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
    """How many processes of the container the kernel has killed until now; 0 where that cannot be known."""
    memory = container_memory()
    return 0 if memory is None else memory.kills


def explain_kill(program: str, template: str) -> Diagnosis:
    """That number has grown while the program ran."""
    memory = container_memory()
    return out_of_memory(f"A process of {program}", memory.limit_in_words if memory else None, None, template)


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


class MemoryPeak:
    """Looks several times a second, in the background, until it is stopped."""

    def __init__(self, tell: Callable[[], object], group: Path = CONTROL_GROUP) -> None:
        """`tell` is called, on another thread, when the peak has grown noticeably since it was read."""
        self._tell, self._group = tell, group
        self._peak = self._told = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def read(self) -> int | None:
        """The most until now, in bytes; None where it cannot be measured."""
        self._look()
        self._told = self._peak
        return self._peak or None

    def stop(self) -> None:
        """No line is written from here any more."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._look() and not self._stopped.wait(_INTERVAL_SECONDS):
            if self._peak > self._told * _WORTH_SAYING:
                self._tell()

    def _look(self) -> bool:
        memory = container_memory(self._group)
        if memory is not None:
            self._peak = max(self._peak, memory.used)
        return memory is not None
