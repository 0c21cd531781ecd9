"""Launcher of a pod: checks the files, starts the server, watches it, drains it, and returns an exit code."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from trtllm_api.contract import ExitCode, LaunchRequest
from trtllm_api.manifest import Probe
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, first_line, transient
from trtllm_builder.launch import checks
from trtllm_builder.launch.child import Child, wait_for
from trtllm_builder.launch.command import SERVER, environment_of, mpi_command, serve_command
from trtllm_builder.launch.control import Control
from trtllm_builder.launch.ending import Ending, of_diagnosis, of_failure, restart, write
from trtllm_builder.launch.handover import Handover
from trtllm_builder.launch.output import Output
from trtllm_builder.launch.place import Place, place_of
from trtllm_builder.launch.presence import Presence
from trtllm_builder.launch.rendezvous import Rendezvous
from trtllm_builder.launch.settings import Settings
from trtllm_builder.launch.state import Phase, State
from trtllm_builder.launch.watch import Watch
from trtllm_builder.launch.worker import Worker
from trtllm_builder.progress import Progress

_STEP_SECONDS = 0.2
_MISSED_POLLS = 5
"""Polls that a worker misses before it counts as lost when MPI ends."""
_MPIS_OWN = {Reason.LAUNCH_FAILED, Reason.COMMUNICATION_FAILED, Reason.UNKNOWN}
"""Reasons of MPI's own messages when a pod is lost. The rendezvous knows which pod."""


