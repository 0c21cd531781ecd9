"""What the launcher's tests share: fakes of the image's programs, an artifact, launchers in their own processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from support.artifacts import write_manifest
from support.ports import free_port
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.launch.main import main

NAME = "tiny"
VERSION = "1.2.1"
ANSWER = " Paris, which lies on the river Seine and has two million inhabitants."
PROBE = {"prompt": "Which?", "promptTokenIds": [3, 4, 5], "answerTokenIds": [6, 7, 8, 9], "answer": ANSWER}
FAST = {
    "poll-seconds": 0.1,
    "unhealthy-seconds": 0.6,
    "canary-seconds": 0.1,
    "rendezvous-seconds": 0.2,
    "leave-seconds": 1,
}
"""How often a launcher looks. What it waits for is patient: only a test that lets a wait end in vain makes it short."""
LOST = 3
"""Seconds of silence of another pod, where a test lets it fall silent."""
CONFIG = {"version": VERSION, "pretrained_config": {"mapping": {"world_size": 1, "tp_size": 1}}}
_LLMAPI_LAUNCH = """#!/bin/bash
# Like the real one: the other ranks end after a server that ended well, and wait for ever after one that did not.
if [ "$OMPI_COMM_WORLD_RANK" = 0 ]; then (unset ${{!OMPI_*}}; "$@" && touch {ended}) & fi
until [ -e {ended} ]; do sleep 0.1; done
"""
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["trtllm_builder.launch.main", __name__])


def failure_of(call: Callable[[], object]) -> BuilderFailure:
    """The failure that the call raises."""
    with pytest.raises(BuilderFailure) as caught:
        call()
    return caught.value


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.03)


def get(port: int, path: str, host: str = "127.0.0.1", method: str = "GET") -> tuple[int, dict[str, Any]]:
    """Status and JSON; 0 when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    except OSError:
        return 0, {}
    finally:
        connection.close()


