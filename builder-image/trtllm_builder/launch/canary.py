"""Has the server generate a token now and then, when nothing else shows that it still does; watch.py runs one."""

from __future__ import annotations

import re
import threading
from typing import Final

from trtllm_builder.launch.client import Client
from trtllm_builder.launch.settings import Settings

MISSES: Final = 3
_ABSENT: Final = 404
_ANSWERED: Final = re.compile(r"^trtllm_request_success_total(?:\{[^}]*\})? ([0-9.eE+]+)", re.MULTILINE)


class Canary:
    """`failed` once a token did not come three times in a row."""

    def __init__(self, client: Client, settings: Settings, stop: threading.Event) -> None:
        self._client, self._settings, self._stop = client, settings, stop
        self._answered: float | None = None
        self.failed = False

    @property
    def patience(self) -> float:
        """Seconds without a token that are too many."""
        return MISSES * self._settings.canary_timeout_seconds

    def run(self) -> None:
        """Until it fails or is told to stop."""
        misses = 0
        while not self._stop.wait(self._settings.canary_seconds):
            if self._answers() or self._sings():
                misses = 0
                continue
            misses += 1
            if misses >= MISSES:
                self.failed = not self._answers()
                misses = 0

    def _answers(self) -> bool:
        """Whether requests were answered since the last look, where the server counts them.

        A busy server lets the canary wait in its queue: it must not die of that.
        """
        try:
            reply = self._client.get("/prometheus/metrics", self._settings.health_timeout_seconds)
        except OSError:
            return False
        before, counts = self._answered, [float(count) for count in _ANSWERED.findall(reply.text)]
        self._answered = sum(counts) if counts else None
        return before is not None and self._answered is not None and self._answered > before

    def _sings(self) -> bool:
        """Whether a token came in time; a server of a version without this endpoint cannot be asked."""
        try:
            status = self._client.get("/health_generate", self._settings.canary_timeout_seconds).status
        except OSError:
            return False
        return status in {200, _ABSENT}