class Launcher:
    """Launcher of one pod. The signal handler may set `stop` at any time."""

    def __init__(self, settings: Settings, output: Output) -> None:
        self._settings, self._output = settings, output
        self._progress = Progress(output.text)
        self._state = State()
        self.stop = threading.Event()

    def run(self) -> int:
        """Run until the server ends or `stop` is set; returns the exit code."""
        try:
            ending = self._run()
        except BuilderFailure as failure:
            ending = of_failure(failure)
        except Exception as error:
            # the process must end with a termination message in any case
            ending = of_failure(
                transient(
                    Reason.INTERNAL_ERROR,
                    f"The launcher failed: {type(error).__name__}: {first_line(error)}",
                    "The container restarts. Report this error with the pod's log.",
                )
            )
        if ending is None:
            return int(ExitCode.OK)
        self._state.to(Phase.FAILED, ending.message)
        write(ending, self._progress)
        return ending.exit_code

    def _run(self) -> Ending | None:
        control = Control(self._settings, self._state)
        try:
            request = checks.read_request(self._settings.request)
            place = place_of(os.environ, request.nodes)
            probe = self._unless_stopped(lambda: checks.check(request, place, self._settings.scratch, self._progress))
            if self.stop.is_set():
                return None
            if place.index:
                return Worker(request, self._settings, place, self._state, self._output, self.stop).run()
            if place.alone:
                environment = environment_of(self._settings, os.environ)
                return self._serve(request, probe, serve_command(request, self._settings), environment, None)
            return self._lead(request, probe, place, control)
        finally:
            control.close()

    def _unless_stopped(self, call: Callable[[], Probe | None]) -> Probe | None:
        """Make a long call, and wait for it until it returns or `stop` is set. Raises the call's exception."""
        made: list[Probe | None] = [None]
        raised: list[Exception] = []

        def make() -> None:
            try:
                made[0] = call()
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=make, daemon=True)
        thread.start()
        while thread.is_alive() and not self.stop.is_set():
            thread.join(_STEP_SECONDS)
        if raised:
            raise raised[0]
        return made[0]

    def _lead(self, request: LaunchRequest, probe: Probe | None, place: Place, control: Control) -> Ending | None:
        """Wait for all pods of the group, and run the server with mpirun."""
        rendezvous = control.rendezvous = Rendezvous(place.workers, self._settings.lost_seconds)
        handover = Handover(self._settings.scratch / f"trtllm-launch-{os.getpid()}.sock", rendezvous)
        try:
            if not self._gather(rendezvous, place):
                return None
            environment = environment_of(self._settings, os.environ, handover.path)
            command = mpi_command(request, self._settings, place, environment, rendezvous.interface)
            return self._serve(request, probe, command, environment, rendezvous)
        finally:
            rendezvous.close(self._settings.leave_seconds)
            handover.close()

    def _gather(self, rendezvous: Rendezvous, place: Place) -> bool:
        """Wait for every worker; False if `stop` is set. Raises BuilderFailure if a worker does not appear."""
        workers, started = len(place.workers), time.monotonic()
        with self._progress.step("Loading", total=workers, unit="workers") as step:
            while missing := rendezvous.missing:
                here = f"{workers - len(missing)} of {workers} workers are connected"
                self._state.to(Phase.WAITING, here)
                step.reach(workers - len(missing), here)
                if time.monotonic() - started > self._settings.gather_seconds:
                    raise transient(
                        Reason.INTERNAL_ERROR,
                        f"{here} after {self._settings.gather_seconds / 60:.0f} minutes. Missing: "
                        f"{', '.join(missing)}.",
                        "Check these pods: they must be scheduled, have their image, and reach "
                        f"{place.leader} on port {self._settings.control_port}.",
                    )
                if self.stop.wait(_STEP_SECONDS):
                    return False
            step.reach(workers, f"{workers} of {workers} workers are connected")
        return True

    def _serve(
        self,
        request: LaunchRequest,
        probe: Probe | None,
        command: list[str],
        environment: dict[str, str],
        group: Rendezvous | None,
    ) -> Ending | None:
        """Run the server until it ends or fails, or until `stop` is set."""
        child = Child(command, environment, self._output)
        watch = Watch(request, probe, self._settings, self._state, child, self._progress)
        presence = Presence(child, SERVER, self._settings) if group else None
        watch.start()
        try:
            while True:
                wait_for(child, self.stop, _STEP_SECONDS)
                if self.stop.is_set():
                    self._drain(child, presence, request.drain_seconds)
                    return None
                gone = presence.gone if presence and not child.ended else None
                if child.ended or gone:
                    quiet_seconds = _MISSED_POLLS * self._settings.rendezvous_seconds
                    return _of_death(child, gone, group, quiet_seconds, was_ready=watch.was_ready)
                lost = group.problem if group else None
                if lost is not None:
                    return of_failure(transient(Reason.INTERNAL_ERROR, lost, "The group restarts. Check that pod."))
                if watch.ending is not None:
                    return _of_watch(child, watch.ending)
        finally:
            watch.stop()
            child.kill()

    def _drain(self, child: Child, presence: Presence | None, seconds: float) -> None:
        """Become unready, and let the server finish its requests within this time."""
        self._state.to(Phase.DRAINING)
        self._progress.say(f"Draining: {SERVER} has {seconds:.0f} s to finish its requests.")
        child.terminate(SERVER)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (presence and presence.gone):
            if child.wait(_STEP_SECONDS):
                return
        if not (presence and presence.gone):
            self._progress.say(f"{SERVER} still runs after {seconds:.0f} s and is terminated.")
        child.terminate()
        child.wait(min(self._settings.leave_seconds, seconds))


def _of_death(
    child: Child, gone: str | None, group: Rendezvous | None, quiet_seconds: float, *, was_ready: bool
) -> Ending:
    """Ending for a child that died. `gone` is set if the server ended while mpirun still runs."""
    status = 0 if gone else child.status
    found = child.diagnosis(by_itself=status != 0)
    if group and (found is None or found.reason in _MPIS_OWN) and (fault := group.fault(quiet_seconds)):
        return of_failure(transient(Reason.INTERNAL_ERROR, fault, "Check that pod, its log and its node."))
    if found is not None:
        return of_diagnosis(found, was_ready=was_ready)
    return of_failure(
        transient(
            Reason.INTERNAL_ERROR,
            f"{gone or f'{child.name} ended with exit code {status}'}, and its log contains no known error.",
            "The container restarts. Read its log.",
        )
    )


def _of_watch(child: Child, ending: Ending) -> Ending:
    """Ending for a child that the watch ended, with the cause that its output gives; a refusal keeps its own cause."""
    found = child.diagnosis(by_itself=False) if ending.exit_code == ExitCode.TRANSIENT else None
    if found is None:
        return ending
    known = of_diagnosis(found, was_ready=True)
    return restart(found.reason, f"{ending.message} {known.message}") if ending.message != known.message else known
