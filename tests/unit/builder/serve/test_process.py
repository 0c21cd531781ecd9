"""The server as a pod runs it: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.preloaded import Preloaded

from .conftest import NAME, Client, read, wait_until


@dataclass
class Process:
    """The server's process, its log as it comes and its termination log."""

    popen: subprocess.Popen[str]
    termination: Path
    log: list[str] = field(default_factory=list)

    def follow(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.log.append(line)

    @property
    def port(self) -> int | None:
        found = re.search(r"Listening on port (\d+)", "".join(self.log))
        return int(found[1]) if found else None

    def client(self) -> Client:
        wait_until(lambda: self.port is not None or self.popen.poll() is not None, 60)
        assert self.port is not None, self.log
        return Client(self.port)

    def ready(self) -> Client:
        client = self.client()
        wait_until(lambda: client.get("/health/ready").status == 200, 60)
        return client


Launch = Callable[..., Process]


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python that has imported torch and transformers."""
    preloaded = Preloaded(
        tmp_path_factory.mktemp("python"), "transformers.models.llama.modeling_llama", "trtllm_builder.serve.main"
    )
    yield preloaded.python
    preloaded.close()


@pytest.fixture
def launch(tmp_path: Path, python: Path) -> Iterator[Launch]:
    started: list[Process] = []

    def start(artifact: Path, *options: str) -> Process:
        termination = tmp_path / "termination"
        command = [python, "-m", "trtllm_builder", "serve", "--artifact", str(artifact), "--host", "127.0.0.1"]
        popen = subprocess.Popen(
            [*command, "--served-model-name", NAME, "--port", "0", "--device", "cpu", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TERMINATION_LOG": str(termination)},
        )
        process = Process(popen, termination)
        threading.Thread(target=process.follow, daemon=True).start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


def changed(artifact: Path, to: Path, **manifest: object) -> Path:
    shutil.copytree(artifact, to)
    content = json.loads((to / "manifest.json").read_text())
    (to / "manifest.json").write_text(json.dumps({**content, **manifest}))
    return to


def test_it_serves_and_its_whole_log_is_json(artifact: Path, launch: Launch) -> None:
    process = launch(artifact)
    client = process.ready()
    assert client.chat(max_tokens=3).json["usage"]["completion_tokens"] == 3
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0
    assert not process.termination.exists()
    lines = [json.loads(line) for line in process.log]
    assert [line["progress"]["stage"] for line in lines if "progress" in line][::2] == ["Loading", "Probing"]


def test_sigterm_turns_it_unready_and_what_runs_and_waits_is_answered(artifact: Path, launch: Launch) -> None:
    process = launch(artifact, "--max-concurrent-requests", "1")
    client = process.ready()
    running, waiting = client.long(max_tokens=1500, stream=True), client.long(max_tokens=8)
    wait_until(lambda: client.metric("trtllm_num_requests_waiting{") == 1)
    process.popen.send_signal(signal.SIGTERM)
    wait_until(lambda: client.get("/health/ready").status == 503, 2)
    assert client.get("/health/ready").json == {"status": "draining"}
    assert client.get("/health/live").status == 200
    refused = client.complete()
    assert (refused.status, refused.error["code"]) == (503, "draining")
    assert read(running).events[-1] == "[DONE]"
    assert read(waiting).json["usage"]["completion_tokens"] == 8
    assert process.popen.wait(20) == 0


def test_requests_that_outlast_the_drain_are_cut_off_with_an_error(artifact: Path, launch: Launch) -> None:
    process = launch(artifact, "--drain-seconds", "0.3")
    client = process.ready()
    whole, stream = client.long(), client.long(stream=True)
    wait_until(lambda: client.metric("trtllm_num_requests_running{") == 2)
    process.popen.send_signal(signal.SIGTERM)
    reply = read(whole)
    assert (reply.status, reply.error["code"]) == (503, "shutting_down")
    assert read(stream).events[-1]["error"]["code"] == "shutting_down"
    assert process.popen.wait(20) == 0


def test_an_artifact_that_answers_otherwise_is_refused(artifact: Path, tmp_path: Path, launch: Launch) -> None:
    probe = json.loads((artifact / "manifest.json").read_text())["probe"]
    wrong = {**probe, "answerTokenIds": [1, 2, 3, 4]}
    process = launch(changed(artifact, tmp_path / "changed", probe=wrong))
    assert process.popen.wait(60) == 65
    result = json.loads(process.termination.read_text())
    assert result["reason"] == "ArtifactCorrupt"
    assert "The recorded answer to" in result["message"]
    assert result["remedy"]


def test_an_artifact_without_a_probe_is_refused(artifact: Path, tmp_path: Path, launch: Launch) -> None:
    process = launch(changed(artifact, tmp_path / "changed", probe=None))
    assert process.popen.wait(60) == 65
    assert "has no known prompt" in json.loads(process.termination.read_text())["message"]


def test_a_directory_that_is_no_artifact_is_refused_in_the_stores_words(tmp_path: Path, launch: Launch) -> None:
    process = launch(tmp_path)
    assert process.popen.wait(60) == 69
    assert "has no manifest.json" in json.loads(process.termination.read_text())["message"]


def test_a_port_that_is_taken_is_worth_another_try(artifact: Path, launch: Launch) -> None:
    port = launch(artifact).client().port
    second = launch(artifact, "--port", str(port))
    assert second.popen.wait(60) == 75
    assert f":{port}" in json.loads(second.termination.read_text())["message"]


def test_sigterm_while_loading_ends_it_at_once(artifact: Path, launch: Launch) -> None:
    process = launch(artifact)
    client = process.client()
    with contextlib.suppress(OSError):
        client.get("/health/live")
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(20) == 0
