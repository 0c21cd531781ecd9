"""run.py with the stages of an engine: one result each, and nothing imported that NVIDIA's image lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trtllm_api.contract import BuildRequest, BuildResult, ExitCode, Stage
from trtllm_api.reasons import Reason
from trtllm_builder.__main__ import main
from trtllm_builder.engine import convert as convert_module

from .conftest import REQUEST, Claim

_FORBIDDEN = (
    *("torch", "transformers", "yaml", "uvicorn", "starlette", "huggingface_hub", "fsspec", "modelopt"),
    *("safetensors", "numpy", "tokenizers"),
)


def _arguments(claim: Claim, request: BuildRequest) -> list[str]:
    (claim.root / "request.json").write_text(json.dumps(request.to_wire()))
    return [
        "run",
        *("--request", str(claim.root / "request.json"), "--store", str(claim.store.root)),
        *("--source", str(claim.root), "--termination-log", str(claim.root / "termination")),
    ]


def _run(claim: Claim, request: BuildRequest) -> BuildResult:
    code = main(_arguments(claim, request))
    result = BuildResult.model_validate_json((claim.root / "termination").read_bytes())
    assert (result.exit_code, result.stage) == (code, request.stage)
    return result


def _request(claim: Claim, stage: Stage) -> BuildRequest:
    request = BuildRequest(stage=stage, namespace="ml", name="llama", request_digest=REQUEST)
    return request.model_copy(
        update={
            Stage.CONVERT: {
                "convert": claim.convert_request(pipeline=2, arguments=("--tp_size", "2", "--pp_size", "2"))
            },
            Stage.BUILD: {"ranks": claim.ranks_request()},
            Stage.PUBLISH: {"publish": claim.publish_request()},
        }[stage]
    )


def test_the_jobs_of_an_engine_hand_on_to_each_other(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_module, "EXAMPLES", claim.examples)
    assert _run(claim, _request(claim, Stage.CONVERT)).exit_code == ExitCode.OK
    for pod in ("0", "1"):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", pod)
        assert _run(claim, _request(claim, Stage.BUILD)).exit_code == ExitCode.OK
    result = _run(claim, _request(claim, Stage.PUBLISH))
    assert result.engine is not None
    assert (claim.store.root / result.engine.path / "rank3.engine").exists()


def test_a_failure_of_a_stage_is_its_result(claim: Claim) -> None:
    claim.fake(version="1.3.0")
    result = _run(claim, _request(claim, Stage.BUILD))
    assert (result.exit_code, result.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert result.message == "The image has TensorRT-LLM 1.3.0, but 1.2.1 was requested."


@pytest.mark.parametrize("stage", [Stage.CONVERT, Stage.BUILD, Stage.PUBLISH])
def test_the_stages_import_nothing_that_nvidias_image_may_lack(claim: Claim, stage: Stage) -> None:
    arguments = _arguments(claim, _request(claim, stage))
    program = f"""
import sys

class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {_FORBIDDEN!r}:
            raise ModuleNotFoundError(f"the image lacks {{name}}")

sys.meta_path.insert(0, Lacks())
from trtllm_builder.__main__ import main
code = main({arguments!r})
assert code != {int(ExitCode.TRANSIENT)}, code
assert not set({_FORBIDDEN!r}) & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "lacks" not in Path(claim.root / "termination").read_text()