def _main(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    """What `python -m trtllm_builder launch` does, in a process that has imported it already."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it is the process' own
    sys.exit(main(arguments))


class Running(Protocol):
    """A process that Process watches."""

    @property
    def pid(self) -> int | None: ...

    @property
    def exitcode(self) -> int | None: ...

    def is_alive(self) -> bool: ...

    def join(self, timeout: float | None = None) -> None: ...


@dataclass
class Process:
    """A launcher, its log as it comes, and its termination log."""

    popen: Running
    host: str
    port: int
    termination: Path
    output: Path

    @property
    def log(self) -> list[str]:
        """Whole lines."""
        text = self.output.read_text() if self.output.exists() else ""
        return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @property
    def pid(self) -> int:
        assert self.popen.pid is not None
        return self.popen.pid

    def health(self, what: str = "ready") -> tuple[int, dict[str, Any]]:
        return get(self.port, f"/health/{what}", self.host)

    def ready(self) -> None:
        wait_until(lambda: self.health()[0] == 200 or not self.lives)
        assert self.lives, "".join(self.log)

    @property
    def lives(self) -> bool:
        return self.popen.is_alive()

    def signal(self, number: signal.Signals) -> None:
        if self.lives:
            os.kill(self.pid, number)

    def stop(self) -> None:
        self.signal(signal.SIGTERM)

    def end(self) -> int:
        self.popen.join(120)
        assert self.popen.exitcode is not None, self.log
        return self.popen.exitcode

    def said(self) -> dict[str, str]:
        return json.loads(self.termination.read_text())

    def progress(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log if line.startswith("{")]
        return [line["progress"] for line in lines if "progress" in line]


class Pod:
    """One pod's files and environment; `launch` starts its launcher."""

    def __init__(self, root: Path, python: Path | str = sys.executable) -> None:
        self.root, self.python = root, python
        self.scratch = Path(tempfile.mkdtemp(prefix="launch"))
        self.model, self.behaviour = root / "model", root / "behaviour.json"
        self.serve_port = free_port()
        self.started: list[Process] = []
        self.request: dict[str, Any] = {
            "runtime": "TensorRT",
            "modelPath": str(self.model),
            "modelManifest": str(self.model / "manifest.json"),
            "tokenizerPath": str(root / "tokenizer"),
            "arguments": ["--tp_size", "1"],
            "optionsFlag": "--config",
            "options": {"kv_cache_config": {"free_gpu_memory_fraction": 0.8}},
            "servedModelName": NAME,
            "world": 1,
            "gpusPerNode": 1,
            "gpu": {"product": "NVIDIA-L4", "computeCapability": "8.9", "count": 1},
            "version": VERSION,
            "drainSeconds": 60,
        }
        self._image()
        self.artifact({"config.json": json.dumps(CONFIG), "rank0.engine": "engine"})
        self.behave(answer=ANSWER)

    def behave(self, **says: object) -> None:
        """What the fake trtllm-serve does from now on."""
        unfinished = self.behaviour.with_suffix(".new")
        unfinished.write_text(json.dumps(says))
        unfinished.rename(self.behaviour)

    def calls(self, kind: str) -> list[Any]:
        """What the fake trtllm-serve has seen."""
        path = Path(f"{self.behaviour}.calls")
        # what comes after the last end of a line is being written
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [value for name, value in map(json.loads, lines) if name == kind]

    def artifact(self, files: dict[str, str], probe: dict[str, Any] | None = PROBE) -> None:
        """Publish these as the model, with the answer that was recorded."""
        self.model.mkdir(exist_ok=True)
        for name, content in files.items():
            (self.model / name).write_text(content)
        write_manifest(self.model, "Engine", **({"probe": probe} if probe else {}))

    def launch(
        self, *, host: str = "127.0.0.1", environment: dict[str, str] | None = None, **settings: float
    ) -> Process:
        """Start the launcher."""
        number = len(self.started)
        request, termination = self.root / f"request{number}.json", self.root / f"termination{number}"
        request.write_text(json.dumps(self.request))
        port = int(settings.pop("control_port", 0)) or free_port()
        words = {**FAST, **{name.replace("_", "-"): value for name, value in settings.items()}}
        options = [text for name, value in words.items() for text in (f"--{name}", str(value))]
        scratch = self.scratch / str(number)
        scratch.mkdir()
        arguments = [
            *("--request", str(request), "--host", host, "--serve-port", str(self.serve_port)),
            *("--control-port", str(port), "--scratch", str(scratch), *options),
        ]
        surroundings = {
            **os.environ,
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(self.root / "python"), *sys.path]),
            "HOME": "/nowhere",
            "FAKE_SERVE": str(self.behaviour),
            "TERMINATION_LOG": str(termination),
            **(environment or {}),
        }
        log = self.root / f"log{number}"
        popen = _SERVER.Process(target=_main, args=(arguments, surroundings, log))
        popen.start()
        process = Process(popen, host, port, termination, log)
        self.started.append(process)
        return process

    def program(self, name: str, text: str) -> None:
        """Put a program into the image."""
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def _image(self) -> None:
        for directory in ("bin", "python/tensorrt_llm", "tokenizer"):
            (self.root / directory).mkdir(parents=True)
        package = self.root / "python" / "tensorrt_llm" / "__init__.py"
        package.write_text(f"print('[TensorRT-LLM] banner')\n__version__ = '{VERSION}'\n")
        self.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA L4, 8.9, 23034 MiB'\n")
        fake = Path(__file__).with_name("fake_trtllm_serve.py").read_text()
        self.program("trtllm-serve", f"#!{self.python}\n{fake}")
        self.program("trtllm-llmapi-launch", _LLMAPI_LAUNCH.format(ended=self.root / "ended"))


def processes_with(variable: str) -> Iterator[tuple[int, list[bytes]]]:
    """Numbers and words of the living processes in whose environment something begins so."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(item.startswith(variable.encode()) for item in (entry / "environ").read_bytes().split(b"\0")):
                yield int(entry.name), words


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    for process in made.started:
        process.stop()
    for process in made.started:
        process.popen.join(5)
        process.signal(signal.SIGKILL)
        process.popen.join()
    # in a pod they would end with it: the ranks of a daemon that a test has killed
    for left, _ in processes_with(f"TERMINATION_LOG={tmp_path}"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    shutil.rmtree(made.scratch)
