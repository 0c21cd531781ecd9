"""run.py: whatever happens, one termination message of at most 4096 bytes and an exit code that tells its kind."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trtllm_api.contract import BuildRequest, BuildResult, ExitCode, FetchRequest, QuantizeResult, Stage
from trtllm_api.modelstatus import CandidateStatus, Verdict
from trtllm_api.quantization import Method
from trtllm_api.reasons import Reason
from trtllm_api.source import HuggingFaceSource, Source, VolumeSource
from trtllm_builder import fetch
from trtllm_builder.__main__ import main
from trtllm_builder.failure import BuilderFailure, bad_model

from .conftest import write_checkpoint

_DIGEST = "sha256:" + "ef" * 32


@dataclass(frozen=True)
class _Pod:
    """The paths of a builder's container."""

    root: Path

    def ask(self, source: Source) -> None:
        """Write a request to fetch the source."""
        request = BuildRequest(
            stage=Stage.FETCH, namespace="ml", name="small", request_digest=_DIGEST, fetch=FetchRequest(source=source)
        )
        (self.root / "request.json").write_text(json.dumps(request.to_wire()))

    @property
    def arguments(self) -> list[str]:
        """What the Job's container is started with."""
        return [
            "run",
            *("--request", str(self.root / "request.json")),
            *("--store", str(self.root / "store")),
            *("--source", str(self.root / "source")),
            *("--termination-log", str(self.root / "termination")),
        ]

    def run(self) -> BuildResult:
        """Run to the end; the exit code is the result's and the message fits."""
        code = main(self.arguments)
        result = self.result()
        assert result.exit_code == code
        return result

    def result(self) -> BuildResult:
        """The termination message."""
        encoded = (self.root / "termination").read_bytes()
        assert 0 < len(encoded) <= 4096
        return BuildResult.model_validate_json(encoded)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[_Pod]:
    pod = _Pod(tmp_path)
    (tmp_path / "store").mkdir()
    write_checkpoint(tmp_path / "source" / "small")
    pod.ask(Source(persistent_volume_claim=VolumeSource(claim_name="models", path="small")))
    before = signal.getsignal(signal.SIGTERM)
    yield pod
    assert signal.getsignal(signal.SIGTERM) is before


def _fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fails(*args: object, **kwargs: object) -> object:
        raise error

    monkeypatch.setattr(fetch, "run_fetch", fails)


def test_a_fetch_ends_with_its_result(pod: _Pod, capsys: pytest.CaptureFixture[str]) -> None:
    result = pod.run()
    assert (result.stage, result.exit_code, result.reason) == (Stage.FETCH, ExitCode.OK, None)
    assert result.fetch is not None
    assert result.fetch.facts.architecture == "LlamaForCausalLM"
    assert (pod.root / "store" / result.fetch.manifest_path).exists()
    assert all(isinstance(json.loads(line), dict) for line in capsys.readouterr().out.splitlines())


def test_a_failure_is_told_with_cause_and_remedy_in_the_message_and_in_the_log(
    pod: _Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    (pod.root / "source" / "small" / "tokenizer.json").unlink()
    result = pod.run()
    assert (result.exit_code, result.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_INCOMPLETE)
    assert "The model has no tokenizer" in result.message
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"message": f"{result.message} {result.remedy}"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff", "Invalid JSON"),
        (b"{}", "stage: Field required"),
        (b'{"stage": "Fetch", "namespace": "a", "name": "b", "requestDigest": "md5:1"}', "requestDigest"),
        (b'{"stage": "Dream", "namespace": "a", "name": "b"}', "stage"),
    ],
)
def test_a_request_that_cannot_be_read_is_a_bad_request_and_not_tried_again(
    pod: _Pod, content: bytes, says: str
) -> None:
    (pod.root / "request.json").write_bytes(content)
    result = pod.run()
    assert (result.exit_code, result.reason) == (ExitCode.BAD_REQUEST, Reason.BAD_REQUEST)
    assert says in result.message
    assert "different versions" in result.remedy


def test_a_request_that_is_not_there_is_a_bad_request(pod: _Pod) -> None:
    (pod.root / "request.json").unlink()
    result = pod.run()
    assert (result.exit_code, result.reason) == (ExitCode.BAD_REQUEST, Reason.BAD_REQUEST)
    assert "FileNotFoundError" in result.message


