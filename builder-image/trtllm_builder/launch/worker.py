"""A worker of a group: polls the leader, runs MPI's daemon for it, and ends with the job."""

from __future__ import annotations

import os
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from trtllm_api.contract import ExitCode, LaunchRequest
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, transient
from trtllm_builder.launch.child import Child, wait_for
from trtllm_builder.launch.client import Client
from trtllm_builder.launch.command import environment_of, served_path, write_options
from trtllm_builder.launch.ending import Ending, of_diagnosis
from trtllm_builder.launch.network import interface_towards
from trtllm_builder.launch.output import Output
from trtllm_builder.launch.place import Place
from trtllm_builder.launch.remote import parse
from trtllm_builder.launch.settings import Settings
from trtllm_builder.launch.state import Phase, State
from trtllm_builder.progress import Progress

_TIMEOUT_SECONDS = 5.0
_REFUSED = 126
"""Exit code of a command that was not run, the same as in shells."""


@dataclass
class Worker:
    """Launcher of a pod that is not the leader of its group."""

    request: LaunchRequest
    settings: Settings
    place: Place
    state: State
    output: Output
    stop: threading.Event

    def __post_init__(self) -> None:
        self._run = uuid.uuid4().hex
        self._leader = Client(self.place.leader, self.settings.control_port)
        self._progress = Progress(self.output.text)
        self._heard = time.monotonic()
        self._leaders_run: str | None = None
        self._interface = ""

    def run(self) -> Ending | None:
        """Run until the job or the leader ends. Returns None if this pod is stopped."""
        write_options(self.request, self.settings.scratch)
        served_path(self.request, self.settings.scratch)
        command = self._wait_for_command()
        if command is None:
            return None
        environment = environment_of(self.settings, os.environ)
        try:
            remote = parse(command, environment)
            child = Child(remote.command, environment | remote.paths, self.output)
        except BuilderFailure:
            self._report(_REFUSED)
            raise
        self.state.to(Phase.READY)
        self._progress.say(f"{self.place.name} runs its part of the job of the leader {self.place.leader}.")
        try:
            return self._accompany(child)
        finally:
            child.kill()

    def _wait_for_command(self) -> str | None:
        """Command of the leader. Raises BuilderFailure if the leader does not appear, or has ended."""
        self.state.to(Phase.WAITING, f"for {self.place.leader}")
        pause = self.settings.rendezvous_seconds / 2
        with self._progress.step("Loading", unit="s") as step:
            while not self.stop.wait(pause):
                reply = self._poll()
                self._note(step, reply)
                if reply is None:
                    # its name may not resolve yet, or it is still checking its files
                    pause = min(2 * pause, 5 * self.settings.rendezvous_seconds)
                    self._give_up_late()
                elif reply["over"]:
                    raise self._over()
                elif reply["command"] is not None:
                    self._leaders_run = reply["leader"]
                    return str(reply["command"])
                else:
                    pause = self.settings.rendezvous_seconds / 2
        return None

    def _note(self, step: Any, reply: dict[str, Any] | None) -> None:
        step.advance(
            0, f"{'no answer yet from' if reply is None else 'waiting for the command of'} {self.place.leader}"
        )

    def _give_up_late(self) -> None:
        silent = time.monotonic() - self._heard
        if silent > self.settings.gather_seconds:
            raise transient(
                Reason.INTERNAL_ERROR,
                f"The leader {self.place.leader}:{self.settings.control_port} did not answer within "
                f"{silent / 60:.0f} minutes.",
                "Check the leader's pod: it must be scheduled, have its image, and be reachable from this pod.",
            )

    def _accompany(self, child: Child) -> Ending | None:
        """Wait while the daemon runs."""
        until: float | None = None
        while True:
            wait_for(child, threading.Event() if until else self.stop, self.settings.rendezvous_seconds)
            if child.ended:
                return self._ended(child, drained=until is not None)
            if self.stop.is_set() and until is None:
                # keep running: the leader finishes its requests first, and they need this pod's GPUs
                self.state.to(Phase.DRAINING)
                until = time.monotonic() + self.request.drain_seconds
            reply = self._poll()
            over = reply is not None and (reply["over"] or reply["leader"] != self._leaders_run)
            lost = reply is None and time.monotonic() - self._heard > self.settings.lost_seconds
            if until is not None and (over or lost or time.monotonic() > until):
                return None
            if over or lost:
                failure = self._over() if over else self._lost()
                return Ending(int(failure.exit_code), failure.reason, failure.message, failure.remedy)

    def _ended(self, child: Child, *, drained: bool) -> Ending | None:
        status = child.status
        self._report(status)
        if drained:
            return None
        found = child.diagnosis(by_itself=True)
        if found is not None and found.reason is not Reason.UNKNOWN:
            return of_diagnosis(found, was_ready=True)
        failure = self._over(f" (its part in this pod ended with exit code {status})")
        return Ending(status or int(ExitCode.TRANSIENT), failure.reason, failure.message, failure.remedy)

    def _poll(self) -> dict[str, Any] | None:
        """Answer of the leader; None if it does not answer."""
        self._interface = self._interface or interface_towards(self.place.leader)
        query = urlencode({"host": self.place.name, "run": self._run, "interface": self._interface})
        try:
            reply = self._leader.get(f"/rendezvous?{query}", _TIMEOUT_SECONDS)
        except OSError:
            return None
        word = reply.json
        if not isinstance(word, dict) or not {"leader", "command", "over"} <= word.keys():
            return None
        self._heard = time.monotonic()
        return word

    def _report(self, status: int) -> None:
        query = urlencode({"host": self.place.name, "run": self._run, "status": status})
        try:
            self._leader.post(f"/rendezvous?{query}", {}, _TIMEOUT_SECONDS)
        except OSError as error:
            self._progress.say(f"The exit code {status} of MPI's daemon could not be reported to the leader: {error}.")

    def _over(self, how: str = "") -> BuilderFailure:
        return transient(
            Reason.INTERNAL_ERROR,
            f"The job of the leader {self.place.leader} has ended{how}.",
            "The group restarts. Read the leader's termination message for the cause.",
        )

    def _lost(self) -> BuilderFailure:
        return transient(
            Reason.INTERNAL_ERROR,
            f"The leader {self.place.leader} has not answered for {time.monotonic() - self._heard:.0f} s.",
            "The group restarts. Check the leader's pod and its node.",
        )
