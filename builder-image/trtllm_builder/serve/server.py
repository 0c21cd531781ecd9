"""uvicorn with draining: SIGTERM makes the server unready at once, and it closes after the last running request."""

from __future__ import annotations

import time
from types import FrameType

import uvicorn

from trtllm_builder.progress import Progress
from trtllm_builder.serve.runtime import Runtime


class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
    """Server that drains. uvicorn itself would close the port first, so that readiness probes would get no answer."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime, drain_seconds: float, progress: Progress) -> None:
        super().__init__(config)
        self._runtime, self._drain_seconds, self._progress = runtime, drain_seconds, progress
        self._deadline: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to drain. A second signal ends all requests."""
        if self._runtime.draining:
            self.force_exit = self.should_exit = True
        self._runtime.draining = True

    async def on_tick(self, counter: int) -> bool:
        """True if the server must shut down; uvicorn calls it ten times a second."""
        now = time.monotonic()
        if self._runtime.failure:
            self.should_exit = True
        elif self._runtime.draining:
            if self._deadline is None:
                self._deadline = now + self._drain_seconds
                self._progress.say("Draining: running requests are answered, new ones are refused.")
            if now >= self._deadline and not self._runtime.idle:
                self._progress.say(f"Running requests are cancelled after {self._drain_seconds:g} s of draining.")
                self._runtime.cancel_all()
                self.should_exit = True
            elif self._runtime.idle:
                self.should_exit = True
        return bool(await super().on_tick(counter))
