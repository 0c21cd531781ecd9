"""What the launcher is doing: control.py tells it to the kubelet, everything else in this package sets it."""

from __future__ import annotations

import threading
from enum import StrEnum


class Phase(StrEnum):
    """What /health/ready says."""

    STARTING = "starting"
    WAITING = "waiting"
    """For the other pods of the group."""
    LOADING = "loading"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    """It was ready, and does not answer now."""
    DRAINING = "draining"
    FAILED = "failed"


_LAST = {Phase.DRAINING, Phase.FAILED}


class State:
    """The phase, and a clause about it; nothing follows draining but failing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phase = Phase.STARTING
        self._detail = ""

    @property
    def ready(self) -> bool:
        """Whether requests are welcome."""
        return self._phase is Phase.READY

    @property
    def live(self) -> bool:
        """Whether the launcher and its child live."""
        return self._phase is not Phase.FAILED

    @property
    def phase(self) -> Phase:
        """What is being done."""
        return self._phase

    def to(self, phase: Phase, detail: str = "") -> None:
        """Go on to the phase."""
        with self._lock:
            if self._phase not in _LAST or phase is Phase.FAILED:
                self._phase, self._detail = phase, detail

    def to_wire(self) -> dict[str, str]:
        """As the control server answers it."""
        return {"status": self._phase, **({"detail": self._detail} if self._detail else {})}
