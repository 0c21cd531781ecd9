"""ranks.py and rank_driver.py with a fake tensorrt_llm package: each pod builds its own ranks, once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtllm_api.contract import ExitCode, ExpectedGpu
from trtllm_api.reasons import Reason
from trtllm_builder.engine.pods import PodReport, Stamp, ranks_of
from trtllm_builder.engine.ranks import _index
from trtllm_builder.failure import BuilderFailure

from .conftest import H100, L4, PRODUCT, Claim, failure_of, write_ranks

_STAMP = Stamp(PRODUCT, "9.0", "1.2.1")


@given(world=st.integers(1, 300), pods=st.integers(1, 64))
def test_the_ranks_of_the_pods_partition_the_world(world: int, pods: int) -> None:
    parts = [ranks_of(pod, pods, world) for pod in range(pods)]
    assert [rank for part in parts for rank in part] == list(range(world))
    assert max(map(len, parts)) <= -(-world // pods)


def test_a_pod_builds_its_ranks_and_says_what_it_saw(converted: Claim) -> None:
    converted.ranks(1)
    assert converted.built() == [2, 3]
    names = {path.name for path in converted.engine.iterdir() if not path.name.startswith(".rank-")}
    assert names == {
        *("rank2.engine", "rank3.engine", "rank2_managed_weights.safetensors", "rank3_managed_weights.safetensors"),
        ".pod-1.json",
    }
    report = PodReport.read(converted.engine, 1)
    assert report is not None
    assert (report.stamp, report.ranks) == (_STAMP, (2, 3))
    assert report.files["rank2.engine"] == len("engine") * 3
    assert json.loads((converted.engine / ".pod-1.json").read_text())["computeCapability"] == "9.0"


def test_what_all_ranks_share_comes_from_rank_0(converted: Claim) -> None:
    converted.ranks(0)
    config = json.loads((converted.engine / "config.json").read_text())
    assert config["build_config"]["writer"] == 0
    assert (converted.engine / "lora" / "0" / "adapter_config.json").exists()


def test_every_flag_is_trtllm_builds_own(converted: Claim) -> None:
    converted.ranks(0)
    argv = converted.calls()[0]["argv"]
    assert argv[0] == "trtllm-build"
    assert argv[1:5] == [
        *("--checkpoint_dir", str(converted.work / "checkpoint")),
        *("--output_dir", str(converted.engine)),
    ]
    assert argv[-2:] == ["--max_batch_size", "8"]


def test_an_engine_has_the_gpus_of_a_serving_pod_in_its_mapping_and_the_checkpoint_is_left_alone(
    converted: Claim,
) -> None:
    """TensorRT-LLM 1.2 takes mapping.gpus_per_node of an engine from the checkpoint's config.json."""
    before = (converted.work / "checkpoint" / "config.json").read_bytes()
    converted.ranks(0, node_size=2)
    config = json.loads((converted.engine / "config.json").read_text())
    assert config["pretrained_config"]["mapping"] == {"world_size": 4, "tp_size": 2, "pp_size": 2, "gpus_per_node": 2}
    assert (converted.work / "checkpoint" / "config.json").read_bytes() == before


def test_progress_counts_ranks_and_names_them(converted: Claim) -> None:
    converted.ranks(0)
    lines = converted.progress()
    assert {line.stage for line in lines} == {"Building"}
    assert (lines[-1].done, lines[-1].total, lines[-1].detail) == (2, 2, "rank 1 of 4")


def test_as_many_ranks_are_built_at_once_as_there_are_workers_each_on_its_gpu(converted: Claim) -> None:
    converted.ranks(0, pods=1, workers=2)
    calls = {call["rank"]: call for call in converted.calls()}
    assert sorted(calls) == [0, 1, 2, 3]
    assert [calls[rank]["gpu"] for rank in range(4)] == [0, 1, 0, 1]
    assert len({call["pid"] for call in calls.values()}) <= 2
    assert os.getpid() not in {call["pid"] for call in calls.values()}


def test_one_gpu_builds_all_ranks_one_after_another(converted: Claim) -> None:
    converted.fake(gpus=f"{H100}\n")
    converted.ranks(0, pods=1, workers=4, gpus_per_pod=1, gpu=ExpectedGpu(count=1))
    assert [(call["rank"], call["gpu"]) for call in converted.calls()] == [(rank, 0) for rank in range(4)]


def test_a_pod_that_is_run_again_builds_nothing(converted: Claim) -> None:
    converted.ranks(0)
    converted.ranks(0)
    assert converted.built() == [0, 1]


def test_a_rank_that_is_whole_is_not_built_again_after_a_kill(converted: Claim) -> None:
    converted.fake(die="1", exit="137")
    failure = failure_of(lambda: converted.ranks(0))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.HOST_OUT_OF_MEMORY)
    assert not (converted.engine / ".pod-0.json").exists()
    assert not (converted.engine / "rank1.engine").exists()
    converted.heal("die")
    converted.ranks(0)
    assert converted.built() == [0, 1, 1]
    assert not list(converted.engine.glob("*.partial"))


class _Stopped(BaseException):
    """What run.py raises on SIGTERM."""


def _stop(_signum: int, _frame: object) -> None:
    raise _Stopped


def test_a_pod_told_to_stop_half_way_is_taken_up_by_the_next(converted: Claim) -> None:
    converted.fake(hang="1")
    before = signal.signal(signal.SIGTERM, _stop)

    def stop_when_begun() -> None:
        deadline = time.monotonic() + 60
        while 1 not in converted.built() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=stop_when_begun)
    watcher.start()
    try:
        with pytest.raises(_Stopped):
            converted.ranks(0)
    finally:
        watcher.join()
        signal.signal(signal.SIGTERM, before)
    converted.heal("hang")
    converted.ranks(0)
    assert converted.built() == [0, 1, 1]


