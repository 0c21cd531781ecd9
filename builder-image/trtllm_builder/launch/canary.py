"""Asks the server for a token now and then, unless something else shows that it still generates; watch.py runs one."""

from __future__ import annotations

import re
import threading
from typing import Final

from trtllm_api.contract import LaunchRequest
from trtllm_builder.launch.answer import OPENING
from trtllm_builder.launch.client import Client
from trtllm_builder.launch.settings import Settings

MISSES: Final = 3
_BROKEN: Final = 500
"""From this status on, the server failed; below it, the server answers, even if it refuses the request."""
_ANSWERED: Final = re.compile(r"^trtllm_request_success_total(?:\{[^}]*\})? ([0-9.eE+]+)", re.MULTILINE)


class Canary:
    """`failed` once a token did not come three times in a row.

    It asks for a completion: /health_generate of trtllm-serve is a chat request, which a model without a chat template
    cannot answer, and not every version has it.
    """

    def __init__(self, client: Client, request: LaunchRequest, settings: Settings, stop: threading.Event) -> None:
        self._client, self._settings, self._stop = client, settings, stop
        self._body = {"model": request.served_model_name, "prompt": OPENING, "max_tokens": 1, "temperature": 0}
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
            if self._answers() or self._generates():
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

    def _generates(self) -> bool:
        """Whether the server answered in time, be it that it takes no texts."""
        try:
            status = self._client.post("/v1/completions", self._body, self._settings.canary_timeout_seconds).status
        except OSError:
            return False
        return status < _BROKEN
