"""Everything that ends a launcher otherwise than by SIGTERM: the sentence, and whether a restart could help."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from .conftest import ANSWER, NAME, VERSION, Pod, wait_until


def test_a_request_of_another_version_is_refused(pod: Pod) -> None:
    pod.request["surprise"] = 1
    process = pod.launch()
    assert process.end() == 64
    assert process.said() == {
        "reason": "BadRequest",
        "message": "The LaunchRequest cannot be read: surprise: Extra inputs are not permitted.",
        "remedy": "The operator and the builder image have different versions. Use both from one release.",
    }


def test_a_truncated_file_is_named_before_anything_starts(pod: Pod) -> None:
    (pod.model / "rank0.engine").write_text("eng")
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["reason"] == "ArtifactCorrupt"
    assert process.said()["message"] == (
        "rank0.engine of the artifact 44136fa355 has 3 bytes; its manifest has 6 bytes."
    )
    assert not pod.calls("argv")


def test_a_file_of_the_same_size_and_other_content_is_named_before_anything_starts(pod: Pod) -> None:
    (pod.model / "rank0.engine").write_text("ENGINE")
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["message"].startswith("rank0.engine of the artifact 44136fa355 has changed content; ")
    assert not pod.calls("argv")


def test_the_ranks_of_another_pod_are_not_read_here(pod: Pod) -> None:
    pod.artifact({"rank1.engine": "engine"})
    (pod.model / "rank1.engine").write_text("ENGINE")
    pod.launch().ready()


def test_a_model_without_its_manifest_is_refused_before_anything_starts(pod: Pod) -> None:
    (pod.model / "manifest.json").unlink()
    process = pod.launch()
    assert process.end() == 69
    assert process.said()["reason"] == "ArtifactCorrupt"
    assert process.said()["message"] == (
        f"{pod.model} has no manifest.json: it is not an artifact, or its publication did not complete."
    )
    assert not pod.calls("argv")


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "Engi'])
def test_a_manifest_that_is_none_is_refused_before_anything_starts(pod: Pod, content: str) -> None:
    (pod.model / "manifest.json").write_text(content)
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["reason"] == "ArtifactCorrupt"
    assert process.said()["message"].startswith(f"The manifest.json of {pod.model} is not valid: ")
    assert process.said()["message"].endswith(".")
    assert not pod.calls("argv")


def test_a_rank_file_that_is_gone_is_named_before_anything_starts(pod: Pod) -> None:
    (pod.model / "rank0.engine").unlink()
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["message"] == (
        "rank0.engine of the artifact 44136fa355 is missing; its manifest has 6 bytes."
    )
    assert not pod.calls("argv")


def test_an_engine_for_another_number_of_ranks_is_refused_with_both(pod: Pod) -> None:
    mapping = {"world_size": 8, "tp_size": 4, "pp_size": 2}
    pod.artifact({"config.json": json.dumps({"version": VERSION, "pretrained_config": {"mapping": mapping}})})
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["message"] == (
        "The engine has 8 ranks (tensor 4, pipeline 2, context 1), but 1 were requested."
    )
    assert not pod.calls("argv")


def test_files_that_are_read_in_place_are_checked_where_they_are(pod: Pod) -> None:
    manifest = pod.root / "in-place"
    manifest.mkdir()
    (pod.model / "manifest.json").rename(manifest / "manifest.json")
    pod.request["modelManifest"] = str(manifest / "manifest.json")
    pod.launch().ready()


def test_another_gpu_is_refused(pod: Pod) -> None:
    pod.program("nvidia-smi", "#!/bin/sh\necho 'NVIDIA A100-SXM4-80GB, 8.0, 81920 MiB'\n")
    process = pod.launch()
    assert process.end() == 67
    assert process.said()["reason"] == "GpuMismatch"
    assert process.said()["message"] == (
        "The pod has NVIDIA-A100-SXM4-80GB (compute capability 8.0), but NVIDIA-L4 was requested."
    )


def test_another_version_of_the_image_is_refused(pod: Pod) -> None:
    pod.request["version"] = "1.0.0"
    process = pod.launch()
    assert process.end() == 67
    assert process.said()["reason"] == "ImageMismatch"
    assert process.said()["message"] == "The image has TensorRT-LLM 1.2.1, but 1.0.0 was requested."


def test_an_engine_of_another_version_is_refused_before_tensorrt_does(pod: Pod) -> None:
    pod.artifact({"config.json": json.dumps({"version": "0.20.0"})})
    process = pod.launch()
    assert process.end() == 67
    assert process.said()["message"] == (
        "The engine was built with TensorRT-LLM 0.20.0, but the image has 1.2.1, which cannot load it."
    )
    assert not pod.calls("argv")


def test_an_engine_that_does_not_say_its_version_is_refused(pod: Pod) -> None:
    pod.artifact({"config.json": "{}"})
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["message"] == "The engine's config.json has no valid version: KeyError: 'version'."


def test_a_checkpoints_config_has_no_version_and_needs_none(pod: Pod) -> None:
    pod.request["runtime"] = "PyTorch"
    pod.artifact({"config.json": "{}"})
    pod.launch().ready()


def test_an_image_without_the_server_is_refused(pod: Pod) -> None:
    (pod.root / "bin" / "trtllm-serve").unlink()
    process = pod.launch()
    assert process.end() == 67
    assert process.said()["reason"] == "ImageMismatch"
    assert process.said()["message"] == "The image cannot run trtllm-serve: No such file or directory."


@pytest.mark.parametrize(
    ("say", "code", "reason"),
    [
        ("trtllm-serve: error: unrecognized arguments: --multi_block_mode", 64, "InvalidOptions"),
        ("pydantic_core: Extra inputs are not permitted [type=extra_forbidden]", 64, "InvalidOptions"),
        ("[TRT] [E] incompatible device, expecting compute 8.6 got compute 8.0", 67, "EngineIncompatible"),
        ("NotImplementedError: Unsupported quantization_config: {'quant_method': 'awq'}", 67, "CheckpointNotSupported"),
        ("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB", 75, "GpuOutOfMemory"),
        ("Bus error: nonexistent physical address", 75, "SharedMemoryTooSmall"),
    ],
)
def test_the_servers_death_is_diagnosed(pod: Pod, say: str, code: int, reason: str) -> None:
    pod.behave(say=say, die=1)
    process = pod.launch()
    assert process.end() == code
    said = process.said()
    assert said["reason"] == reason
    assert said["message"].endswith(".")
    assert said["remedy"].endswith(".")


def test_a_death_without_words_is_told_by_its_exit_code(pod: Pod) -> None:
    pod.behave(die=7)
    process = pod.launch()
    assert process.end() == 75
    assert process.said()["message"] == "Not in the catalogue: exit code 7, and the log names no error."


def test_an_end_without_an_error_is_not_success(pod: Pod) -> None:
    pod.behave(die=0)
    process = pod.launch()
    assert process.end() == 75
    assert process.said()["message"] == "trtllm-serve ended with exit code 0, and its log contains no known error."


def test_a_server_that_is_killed_while_it_serves_is_worth_a_restart(pod: Pod) -> None:
    process = pod.launch()
    process.ready()
    os.kill(pod.calls("pid")[0], signal.SIGKILL)
    assert process.end() == 75
    assert process.said()["reason"] == "HostOutOfMemory"
    assert "(exit code 137)" in process.said()["message"]


def test_what_was_said_while_loading_does_not_explain_a_later_death(pod: Pod) -> None:
    pod.behave(answer=ANSWER, say="unrecognized arguments: --nothing")
    process = pod.launch()
    process.ready()
    os.kill(pod.calls("pid")[0], signal.SIGKILL)
    assert process.end() == 75


def test_503_makes_it_unready_and_200_ready_again(pod: Pod) -> None:
    process = pod.launch(unhealthy_seconds=60)
    process.ready()
    pod.behave(health=503)
    wait_until(lambda: process.health()[0] == 503)
    assert process.health() == (503, {"status": "unhealthy", "detail": "/health: 503"})
    assert process.health("live")[0] == 200
    pod.behave()
    process.ready()


def test_503_that_lasts_after_ready_ends_it(pod: Pod) -> None:
    process = pod.launch()
    process.ready()
    pod.behave(health=503)
    assert process.end() == 75
    said = process.said()
    assert re.fullmatch(
        r"trtllm-serve was ready, but has answered /health with 503 for \d+ s while its process runs: "
        r"its executor crashed\.",
        said["message"],
    )
    assert said["reason"] == "ExecutorCrashed"
    assert said["remedy"] == "The container restarts. The first error in its log is the cause."


def test_503_while_loading_is_patience(pod: Pod) -> None:
    pod.behave(health=503)
    process = pod.launch()
    wait_until(lambda: bool(process.progress()) and process.progress()[-1]["done"] > 1.5)
    assert process.lives
    pod.behave(answer=ANSWER)
    process.ready()


def test_a_server_that_answers_no_health_question_hangs(pod: Pod) -> None:
    process = pod.launch(health_timeout_seconds=0.3, canary_timeout_seconds=0.4)
    process.ready()
    pod.behave(healthPause=30)
    wait_until(lambda: process.health()[1].get("detail") == "/health: no answer")
    assert process.end() == 75
    assert re.fullmatch(
        r"trtllm-serve has not answered /health for \d+ s while its process runs: it hangs\.",
        process.said()["message"],
    )


def test_three_canaries_without_a_token_end_it(pod: Pod) -> None:
    process = pod.launch(canary_timeout_seconds=0.4)
    process.ready()
    pod.behave(canaryPause=30)
    assert process.end() == 75
    assert process.said()["reason"] == "ExecutorCrashed"
    assert process.said()["message"] == (
        "trtllm-serve answers /health with 200, but generated no token in 0.4 s, 3 times in a row: it hangs."
    )


def test_a_server_that_answers_requests_needs_no_canary(pod: Pod) -> None:
    pod.behave(answer=ANSWER, canaryPause=30, answered="more and more")
    # on a busy machine the count of answers comes late
    process = pod.launch(poll_seconds=2)
    process.ready()
    wait_until(lambda: len(pod.calls("canary")) == 1)
    with pytest.raises(AssertionError):
        wait_until(lambda: not process.lives, 3)
    assert len(pod.calls("canary")) == 1


def test_the_canary_is_a_completion_which_a_model_without_a_chat_template_answers(pod: Pod) -> None:
    pod.behave(answer=ANSWER)
    process = pod.launch()
    process.ready()
    wait_until(lambda: len(pod.calls("canary")) > 5)
    expected = {"model": NAME, "prompt": "The capital of France is", "max_tokens": 1, "temperature": 0}
    assert pod.calls("canary")[0] == expected
    assert process.lives


@pytest.mark.parametrize(("status", "lives"), [(400, True), (404, True), (500, False)])
def test_a_server_that_refuses_the_canary_lives_and_one_that_fails_at_it_ends(
    pod: Pod, status: int, lives: bool
) -> None:
    pod.behave(answer=ANSWER, canary=status)
    process = pod.launch()
    process.ready()
    if lives:
        wait_until(lambda: len(pod.calls("canary")) > 5)
        assert process.lives
    else:
        assert process.end() == 75
        assert process.said()["reason"] == "ExecutorCrashed"
