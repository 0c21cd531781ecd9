from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trtllm_api.reasons import Reason
from trtllm_diagnosis import diagnose

sys.path.insert(0, str(Path(__file__).parent))

from logs import HEALTHY, WRAPPERS

TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/srv/frob/heads.py", line 9, in split',
    '    assert cfg["num_heads"] % ranks == 0',
    "AssertionError",
]
"""Only its frames tell what failed."""


@pytest.mark.parametrize(
    "prefix",
    [
        "frob-0 server ",
        "ERROR:root:",
        "[2026-11-20 09:00:00] ERROR: ",
        "E1120 09:00:00.123456 71 worker.py:12] ",
        "Nov 20 09:00:00 node-3 builder[71]: ",
        "2026-11-20 09:00:00.123 | ERROR    | frob.steps:run:88 - ",
        "2026-11-20 09:00:00,123 - frob - ERROR - ",
        "2026-11-20 09:00:00,123 frob.common INFO:",
        "[11/20/2026-09:00:00] [TRT-LLM] [RANK 3] [E] ",
    ],
)
def test_a_traceback_is_read_behind_any_loggers_prefix(prefix: str) -> None:
    found = diagnose([*HEALTHY, *(prefix + line for line in TRACEBACK), *WRAPPERS], 1)
    assert found is not None
    assert found.id == "C6", found


def test_a_prefix_of_digits_that_differ_is_the_same() -> None:
    found = diagnose([f"node-{at} frob[{at}71] {line}" for at, line in enumerate(TRACEBACK)], 1)
    assert found is not None
    assert found.id == "C6"


def test_a_traceback_in_a_warning_does_not_make_the_warnings_after_it_errors() -> None:
    log = [f"frob WARNING {line}" for line in TRACEBACK]
    assert diagnose([*log, "frob WARNING Config name is missing."], 0) is None


def test_key_and_value_lines_are_unwrapped() -> None:
    line = 'time="2026-11-20T09:00:00Z" level=error msg="ValueError: Config name is missing."'
    found = diagnose([line], 1)
    assert found is not None
    assert found.evidence == "ValueError: Config name is missing."
    assert diagnose([line.replace("level=error", "level=info").replace("ValueError: ", "")], 0) is None


def test_a_plain_complaint_is_quoted_when_nothing_is_called_an_error() -> None:
    log = ["begin", "the frob could not be found", "bye"]
    found = diagnose(log, 1)
    assert found is not None
    assert found.message == "Not in the catalogue: the frob could not be found"
    assert diagnose(log, 0) is None


def test_a_plain_complaint_that_tells_what_it_is_about_is_better_than_a_warning_before_it() -> None:
    log = [*HEALTHY, "mpirun lost its daemon and cannot go on", "bye"]
    found = diagnose(log, 1)
    assert found is not None
    assert (found.reason, found.guessed) == (Reason.LAUNCH_FAILED, True)
    assert diagnose(log, 0) is None


def test_an_error_is_quoted_rather_than_a_plain_complaint_after_it() -> None:
    found = diagnose(["Error: frob is askew", "the widget could not be found"], 1)
    assert found is not None
    assert "frob is askew" in found.message


def test_what_was_raised_over_an_unknown_exception_may_tell_what_it_is_about() -> None:
    over = [
        "Traceback (most recent call last):",
        '  File "/srv/frob/load.py", line 3, in f',
        "RuntimeError: the versions of frob and widget differ",
    ]
    askew = [*over[:2], "FrobError: askew", "", "During handling of the above exception, another exception occurred:"]
    found = diagnose([*askew, *over], 1)
    assert found is not None
    assert (found.reason, found.line) == (Reason.VERSION_MISMATCH, 8)
    bug = [*over[:2], "TypeError: frob", "", "During handling of the above exception, another exception occurred:"]
    found = diagnose([*bug, *over], 1)
    assert found is not None
    assert found.reason is Reason.UNKNOWN


def test_a_tactic_that_was_skipped_for_another_reason_does_not_forgive_memory_errors() -> None:
    error = "[TRT] [E] Error Code 2: OutOfMemory (Requested size was 77 bytes.)"
    found = diagnose([error, "[TRT] [E] Skipping tactic 3 due to exception frob is askew"], 1)
    assert found is not None
    assert found.id == "B14"


def test_an_error_that_asks_to_come_back_later_is_an_error() -> None:
    found = diagnose(["RuntimeError: too many requests, retry after 300 seconds"], 1)
    assert found is not None
    assert found.reason is Reason.RATE_LIMITED


def test_a_probe_that_was_refused_says_nothing_of_the_hub() -> None:
    probe = (
        'Startup probe failed: Get "http://10.0.0.9:8000/health": dial tcp 10.0.0.9:8000: connect: connection refused'
    )
    found = diagnose([probe, "Container server failed startup probe, will be restarted"], 137)
    assert found is not None
    assert found.reason is Reason.PROBE_FAILED


@pytest.mark.parametrize(
    "line",
    [
        "the 'frob' package is not installed. Falling back to the slow way. Install it with `pip install frob`",
        "mca_base_component_repository_open: unable to open frob: libfrob.so.1: cannot open shared object file",
        "Warning: the quantizer of expert 3 was not calibrated; using the maximum of the others",
        "Error: none",
        "frobs searched, reconstruction error: 0.0012",
        "Relative Error: 1.2e-3 (max)",
        '10.0.0.4:51022 - "POST /v1/frob HTTP/1.1" 403 Forbidden',
        "frob-0 Input [Text 0]: 'why is there No space left on device?'",
        "frob-0 example outputs before ptq: ['CUDA out of memory']",
    ],
)
def test_a_line_that_says_how_it_goes_on_is_no_cause(line: str) -> None:
    assert diagnose([line], 0) is None
    failed = diagnose([line], 1)
    assert failed is not None
    assert failed.reason is Reason.UNKNOWN
