"""convert.py with a fake of convert_checkpoint.py: a whole checkpoint, or a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trtllm_api.contract import ExitCode, ExpectedGpu
from trtllm_api.reasons import Reason
from trtllm_builder.engine.checkpoint import Mapping, check_checkpoint
from trtllm_builder.failure import BuilderFailure

from .conftest import Claim, failure_of, write_ranks


def _refused(claim: Claim) -> BuilderFailure:
    failure = failure_of(claim.convert)
    assert not (claim.work / "checkpoint").exists()
    assert "Traceback" not in failure.message
    assert failure.remedy
    return failure


def test_a_checkpoint_is_converted_under_another_name_and_then_renamed(claim: Claim) -> None:
    claim.convert()
    assert check_checkpoint(claim.work / "checkpoint") == Mapping(2, 1, 1)
    assert sorted(path.name for path in claim.work.iterdir()) == ["checkpoint"]
    (call,) = claim.calls()
    assert call["convert"] == [
        *("--model_dir", str(claim.root / "model"), "--output_dir", str(claim.work / "checkpoint.partial")),
        *("--tp_size", "2", "--dtype", "float16"),
    ]
    assert list(dict.fromkeys(line.stage for line in claim.progress())) == ["Verifying", "Converting"]
    assert (claim.progress()[-1].done, claim.progress()[-1].total) == (2, 2)


@pytest.mark.parametrize(
    ("family", "paths"), [("llama", ("--model_dir", "--output_dir")), ("gemma", ("--model-dir", "--output-model-dir"))]
)
def test_paths_are_named_as_every_version_of_the_familys_script_takes_them(
    claim: Claim, family: str, paths: tuple[str, str]
) -> None:
    scripts = claim.examples / "models" / "core"
    (scripts / "llama").rename(scripts / family)
    claim.convert(script=family)
    given = claim.calls()[0]["convert"]
    assert (given[0], given[2]) == paths


def test_a_whole_checkpoint_is_not_converted_again(claim: Claim) -> None:
    claim.convert()
    claim.convert()
    assert len(claim.calls()) == 1


def test_what_a_killed_pod_left_is_thrown_away(claim: Claim) -> None:
    (claim.work / "checkpoint.partial").mkdir()
    (claim.work / "checkpoint.partial" / "rank9.safetensors").write_text("half")
    write_ranks(claim.work / "checkpoint", 4)
    claim.convert()
    assert not (claim.work / "checkpoint" / "rank9.safetensors").exists()
    assert check_checkpoint(claim.work / "checkpoint") == Mapping(2, 1, 1)


@pytest.mark.parametrize("place", [".", "models/contrib", "models/core"])
def test_the_script_is_found_wherever_the_version_keeps_it(claim: Claim, place: str) -> None:
    script = claim.examples / "models" / "core" / "llama" / "convert_checkpoint.py"
    target = claim.examples / place / "qwen" / script.name
    target.parent.mkdir(parents=True)
    script.rename(target)
    claim.convert(script="qwen")
    assert (claim.work / "checkpoint").is_dir()


def test_an_image_without_scripts_names_its_version_and_what_has_them(claim: Claim) -> None:
    (claim.examples / "models").rename(claim.root / "elsewhere")
    failure = _refused(claim)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert failure.message == (
        "The image's TensorRT-LLM 1.2.1 has no convert_checkpoint.py; TensorRT-LLM 1.2.x and earlier have it."
    )


def test_a_family_that_the_image_lacks_is_answered_with_those_it_has(claim: Claim) -> None:
    failure = failure_of(lambda: claim.convert(script="gemma"))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert "no convert_checkpoint.py for gemma. It has llama" in failure.message


@pytest.mark.parametrize("name", ["../llama", "/etc", "", ".."])
def test_a_family_is_a_name_and_no_path(claim: Claim, name: str) -> None:
    assert failure_of(lambda: claim.convert(script=name)).exit_code == ExitCode.BAD_REQUEST


def test_another_gpu_is_found_before_the_script_runs(claim: Claim) -> None:
    failure = failure_of(lambda: claim.convert(gpu=ExpectedGpu(product="NVIDIA-L4")))
    assert failure.reason is Reason.GPU_MISMATCH
    assert claim.calls() == []


def test_a_model_that_changed_since_it_was_fetched_is_named(claim: Claim) -> None:
    request = claim.convert_request()
    manifest = Path(request.model_manifest)
    file = {"path": "model.safetensors", "bytes": 1, "sha256": "0" * 64}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": [file]}))
    failure = failure_of(claim.convert)
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "model.safetensors" in failure.message


@pytest.mark.parametrize(
    ("fakes", "says"),
    [
        ({"convert_ranks": "0"}, "2 of 2 rank files are missing, the first one is rank0.safetensors"),
        ({"convert_ranks": "1"}, "1 of 2 rank files are missing, the first one is rank1.safetensors"),
        ({"convert_no_config": "1"}, "there is no config.json"),
        ({"convert_truncates": "1"}, "rank0.safetensors is truncated"),
    ],
)
def test_exit_code_0_without_a_whole_checkpoint_is_a_failure(claim: Claim, fakes: dict[str, str], says: str) -> None:
    claim.fake(**fakes)
    failure = _refused(claim)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.CONVERSION_FAILED)
    assert failure.message.startswith(
        "convert_checkpoint.py ended with exit code 0, but its checkpoint is incomplete: "
    )
    assert says in failure.message


def test_a_checkpoint_of_another_mapping_is_refused(claim: Claim) -> None:
    failure = failure_of(lambda: claim.convert(pipeline=2))
    assert failure.reason is Reason.CONVERSION_FAILED
    assert "tensor 2, pipeline 1, context 1, but tensor 2, pipeline 2, context 1 was requested" in failure.message


def test_ranks_of_context_parallelism_share_their_files(claim: Claim) -> None:
    claim.convert(arguments=("--tp_size", "2", "--cp_size", "2"), context=2)
    assert check_checkpoint(claim.work / "checkpoint").world == 4
    assert not (claim.work / "checkpoint" / "rank2.safetensors").exists()


@pytest.mark.parametrize(
    ("says", "code", "reason"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory.", ExitCode.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        ("OSError: [Errno 28] No space left on device", ExitCode.INPUT_MISSING, Reason.STORAGE_FULL),
        (
            "ValueError: The checkpoint has model type `new` but Transformers does not recognize this architecture.",
            ExitCode.NOT_SUPPORTED,
            Reason.ARCHITECTURE_NOT_SUPPORTED,
        ),
        (
            "AssertionError: Unsupported AWQ quantized checkpoint format",
            ExitCode.BAD_MODEL,
            Reason.CHECKPOINT_NOT_SUPPORTED,
        ),
        (
            "convert_checkpoint.py: error: unrecognized arguments: --use_gemm_plugin",
            ExitCode.NOT_SUPPORTED,
            Reason.INVALID_OPTIONS,
        ),
        ("nothing in particular", ExitCode.NOT_SUPPORTED, Reason.CONVERSION_FAILED),
    ],
)
def test_a_failure_is_told_with_its_cause_and_is_tried_again_only_when_that_may_help(
    claim: Claim, says: str, code: ExitCode, reason: Reason
) -> None:
    claim.fake(convert_says=says, convert_exit="1")
    failure = _refused(claim)
    assert (failure.exit_code, failure.reason) == (code, reason)
    assert failure.message.startswith("convert_checkpoint.py failed (exit code 1): ")


def test_a_converter_that_the_kernel_killed_ran_out_of_memory(claim: Claim) -> None:
    claim.fake(convert_exit="137")
    failure = _refused(claim)
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.HOST_OUT_OF_MEMORY)
