"""Checks that trtllm-serve still runs below mpirun, which can outlive it without end.

trtllm-llmapi-launch stops the other ranks only after a server that ended with exit code 0.
"""

from __future__ import annotations

import time
from typing import Final

from trtllm_builder.launch.child import Child
from trtllm_builder.launch.settings import Settings

_LOOK_SECONDS: Final = 1.0
"""Seconds between two checks, after the program was seen."""


class Presence:
    """Presence of one program below a child process."""

    def __init__(self, child: Child, program: str, settings: Settings) -> None:
        self._child, self._program = child, program
        self._appear_seconds, self._leave_seconds = settings.appear_seconds, settings.leave_seconds
        self._started = time.monotonic()
        self._seen: float | None = None
        self._looked = 0.0

    @property
    def gone(self) -> str | None:
        """A clause for a message if the program did not start in time, or has ended; otherwise None."""
        now = time.monotonic()
        if self._seen is None or now - self._looked >= min(_LOOK_SECONDS, self._leave_seconds):
            self._looked = now
            if self._child.below(self._program):
                self._seen = now
        if self._seen is None:
            if now - self._started < self._appear_seconds:
                return None
            return f"{self._child.name} did not start {self._program} within {self._appear_seconds:.0f} s"
        return f"{self._program} ended by itself" if now - self._seen >= self._leave_seconds else None