@pytest.mark.parametrize("damage", ["truncated", "gone", "another version", "another GPU"])
def test_a_rank_that_is_not_what_its_pod_would_build_is_built_again(converted: Claim, damage: str) -> None:
    converted.ranks(0)
    path = converted.engine / "rank1.engine"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "gone":
        path.unlink()
    elif damage == "another version":
        converted.fake(version="1.2.0")
    else:
        converted.fake(gpus=f"{L4}\n{L4}\n")
    converted.ranks(0, gpu=ExpectedGpu(), version=None)
    assert converted.built() == ([0, 1, 1] if damage in {"truncated", "gone"} else [0, 1, 0, 1])


def test_rank_0s_pod_leaves_its_timings_for_engines_built_later(converted: Claim) -> None:
    cache = converted.store.root / "timing-caches" / f"1.2.1-{PRODUCT}.cache"
    converted.ranks(1)
    assert not cache.exists()
    converted.ranks(0)
    assert cache.read_text() == "timing;"
    shutil.rmtree(converted.engine)
    converted.ranks(0)
    assert cache.read_text() == "timing;timing;"
    assert not list(converted.engine.glob(".timing*"))
    assert not list(converted.engine.glob("*.cache"))


def test_without_a_timing_cache_none_is_read_or_kept(converted: Claim) -> None:
    converted.ranks(0, timing_cache=False)
    assert "--input_timing_cache" not in converted.calls()[0]["argv"]
    assert not (converted.store.root / "timing-caches").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("fakes", "says"),
    [
        ({"no_engine": "1"}, "rank1.engine (rank 1 of 4) is missing"),
        ({"empty": "1"}, "rank1.engine (rank 1 of 4) is empty"),
    ],
)
def test_exit_code_0_without_every_rank_is_a_failure(
    converted: Claim, fakes: dict[str, str], says: str, workers: int
) -> None:
    converted.fake(**fakes)
    failure = failure_of(lambda: converted.ranks(0, workers=workers))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.ENGINE_BUILD_FAILED)
    assert failure.message == f"trtllm-build ended with exit code 0, but {says}."
    assert not (converted.engine / ".pod-0.json").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        ("[TRT] Error Code 2: OutOfMemory", ExitCode.TRANSIENT, Reason.GPU_OUT_OF_MEMORY),
        ("Unsupported model architecture: Foo", ExitCode.NOT_SUPPORTED, Reason.ARCHITECTURE_NOT_SUPPORTED),
        ("never seen before", ExitCode.NOT_SUPPORTED, Reason.ENGINE_BUILD_FAILED),
    ],
)
def test_a_rank_that_fails_is_told_with_its_cause(
    converted: Claim, error: str, code: ExitCode, reason: Reason, workers: int
) -> None:
    converted.fake(error_rank="0", error=error)
    failure = failure_of(lambda: converted.ranks(0, workers=workers))
    assert (failure.exit_code, failure.reason) == (code, reason)
    assert failure.message.startswith("trtllm-build failed (exit code 1): ")
    assert "Traceback" not in failure.message
    # with a worker each, the other rank was built meanwhile, and stays
    assert (converted.engine / "rank1.engine").exists() is (workers == 2)


def test_a_flag_that_the_version_does_not_know_is_named(converted: Claim) -> None:
    failure = failure_of(lambda: converted.ranks(0, arguments=("--use_gemm_plugin", "float16")))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.INVALID_OPTIONS)
    assert "--use_gemm_plugin" in failure.message


def _refused(claim: Claim, **changes: object) -> BuilderFailure:
    failure = failure_of(lambda: claim.ranks(0, **changes))
    assert claim.built() == []
    assert failure.remedy
    return failure


def test_an_image_without_trtllm_build_is_the_wrong_one(converted: Claim) -> None:
    (converted.root / "bin" / "trtllm-build").unlink()
    converted.monkeypatch.setenv("PATH", f"{converted.root / 'bin'}")
    failure = _refused(converted)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert "TensorRT-LLM 1.2.1 has no trtllm-build" in failure.message


def test_too_few_gpus_are_found_before_anything_is_built(converted: Claim) -> None:
    assert _refused(converted, gpu=ExpectedGpu(count=8)).reason is Reason.GPU_MISMATCH


def test_a_checkpoint_that_is_not_there_is_said_before_anything_is_built(claim: Claim) -> None:
    failure = _refused(claim)
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.CONVERSION_FAILED)
    assert "there is no config.json" in failure.message


def test_a_published_checkpoint_is_built_where_it_lies(claim: Claim) -> None:
    directory = write_ranks(claim.root / "published", 4)
    claim.ranks(0, checkpoint_path=str(directory))
    assert claim.calls()[0]["argv"][2] == str(directory)
    (directory / "rank3.safetensors").unlink()
    failure = failure_of(lambda: claim.ranks(1, checkpoint_path=str(directory)))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    assert "rank3.safetensors" in failure.message


def test_a_checkpoint_for_another_number_of_ranks_is_refused_with_both_numbers(claim: Claim) -> None:
    write_ranks(claim.work / "checkpoint", 2)
    failure = _refused(claim)
    assert failure.exit_code == ExitCode.BAD_MODEL
    assert "has 2 ranks (tensor 2, pipeline 1, context 1), but the engine needs 4" in failure.message


@pytest.mark.parametrize("index", ["2", "-1", "x", ""])
def test_a_pod_that_is_none_of_the_jobs_is_a_bad_request(converted: Claim, index: str) -> None:
    converted.monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
    failure = failure_of(lambda: _index(converted.ranks_request()))
    assert failure.exit_code == ExitCode.BAD_REQUEST
    assert "with 2 completions" in failure.message
