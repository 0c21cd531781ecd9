"""Phase of the launcher, which the control server reports to the kubelet."""

from __future__ import annotations

import threading
from enum import StrEnum


class Phase(StrEnum):
    """Phase that /health/ready reports."""

    STARTING = "starting"
    WAITING = "waiting"
    """Waiting for the other pods of the group."""
    LOADING = "loading"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    """The server was ready, and does not answer now."""
    DRAINING = "draining"
    FAILED = "failed"


_LAST = {Phase.DRAINING, Phase.FAILED}


class State:
    """The phase, and a detail about it. Only FAILED can follow DRAINING."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phase = Phase.STARTING
        self._detail = ""

    @property
    def ready(self) -> bool:
        """True if the server takes requests."""
        return self._phase is Phase.READY

    @property
    def live(self) -> bool:
        """True if the launcher and its child work."""
        return self._phase is not Phase.FAILED

    @property
    def phase(self) -> Phase:
        """Current phase."""
        return self._phase

    def to(self, phase: Phase, detail: str = "") -> None:
        """Change to the phase."""
        with self._lock:
            if self._phase not in _LAST or phase is Phase.FAILED:
                self._phase, self._detail = phase, detail

    def to_wire(self) -> dict[str, str]:
        """The state as the control server reports it."""
        return {"status": self._phase, **({"detail": self._detail} if self._detail else {})}
