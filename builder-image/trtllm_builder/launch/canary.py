"""Generates one token at intervals, unless the server's metrics already show that it generates."""

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
"""Lowest HTTP status that means a failure. Below it the server works, even if it refuses the request."""
_ANSWERED: Final = re.compile(r"^trtllm_request_success_total(?:\{[^}]*\})? ([0-9.eE+]+)", re.MULTILINE)


class Canary:
    """Sets `failed` after three misses in a row.

    It uses a completion: /health_generate of trtllm-serve is a chat request, which fails for a model without a chat
    template, and some versions lack it.
    """

    def __init__(self, client: Client, request: LaunchRequest, settings: Settings, stop: threading.Event) -> None:
        self._client, self._settings, self._stop = client, settings, stop
        self._body = {"model": request.served_model_name, "prompt": OPENING, "max_tokens": 1, "temperature": 0}
        self._answered: float | None = None
        self.failed = False

    @property
    def patience(self) -> float:
        """Longest time without a token, in seconds."""
        return MISSES * self._settings.canary_timeout_seconds

    def run(self) -> None:
        """Run until it fails or is stopped."""
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
        """True if the server's metrics count a new answer since the last check.

        A busy server keeps the canary in its queue, which must not lead to a restart.
        """
        try:
            reply = self._client.get("/prometheus/metrics", self._settings.health_timeout_seconds)
        except OSError:
            return False
        before, counts = self._answered, [float(count) for count in _ANSWERED.findall(reply.text)]
        self._answered = sum(counts) if counts else None
        return before is not None and self._answered is not None and self._answered > before

    def _generates(self) -> bool:
        """True if the server answered in time, even if it refused the request."""
        try:
            status = self._client.post("/v1/completions", self._body, self._settings.canary_timeout_seconds).status
        except OSError:
            return False
        return status < _BROKEN
