"""The program that the launcher started: trtllm-serve, mpirun or a worker's orted; launcher.py and worker.py own one.

Its output goes to ours line by line and through the diagnosis, which keeps only what may be a cause.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.launch.output import Output
from trtllm_builder.launch.processes import descendants, running, send
from trtllm_builder.memory import explain_kill, killed_for_memory
from trtllm_diagnosis import Diagnosis, Scanner, diagnose

_CHUNK = 1 << 16
"""Bytes that are read at once, and characters of the longest line."""
_FAILED = 1
"""An exit code that says nothing but that it failed."""
_LAST_WORDS_SECONDS = 5.0
_STEP_SECONDS = 0.05


class Child:
    """A running program in a process group of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], output: Output) -> None:
        """Start it; raises BuilderFailure ImageMismatch when the image does not have it."""
        try:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                process_group=0,
            )
        except OSError as error:
            raise BuilderFailure(
                ExitCode.NOT_SUPPORTED,
                Reason.IMAGE_MISMATCH,
                f"The image cannot run {command[0]}: {error.strerror}.",
                "Set spec.image to a TensorRT-LLM release image, which has it.",
            ) from error
        self.name = os.path.basename(command[0])  # noqa: PTH119 - a program's name is not a path
        self._output = output
        self._abandoned = False
        self._scanner = Scanner()
        self._before: Diagnosis | None = None
        self._scanning = threading.Lock()
        self._killed = killed_for_memory()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def ended(self) -> bool:
        """Whether the program has ended."""
        return self._popen.poll() is not None

    @property
    def status(self) -> int:
        """Its exit code; 128 and the number for a signal, as shells have it."""
        code = self._popen.wait()
        return code if code >= 0 else 128 - code

    def forget(self) -> None:
        """All is well: what was said until now explains no later death, but for the most recent words."""
        with self._scanning:
            self._before, self._scanner = _known(self._scanner.result(_FAILED)), Scanner()

    def diagnosis(self, *, by_itself: bool) -> Diagnosis | None:
        """Why it died, once it has; the exit code counts only when it died by itself."""
        self.kill()
        self._reader.join(_LAST_WORDS_SECONDS)
        # whoever left our group may hold the pipe for ever
        self._abandoned = True
        self._reader.join(_LAST_WORDS_SECONDS)
        if killed_for_memory() > self._killed:
            return explain_kill(self.name, "spec.serving.podTemplate")
        with self._scanning:
            said = self._scanner.result(_FAILED)
        found = _known(said) or self._before
        if found is not None or not by_itself:
            return found
        by_exit = diagnose([], self.status)
        # without any words `said` is about the exit code, which was not known yet
        return _known(by_exit) or (by_exit if said is None or said.id == "exit" else said)

    def below(self, program: str) -> list[int]:
        """Processes that it started, itself or through others, and that run this program."""
        return running(program, descendants(self._popen.pid))

    def terminate(self, program: str | None = None) -> None:
        """Ask it to end, or the program of that name below it: MPI's own processes must outlive its last requests."""
        pids = self.below(program) if program else []
        if not self.ended:
            send(pids or [self._popen.pid], signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it ends in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        return self.ended

    def kill(self) -> None:
        """End it and everything that it started."""
        pids = descendants(self._popen.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        send(pids, signal.SIGKILL)
        self._popen.wait()

    def _read(self) -> None:
        for line in self._lines():
            self._output.write(f"{line}\n")
            with self._scanning:
                self._scanner.feed(line)

    def _lines(self) -> Iterator[str]:
        """As soon as they are written; progress bars end theirs with a carriage return."""
        assert self._popen.stdout is not None  # noqa: S101 - it is a pipe
        descriptor, decoder, rest = self._popen.stdout.fileno(), codecs.getincrementaldecoder("utf-8")("replace"), ""
        while True:
            if not select.select([descriptor], [], [], 1.0)[0]:
                if self._abandoned:
                    return
                continue
            chunk = os.read(descriptor, _CHUNK)
            *whole, rest = re.split(r"[\r\n]+", rest + decoder.decode(chunk, final=not chunk))
            if not chunk or len(rest) >= _CHUNK:
                whole, rest = [*whole, rest], ""
            yield from filter(None, whole)
            if not chunk:
                return


def _known(found: Diagnosis | None) -> Diagnosis | None:
    """What the catalogue explains."""
    return None if found is None or found.reason is Reason.UNKNOWN else found


def wait_for(child: Child, stop: threading.Event, seconds: float) -> None:
    """Wait, but not longer than until the child ends or the launcher is told to stop."""
    until = time.monotonic() + seconds
    while not child.ended and not stop.is_set() and time.monotonic() < until:
        stop.wait(_STEP_SECONDS)
