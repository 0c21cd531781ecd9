"""identity.py with fakes of nvidia-smi and of the tensorrt_llm package: what a pod sees, and what it was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from trtllm_api.contract import ExitCode, ExpectedGpu
from trtllm_api.reasons import Reason
from trtllm_builder.engine.identity import Identity, check_version, look, numbers, require_program, same_version

from .conftest import H100, L4, PRODUCT, Claim, failure_of

_ANY = ExpectedGpu()


def test_a_pod_says_product_capability_count_and_version(claim: Claim) -> None:
    assert look(_ANY, None, claim.root) == Identity(PRODUCT, "9.0", 2, "1.2.1")


def test_a_pod_that_has_what_was_asked_for_may_work(claim: Claim) -> None:
    expected = ExpectedGpu(product=PRODUCT, compute_capability="9.0", count=2)
    assert look(expected, "1.2.1", claim.root).gpus == 2


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (ExpectedGpu(product="NVIDIA-L4"), f"has {PRODUCT} (compute capability 9.0), but NVIDIA-L4 was requested"),
        (ExpectedGpu(product="NVIDIA H100 80GB HBM3"), "but NVIDIA H100 80GB HBM3 was requested"),
        (ExpectedGpu(compute_capability="10.0"), "has compute capability 9.0, but 10.0 was requested"),
        (ExpectedGpu(count=8), "has 2 GPUs and needs 8"),
    ],
)
def test_another_gpu_or_too_few_are_named_with_both(claim: Claim, expected: ExpectedGpu, says: str) -> None:
    failure = failure_of(lambda: look(expected, None, claim.root))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.GPU_MISMATCH)
    assert says in failure.message
    assert failure.remedy


def test_capabilities_are_compared_as_numbers(claim: Claim) -> None:
    claim.fake(gpus="NVIDIA B200, 10.0, 183359 MiB\n")
    assert look(ExpectedGpu(compute_capability="10.00"), None, claim.root).compute_capability == "10.0"
    assert numbers("10.0") > numbers("9.0")
    assert numbers("[N/A]") == ()


def test_gpus_of_two_kinds_in_one_pod_are_refused(claim: Claim) -> None:
    claim.fake(gpus=f"{H100}\n{L4}\n")
    failure = failure_of(lambda: look(_ANY, None, claim.root))
    assert failure.reason is Reason.GPU_MISMATCH
    assert PRODUCT in failure.message
    assert "NVIDIA-L4 (compute capability 8.9)" in failure.message


@pytest.mark.parametrize("said", ["", "No devices were found\n", "a, b, c\n"])
def test_a_pod_without_gpus_is_told_where_they_come_from(claim: Claim, said: str) -> None:
    claim.fake(gpus=said, smi_exit="0" if "," in said else "6")
    failure = failure_of(lambda: look(_ANY, None, claim.root))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.GPU_MISMATCH)
    assert "has no GPU" in failure.message
    assert "runtimeClassName" in failure.remedy


def test_a_container_without_nvidia_smi_sees_no_gpu(claim: Claim) -> None:
    (claim.root / "bin" / "nvidia-smi").unlink()
    claim.monkeypatch.setenv("PATH", str(claim.root / "bin"))
    failure = failure_of(lambda: look(_ANY, None, claim.root))
    assert failure.message == "The pod has no GPU: nvidia-smi is not in the container."


@pytest.mark.parametrize(
    ("has", "asked", "same"),
    [
        ("1.2.1", "1.2.1", True),
        ("1.2.1.post1", "1.2.1", True),
        ("1.2.1+cu13", "1.2.1", True),
        ("1.2.0", "1.2.1", False),
        ("1.2.10", "1.2.1", False),
        ("0.20.0", "0.20", True),
    ],
)
def test_versions_agree_by_major_minor_and_patch(claim: Claim, has: str, asked: str, same: bool) -> None:
    assert same_version(has, asked) is same
    claim.fake(version=has)
    if same:
        assert check_version(asked, claim.root) == has
        return
    failure = failure_of(lambda: check_version(asked, claim.root))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert failure.message == f"The image has TensorRT-LLM {has}, but {asked} was requested."


def test_an_image_without_tensorrt_llm_is_the_wrong_one(
    claim: Claim, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "packages" / "tensorrt_llm").rename(tmp_path / "packages" / "other")
    failure = failure_of(lambda: check_version("1.2.1", claim.root))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert "Traceback" not in failure.message
    assert "tensorrt_llm" in failure.message
    assert "ModuleNotFoundError" in capfd.readouterr().out


def test_an_image_that_cannot_load_its_library_says_so(claim: Claim) -> None:
    claim.fake(import_error="libcuda.so.1: cannot open shared object file: No such file or directory")
    failure = failure_of(lambda: check_version(None, claim.root))
    assert failure.exit_code == ExitCode.NOT_SUPPORTED
    assert failure.remedy


def test_a_missing_program_names_the_images_version_and_what_has_it(claim: Claim) -> None:
    require_program("trtllm-build", "1.2.1")
    (claim.root / "bin" / "trtllm-build").unlink()
    claim.monkeypatch.setenv("PATH", str(claim.root / "bin"))
    failure = failure_of(lambda: require_program("trtllm-build", "1.3.0"))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert failure.message == (
        "The image's TensorRT-LLM 1.3.0 has no trtllm-build; TensorRT-LLM 1.2.x and earlier have it."
    )
    assert "PyTorch" in failure.remedy
