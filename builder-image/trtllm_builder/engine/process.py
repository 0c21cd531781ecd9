"""Runs one of the image's programs. Its output is copied to the log line by line, and diagnosed if it fails."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trtllm_builder.memory import explain_kill, killed_for_memory
from trtllm_diagnosis import Diagnosis, Scanner

_CHUNK = 1 << 16
_LONGEST = 1 << 16
"""Most characters of a line that are held in memory. A longer line is passed on in pieces."""
_QUIET_SECONDS = 0.2
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Ended:
    """Exit code of a program, and the diagnosis of its output."""

    exit_code: int
    """Exit code; negative: the signal that killed it."""
    diagnosis: Diagnosis | None
    """Cause found in its output; with exit code 0 only a cause from the catalogue."""

    @property
    def how(self) -> str:
        """Exit code or signal, as words for a message."""
        return f"signal {-self.exit_code}" if self.exit_code < 0 else f"exit code {self.exit_code}"


def run_program(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[str], bool] = lambda _: False,
    tick: Callable[[], object] = lambda: None,
    output: TextIO | None = None,
) -> Ended:
    """Run the program to its end. Lines that `watch` takes are not logged; `tick` is called several times a second.

    If this function ends early, for instance by SIGTERM, it ends every process of the program.
    Raises FileNotFoundError if there is no such program.
    """
    scanner, out, before = Scanner(), output or sys.stdout, killed_for_memory()
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(_end, process)
        assert process.stdout is not None  # noqa: S101 - stdout=PIPE above
        stack.enter_context(process.stdout)
        for line in _lines(process, process.stdout.fileno(), tick):
            if watch(line):
                continue
            scanner.feed(line)
            out.write(f"{line}\n")
            out.flush()
        code = process.wait()
    if code != 0 and killed_for_memory() > before:
        return Ended(code, explain_kill(Path(command[0]).name, "spec.podTemplate"))
    return Ended(code, scanner.result(code))


def _lines(process: subprocess.Popen[bytes], descriptor: int, tick: Callable[[], object]) -> Iterator[str]:
    """Lines as soon as they are written. Ends with the program, even if a grandchild keeps the pipe open."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    while True:
        tick()
        ready, _, _ = select.select([descriptor], [], [], _QUIET_SECONDS)
        if not ready:
            if process.poll() is not None:
                break
            continue
        piece = os.read(descriptor, _CHUNK)
        if not piece:
            break
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        yield from whole
        if len(rest) >= _LONGEST:
            yield rest
            rest = ""
    if rest:
        yield rest


def _end(process: subprocess.Popen[bytes]) -> None:
    """End every process of the program's session."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
