"""Program that the launcher starts: trtllm-serve, mpirun or a worker's orted.

Its output is copied line by line and diagnosed; the diagnosis keeps only lines that may be a cause.
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
"""Most bytes that are read at once, and most characters of a line."""
_FAILED = 1
"""Exit code of a failure of unknown cause."""
_LAST_WORDS_SECONDS = 5.0
_STEP_SECONDS = 0.05


class Child:
    """A program that runs in its own process group."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], output: Output) -> None:
        """Start the program. Raises BuilderFailure ImageMismatch if the image lacks it."""
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
                "Set spec.image to a TensorRT-LLM release image, which has this program.",
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
        """True if the program has ended."""
        return self._popen.poll() is not None

    @property
    def status(self) -> int:
        """Exit code of the program; 128 plus the signal's number, as in shells."""
        code = self._popen.wait()
        return code if code >= 0 else 128 - code

    def forget(self) -> None:
        """Forget older output: the program works, so only the latest output can explain a later death."""
        with self._scanning:
            self._before, self._scanner = _known(self._scanner.result(_FAILED)), Scanner()

    def diagnosis(self, *, by_itself: bool) -> Diagnosis | None:
        """Cause of the program's death. Its exit code is used only if it died `by_itself`."""
        self.kill()
        self._reader.join(_LAST_WORDS_SECONDS)
        # a process that left the group may hold the pipe without end
        self._abandoned = True
        self._reader.join(_LAST_WORDS_SECONDS)
        if killed_for_memory() > self._killed:
            return explain_kill(self.name, "spec.serving.podTemplate")
        with self._scanning:
            by_output = self._scanner.result(_FAILED)
        found = _known(by_output) or self._before
        if found is not None or not by_itself:
            return found
        by_exit = diagnose([], self.status)
        # without output, `by_output` is about _FAILED and not about the real exit code
        return _known(by_exit) or (by_exit if by_output is None or by_output.id == "exit" else by_output)

    def below(self, program: str) -> list[int]:
        """Descendants of the program that run the program of this name."""
        return running(program, descendants(self._popen.pid))

    def terminate(self, program: str | None = None) -> None:
        """Send SIGTERM to the program or, if a name is given, to its descendants of that name.

        MPI's own processes must outlive the server's last requests.
        """
        pids = self.below(program) if program else []
        if not self.ended:
            send(pids or [self._popen.pid], signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait for the end; True if the program has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        return self.ended

    def kill(self) -> None:
        """Kill the program and its descendants."""
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
        """Lines as soon as they are written. Progress bars end a line with a carriage return."""
        assert self._popen.stdout is not None  # noqa: S101 - stdout=PIPE above
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
    """The diagnosis if the catalogue knows its cause; otherwise None."""
    return None if found is None or found.reason is Reason.UNKNOWN else found


def wait_for(child: Child, stop: threading.Event, seconds: float) -> None:
    """Wait until the time is over, the child ends or `stop` is set."""
    until = time.monotonic() + seconds
    while not child.ended and not stop.is_set() and time.monotonic() < until:
        stop.wait(_STEP_SECONDS)
