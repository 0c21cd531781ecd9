"""process.py: output streams, memory is bounded, and nothing outlives the pod's end."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from trtllm_api.reasons import Reason
from trtllm_builder.engine.process import Ended, run_program
from trtllm_diagnosis import Certainty


def _run(program: str, tmp_path: Path, output: io.StringIO | None = None) -> Ended:
    return run_program([sys.executable, "-c", program], directory=tmp_path, output=output or io.StringIO())


def test_lines_go_on_as_they_come_and_watched_ones_do_not(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            seen.append((time.monotonic(), text))
            return super().write(text)

    log = Log()
    program = "import time\nprint('one')\nprint('mine: 1')\ntime.sleep(0.6)\nprint('two', end='')"
    ended = run_program(
        [sys.executable, "-c", program],
        directory=tmp_path,
        output=log,
        watch=lambda line: line.startswith("mine"),
    )
    assert ended == Ended(0, None)
    assert log.getvalue() == "one\ntwo\n"
    assert seen[1][0] - seen[0][0] > 0.4


def test_errors_are_read_from_both_streams_and_explained(tmp_path: Path) -> None:
    ended = _run(
        "import sys; sys.exit('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB')", tmp_path
    )
    assert ended.exit_code == 1
    assert ended.diagnosis is not None
    assert ended.diagnosis.reason is Reason.GPU_OUT_OF_MEMORY


def test_a_cause_is_found_however_much_is_written_after_it(tmp_path: Path) -> None:
    noise = "print('Error Code 2: OutOfMemory')\nfor n in range(60000): print('step', n, 'x' * 40)\nraise SystemExit(3)"
    ended = _run(noise, tmp_path)
    assert ended.diagnosis is not None
    assert ended.diagnosis.reason is Reason.GPU_OUT_OF_MEMORY
    assert ended.diagnosis.line == 1


def test_a_line_without_end_and_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    log = io.StringIO()
    ended = _run("import sys; sys.stdout.buffer.write(b'\\xff' + b'y' * 300000)", tmp_path, log)
    assert ended.exit_code == 0
    assert log.getvalue().count("y") == 300000
    assert max(map(len, log.getvalue().splitlines())) < 200000


def test_a_program_killed_by_a_signal_is_told_by_it(tmp_path: Path) -> None:
    ended = _run("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert (ended.exit_code, ended.how) == (-9, "signal 9")
    assert ended.diagnosis is not None
    assert ended.diagnosis.reason is Reason.HOST_OUT_OF_MEMORY


def test_a_program_whose_death_the_kernel_counts_ran_out_of_memory_whatever_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = iter([3, 4])
    monkeypatch.setattr("trtllm_builder.engine.process.killed_for_memory", lambda: next(counted))
    ended = _run("import sys; sys.exit('ValueError: Config name is missing.')", tmp_path)
    assert ended.diagnosis is not None
    assert (ended.diagnosis.id, ended.diagnosis.certainty) == ("oomkilled", Certainty.CERTAIN)
    assert ended.diagnosis.message.startswith(f"A process of {Path(sys.executable).name} was killed ")


def test_a_program_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_program([str(tmp_path / "none")], directory=tmp_path)


def test_a_grandchild_that_keeps_the_pipe_does_not_keep_the_pod(tmp_path: Path) -> None:
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    began = time.monotonic()
    assert _run(program, tmp_path).exit_code == 0
    assert time.monotonic() - began < 20


class _Stopped(BaseException):
    """What run.py raises on SIGTERM."""


def _stop(_signum: int, _frame: object) -> None:
    raise _Stopped


def test_sigterm_reaches_the_program_and_its_children(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import pathlib, signal, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"def stop(*_): pathlib.Path({str(told)!r}).write_text(str(child.pid)); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with pytest.raises(_Stopped):
            run_program(
                [sys.executable, "-c", program],
                directory=tmp_path,
                output=io.StringIO(),
                watch=lambda _: not threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start(),
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    child = Path(f"/proc/{told.read_text()}")
    deadline = time.monotonic() + 10
    while child.exists() and "(zombie)" not in (child / "status").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or "(zombie)" in (child / "status").read_text()
