"""`trtllm diagnose`: the cause, its line, and the exit codes."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_runs import Ran, assert_golden

Run = Callable[..., Ran]
CAUSE = "RuntimeError: Assertion failed: Number of GPUs per node 2 must be at least as large as TP (4)"
LOG = f"loading\n10%|#\r20%|##\r30%|###\n{CAUSE}\nPrimary job terminated normally\n"


def test_the_cause_is_named_with_its_line(run: Run) -> None:
    Path("build.log").write_text(LOG)
    ran = run("diagnose", "build.log")
    assert ran.code == 0
    assert_golden("diagnose.text", ran.out)


def test_progress_bars_do_not_shift_the_line_number(run: Run) -> None:
    Path("build.log").write_text(LOG)
    found = json.loads(run("diagnose", "build.log", "-o", "json").out)
    assert (found["line"], found["text"]) == (3, CAUSE)


def test_lines_without_an_end_do_not_shift_the_line_number(run: Run) -> None:
    Path("build.log").write_text("x" * 300_000 + "\n" + CAUSE)
    assert json.loads(run("diagnose", "build.log", "-o", "json").out)["line"] == 2


def test_json_has_reason_sentence_remedy_and_line(run: Run) -> None:
    Path("build.log").write_text(LOG)
    found = json.loads(run("diagnose", "build.log", "-o", "json").out)
    assert found["found"] is True
    assert found["reason"] == "TooFewGpus"
    assert found["certainty"] == "certain"
    assert found["message"].endswith(".")
    assert found["remedy"]


def test_standard_input_and_compressed_logs_are_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(LOG.encode())))
    assert run("diagnose", "-").code == 0
    Path("build.log.gz").write_bytes(gzip.compress(LOG.encode()))
    assert "line 3: " in run("diagnose", "build.log.gz").out


def test_a_healthy_log_has_no_cause(run: Run) -> None:
    Path("build.log").write_text("all is well\n")
    ran = run("diagnose", "build.log")
    assert (ran.code, ran.out) == (1, "No cause found: the input reports no failure.\n")
    assert json.loads(run("diagnose", "build.log", "-o", "json").out) == {"found": False}


def test_an_error_that_is_not_in_the_catalogue_is_shown_and_no_cause(run: Run) -> None:
    Path("build.log").write_text("Traceback (most recent call last):\nFrobError: the frob is not frobbed\n")
    ran = run("diagnose", "build.log")
    assert ran.code == 1
    assert "FrobError" in ran.out


def test_the_exit_code_counts_where_the_log_is_silent(run: Run) -> None:
    Path("build.log").write_text("loading\n")
    ran = run("diagnose", "build.log", "--exit-code", "137")
    assert ran.code == 0
    assert "HostOutOfMemory" in ran.out


def test_control_characters_of_a_log_do_not_reach_the_terminal(run: Run) -> None:
    Path("build.log").write_text(f"\x1b]0;evil\x07{CAUSE}\x1b[2J\n")
    assert "\x1b" not in run("diagnose", "build.log").out


def test_what_cannot_be_read_is_one_sentence(run: Run) -> None:
    Path("broken.gz").write_bytes(gzip.compress(LOG.encode())[:-9])
    for name in ("nothing.log", ".", "broken.gz"):
        ran = run("diagnose", name)
        assert ran.code == 2
        assert ran.err.count("\n") == 1


PENDING = """apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: good, namespace: ml}, status: {phase: Running}}
- {apiVersion: v1, kind: Pod, metadata: {name: smollm2-fetch-1, namespace: ml}, status: {phase: Pending}}
- kind: Event
  reason: FailedMount
  message: 'MountVolume.SetUp failed for volume "token" : secret "hf" not found'
  lastTimestamp: "2026-11-25T12:00:00Z"
  involvedObject: {kind: Pod, namespace: ml, name: smollm2-fetch-1}
- kind: Event
  reason: FailedMount
  message: 'MountVolume.SetUp failed for volume "other" : secret "x" not found'
  lastTimestamp: "2026-11-25T12:30:00Z"
  involvedObject: {kind: Pod, namespace: ml, name: another}
- kind: Event
  reason: FailedMount
  message: 'MountVolume.SetUp failed for volume "other" : secret "y" not found'
  lastTimestamp: "2026-11-25T12:40:00Z"
  involvedObject: {kind: Pod, namespace: other, name: smollm2-fetch-1}
- kind: Event
  reason: FailedMount
  message: 'MountVolume.SetUp failed for volume "other" : secret "z" not found'
  lastTimestamp: "2026-11-25T12:50:00Z"
  involvedObject: {kind: Job, namespace: ml, name: smollm2-fetch-1}
"""
SAID = "Pod ml/smollm2-fetch-1: Volume token cannot be mounted: the secret hf does not exist."


def test_pods_are_read_as_kubectl_prints_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pods.yaml").write_text(PENDING)
    assert json.loads(run("diagnose", "pods.yaml", "-o", "json").out)["message"] == SAID
    oom = {"name": "builder", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"containerStatuses": [oom]}}
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(pod, indent=4).encode())))
    ran = run("diagnose", "-")
    assert (ran.code, "HostOutOfMemory (oomkilled, certain)" in ran.out) == (0, True)


def test_pods_in_good_health_have_no_cause_and_other_objects_are_no_pods(run: Run) -> None:
    Path("pods.yaml").write_text(PENDING.replace("Pending", "Running"))
    assert run("diagnose", "pods.yaml").code == 1
    Path("other.yaml").write_text("apiVersion: v1\nkind: Service\n")
    ran = run("diagnose", "other.yaml")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "contains no Pod" in ran.err


def test_a_log_that_speaks_of_objects_is_a_log(run: Run) -> None:
    Path("build.log").write_text(f"applying\napiVersion: v1\n{CAUSE}\n")
    assert json.loads(run("diagnose", "build.log", "-o", "json").out)["line"] == 3
