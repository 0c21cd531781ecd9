"""Watches trtllm-serve over HTTP: loading, ready, unhealthy.

A server can hang or lose its executor while its process still runs. Then only a restart helps.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from trtllm_api.contract import LaunchRequest
from trtllm_api.manifest import Probe
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.launch import answer
from trtllm_builder.launch.canary import MISSES, Canary
from trtllm_builder.launch.child import Child
from trtllm_builder.launch.client import Client
from trtllm_builder.launch.ending import Ending, of_failure, restart
from trtllm_builder.launch.settings import Settings
from trtllm_builder.launch.state import Phase, State
from trtllm_builder.progress import Progress

_OK: Final = 200
_CALM_SECONDS: Final = 600.0
"""Seconds of health after which older output of the child is no longer diagnosed."""


class Watch:
    """Checks the server until `stop`. Sets the state, and `ending` if the child must be ended."""

    def __init__(
        self,
        request: LaunchRequest,
        probe: Probe | None,
        settings: Settings,
        state: State,
        child: Child,
        progress: Progress,
    ) -> None:
        self._request, self._probe, self._settings, self._state = request, probe, settings, state
        self._child, self._progress = child, progress
        self._client = Client("127.0.0.1" if settings.host == "0.0.0.0" else settings.host, settings.serve_port)  # noqa: S104
        self._stop = threading.Event()
        self._canary = Canary(self._client, request, settings, self._stop)
        self.was_ready = False
        self.ending: Ending | None = None

    def start(self) -> None:
        """Start to watch, in a thread."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Stop to watch."""
        self._stop.set()

    def _run(self) -> None:
        try:
            if self._load():
                threading.Thread(target=self._canary.run, daemon=True).start()
                self._guard()
        except BuilderFailure as failure:
            self.ending = of_failure(failure)

    def _load(self) -> bool:
        """Wait until the known prompt is answered; False if the watch was stopped."""
        self._state.to(Phase.LOADING)
        started = time.monotonic()
        with self._progress.step("Loading", unit="s") as step:
            while not self._stop.is_set():
                step.reach(time.monotonic() - started)
                try:
                    if self._client.get("/health", self._settings.health_timeout_seconds).status == _OK:
                        step.reach(time.monotonic() - started, "waiting for the answer to the known prompt")
                        answer.ask(self._client, self._request, self._probe, self._settings.probe_timeout_seconds)
                        break
                except OSError:
                    # it does not listen yet, or it died, which the launcher notices
                    pass
                self._stop.wait(self._settings.poll_seconds)
        if self._stop.is_set():
            return False
        self.was_ready = True
        self._child.forget()
        self._state.to(Phase.READY)
        self._progress.say(
            f"Ready: {self._request.served_model_name} answered after {time.monotonic() - started:.0f} s."
        )
        return True

    def _guard(self) -> None:
        """Check the server while it serves."""
        well = calm = time.monotonic()
        while not self._stop.wait(self._settings.poll_seconds) and self.ending is None:
            status, now = self._health(), time.monotonic()
            if status == _OK:
                well = now
                self._state.to(Phase.READY)
                if now - calm >= _CALM_SECONDS:
                    calm = now
                    self._child.forget()
                if self._canary.failed:
                    self.ending = _mute(self._settings.canary_timeout_seconds)
                continue
            calm = now
            self._state.to(Phase.UNHEALTHY, f"/health: {status or 'no answer'}")
            if status is not None and now - well >= self._settings.unhealthy_seconds:
                self.ending = _crashed(status, now - well)
            elif status is None and now - well >= self._canary.patience:
                self.ending = _silent(now - well)

    def _health(self) -> int | None:
        try:
            return self._client.get("/health", self._settings.health_timeout_seconds).status
        except OSError:
            return None


def _crashed(status: int, seconds: float) -> Ending:
    return restart(
        Reason.EXECUTOR_CRASHED,
        f"trtllm-serve was ready, but has answered /health with {status} for {seconds:.0f} s while its process runs: "
        "its executor crashed.",
    )


def _silent(seconds: float) -> Ending:
    return restart(
        Reason.EXECUTOR_CRASHED,
        f"trtllm-serve has not answered /health for {seconds:.0f} s while its process runs: it hangs.",
    )


def _mute(seconds: float) -> Ending:
    return restart(
        Reason.EXECUTOR_CRASHED,
        f"trtllm-serve answers /health with 200, but generated no token in {seconds:g} s, {MISSES} times in a row: "
        "it hangs.",
    )
