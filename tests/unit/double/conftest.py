"""The double's programs on PATH, four simulated GPUs, and a tiny model that eight ranks could share."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import tiny_model
from support.ports import free_port
from support.preloaded import Preloaded
from trtllm_builder.launch.processes import descendants, running

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Torch's threads, and those of programs that tests start, wait for each other without spinning."""

_ROOT = Path(__file__).resolve().parents[3]
DOUBLE = _ROOT / "hack" / "tensorrt_llm_double"
EXAMPLES = DOUBLE / "examples"
if str(DOUBLE) not in sys.path:
    sys.path.append(str(DOUBLE))

from tensorrt_llm.commands import build, serve  # noqa: E402 - it is the double

H100 = {"product": "NVIDIA H100 80GB HBM3", "compute_cap": "9.0", "memory_mib": 81559, "driver": "580.95.05"}
L4 = {"product": "NVIDIA L4", "compute_cap": "8.9", "memory_mib": 23034, "driver": "580.95.05"}
A100 = {"product": "NVIDIA A100-SXM4-80GB", "compute_cap": "8.0", "memory_mib": 81920, "driver": "580.95.05"}
WITHIN = ("--max_batch_size", "4", "--max_num_tokens", "256")
"""Limits of the engine: the flags' defaults are above them."""


@dataclass(frozen=True)
class Machine:
    """A container of NVIDIA's image, as far as programs can tell."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    python: Path
    """Has imported torch."""

    def gpus(self, kind: dict[str, Any], count: int) -> None:
        """Have these GPUs, all of them visible."""
        uuids = [f"GPU-{number}" for number in range(count)]
        (self.root / "gpus.json").write_text(json.dumps({**kind, "uuids": uuids}))
        self.set(NVIDIA_VISIBLE_DEVICES="all")

    def set(self, **variables: str) -> None:
        """Variables of the environment."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        words = [str(word) for word in command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=self.root)

    def convert(self, model: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """convert_checkpoint.py for Llama."""
        script = EXAMPLES / "models" / "core" / "llama" / "convert_checkpoint.py"
        return self.run(self.python, script, "--model_dir", model, "--output_dir", output, *arguments)

    @contextlib.contextmanager
    def serving(self, model: Path, *arguments: str | Path, before: tuple[str, ...] = ()) -> Iterator[Server]:
        """trtllm-serve, once it answers."""
        port = free_port()
        log = self.root / f"serve-{port}.log"
        command = [
            *before,
            "trtllm-serve",
            str(model),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *map(str, arguments),
        ]
        # ranks are mpirun's own children
        path = os.environ["PATH"].replace(f"{self.python.parent}{os.pathsep}", "") if before else os.environ["PATH"]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path}
            )
        server = Server(f"http://127.0.0.1:{port}", process)
        try:
            deadline = time.monotonic() + 120
            while not server.healthy():
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            process.wait(20)


@dataclass(frozen=True)
class Server:
    """A trtllm-serve that runs."""

    url: str
    process: subprocess.Popen[bytes]

    def descendants(self, program: str) -> list[int]:
        """Processes below this one that execute the program."""
        return running(program, descendants(self.process.pid))

    def healthy(self) -> bool:
        """Whether /health says so."""
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        return self._ask(urllib.request.Request(f"{self.url}{path}"))  # noqa: S310 - of this machine

    def post(self, path: str, **body: Any) -> tuple[int, str]:
        """Status and body."""
        data = json.dumps({"model": "any", **body}).encode()
        return self._ask(urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}))  # noqa: S310

    def complete(self, prompt: Any, tokens: int) -> str:
        """The text of a greedy answer."""
        status, body = self.post("/v1/completions", prompt=prompt, max_tokens=tokens, temperature=0)
        assert status == 200, body
        return str(json.loads(body)["choices"][0]["text"])

    def _ask(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - of this machine
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def make_engine(machine: Machine, checkpoint: Path, *arguments: str) -> Path:
    output = machine.root / "engine"
    run_build(machine, checkpoint, output, *arguments)
    return output


def run_build(machine: Machine, checkpoint: Path, output: Path, *arguments: str) -> None:
    """trtllm-build in this process."""
    cache = str(machine.root / "model.cache")
    words = ["trtllm-build", "--checkpoint_dir", str(checkpoint), "--output_dir", str(output)]
    machine.monkeypatch.setattr(sys, "argv", [*words, "--output_timing_cache", cache, *arguments])
    build.main()


def run_serve(machine: Machine, model: Path, *arguments: str | Path) -> None:
    """trtllm-serve in this process, as far as it comes."""
    words = ["trtllm-serve", str(model), "--port", str(free_port()), *map(str, arguments)]
    machine.monkeypatch.setattr(sys, "argv", words)
    serve.main()


def refused_load(machine: Machine, engine: Path, *arguments: str | Path) -> str:
    """Output of a trtllm-serve that does not start; a program, because its ranks are processes of their own."""
    ended = machine.run("trtllm-serve", engine, "--port", str(free_port()), *arguments)
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python that has imported torch and what the double needs beside it."""
    preloaded = Preloaded(
        tmp_path_factory.mktemp("python"),
        "transformers.models.llama.modeling_llama",
        "trtllm_builder.checkpoint",
        "trtllm_builder.serve.generation",
    )
    yield preloaded.python
    preloaded.close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: Path) -> Machine:
    """Programs of the double find `python` first."""
    programs = (str(DOUBLE / "bin"), str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"])
    machine = Machine(tmp_path, monkeypatch, python)
    machine.set(
        PATH=os.pathsep.join(programs),
        PYTHONPATH=os.pathsep.join(sys.path),
        TRTLLM_DOUBLE_GPUS=str(tmp_path / "gpus.json"),
        TRTLLM_DOUBLE_VERSION="1.2.1",
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_rmaps_base_oversubscribe="1",
    )
    machine.gpus(H100, 4)
    return machine


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight heads, two for keys and values, four layers, each of which decides what it answers."""
    directory = tmp_path_factory.mktemp("tiny") / "model"
    directory.mkdir()
    tiny_model.make(directory, knowledge=False, heads=8, key_value_heads=2, layers=4)
    return directory


@pytest.fixture(scope="session")
def greedy(model: Path) -> Callable[..., tuple[list[int], str]]:
    """What transformers answers with the source: prompt tokens, and the text of its greedy answer."""
    from threading import Event

    from double_http import Loaded
    from trtllm_builder.checkpoint import load_model, load_tokenizer
    from trtllm_builder.serve.generation import Engine, Job

    engine = Engine(Loaded(load_model(model, "cpu"), load_tokenizer(model)))

    def answer(prompt: str, tokens: int, *, special: bool = True) -> tuple[list[int], str]:
        ids = engine.encode(prompt, special=special)
        texts: list[str] = []
        engine.run(Job(tuple(ids), tokens, temperature=0), lambda piece: texts.append(piece.text), Event())
        return ids, "".join(texts)

    return answer