def test_a_request_without_the_part_of_its_stage_is_a_bad_request(pod: _Pod) -> None:
    request = BuildRequest(stage=Stage.QUANTIZE, namespace="ml", name="small", request_digest=_DIGEST)
    (pod.root / "request.json").write_text(json.dumps(request.to_wire()))
    result = pod.run()
    assert (result.stage, result.exit_code) == (Stage.QUANTIZE, ExitCode.BAD_REQUEST)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (RuntimeError("CUDA out of memory. Tried 2 GiB"), ExitCode.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        (MemoryError(), ExitCode.TRANSIENT, Reason.HOST_OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, "No space left"), ExitCode.INPUT_MISSING, Reason.STORAGE_FULL),
        (OSError(errno.EDQUOT, "Quota"), ExitCode.INPUT_MISSING, Reason.STORAGE_FULL),
        (KeyError("layers"), ExitCode.TRANSIENT, Reason.INTERNAL_ERROR),
        (ValueError(""), ExitCode.TRANSIENT, Reason.INTERNAL_ERROR),
        (ValueError("ü" * 100_000), ExitCode.TRANSIENT, Reason.INTERNAL_ERROR),
    ],
)
def test_every_error_has_a_reason(
    pod: _Pod,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: ExitCode,
    reason: Reason,
) -> None:
    _fail_with(monkeypatch, error)
    result = pod.run()
    assert (result.exit_code, result.reason) == (code, reason)
    assert result.message
    assert result.remedy


def test_what_the_builder_itself_finds_invalid_is_no_bad_request(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="facts") as caught:
        BuildResult.model_validate({"stage": "Fetch", "exitCode": 0, "fetch": {}})
    _fail_with(monkeypatch, caught.value)
    assert pod.run().reason is Reason.INTERNAL_ERROR


def test_a_failure_with_texts_of_any_length_fits(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(monkeypatch, bad_model(Reason.SOURCE_CORRUPT, "cause " * 5000, "mend " * 5000))
    result = pod.run()
    assert (result.exit_code, result.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_CORRUPT)
    assert result.message.startswith("cause cause")
    assert result.remedy.startswith("mend mend")


def _refusal(candidates: int, excluded: int = 0) -> BuilderFailure:
    one = CandidateStatus(
        method=Method.FP8,
        exclude_modules=tuple(f"model.layers.{layer}.mlp.down_proj" for layer in range(excluded)),
        verdict=Verdict.REFUSED,
        reason="PerplexityTooHigh",
        message="m" * 300,
    )
    return BuilderFailure(
        ExitCode.QUALITY_REFUSED,
        Reason.QUALITY_REFUSED,
        "Every candidate was refused.",
        "Raise the limits.",
        quantize=QuantizeResult(candidates=(one,) * candidates),
    )


def test_evidence_is_carried_by_a_refusal(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(monkeypatch, _refusal(3))
    result = pod.run()
    assert result.quantize is not None
    assert len(result.quantize.candidates) == 3


def test_evidence_that_cannot_fit_never_costs_the_verdict(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(monkeypatch, _refusal(10, excluded=64))
    result = pod.run()
    assert (result.exit_code, result.reason) == (ExitCode.QUALITY_REFUSED, Reason.QUALITY_REFUSED)
    assert result.quantize is None


def test_a_stopped_pod_says_so_and_is_tried_again(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        raise RuntimeError("the signal did not come")

    monkeypatch.setattr(fetch, "run_fetch", stopped)
    result = pod.run()
    assert (result.stage, result.exit_code) == (Stage.FETCH, ExitCode.TRANSIENT)
    assert result.message == "The pod was stopped (SIGTERM)."


def test_a_second_signal_does_not_cost_the_result(pod: _Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def interrupted(path: Path, data: Any) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    assert pod.run().exit_code == ExitCode.OK


class _Silent(BaseHTTPRequestHandler):
    """A hub that takes a request and never answers it."""

    begun = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        self.begun.set()
        self.over.wait(30)


def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_a_process_that_waits_for_the_hub_ends_at_once_when_it_is_told_to(pod: _Pod) -> None:
    pod.ask(Source(hugging_face=HuggingFaceSource(repo="acme/small")))
    _Silent.begun.clear()
    _Silent.over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "TRTLLM_SOURCE_NETWORKS": "127.0.0.0/8",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    try:
        with subprocess.Popen([sys.executable, "-m", "trtllm_builder", *pod.arguments], env=environment) as process:
            began = _eventually(lambda: _Silent.begun.is_set() or process.poll() is not None, 60)
            process.terminate()
            code = process.wait(timeout=20)
    finally:
        _Silent.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
    assert began
    assert code == ExitCode.TRANSIENT
    assert pod.result().message == "The pod was stopped (SIGTERM)."


def test_a_pod_that_is_deleted_while_it_imports_ends_at_once(tmp_path: Path) -> None:
    """A container's first process would ignore SIGTERM, and keep its GPUs for the whole grace period."""
    slow = tmp_path / "trtllm_api"
    slow.mkdir()
    (slow / "__init__.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    for stage in ("run", "launch", "serve"):
        with subprocess.Popen(
            [sys.executable, "-m", "trtllm_builder", stage],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"importing\n"
            process.terminate()
            assert process.wait(10) == 128 + signal.SIGTERM
