"""One pod is the replica: start, readiness, refusal, drain."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trtllm_builder.launch.client import Client

from .conftest import ANSWER, CONFIG, NAME, Pod, get, wait_until


def test_the_server_gets_model_tokenizer_address_arguments_and_options(pod: Pod) -> None:
    pod.launch().ready()
    (arguments,) = pod.calls("argv")
    options, model = Path(arguments.pop()), Path(arguments.pop(0))
    assert model.resolve() == pod.model.resolve()
    assert arguments == [
        *("--tokenizer", str(pod.root / "tokenizer"), "--host", "127.0.0.1", "--port", str(pod.serve_port)),
        *("--tp_size", "1", "--config"),
    ]
    assert json.loads(options.read_text()) == pod.request["options"]


def test_home_caches_and_mpis_files_are_where_they_can_be_written(pod: Pod) -> None:
    pod.launch().ready()
    (environment,) = pod.calls("environment")
    for name in ("HOME", "TMPDIR", "OMPI_MCA_orte_tmpdir_base", "HF_HOME", "TRITON_CACHE_DIR"):
        assert Path(environment[name]).is_relative_to(pod.scratch)
    assert (environment["OMPI_MCA_rmaps_base_oversubscribe"], environment["TRTLLM_NO_USAGE_STATS"]) == ("1", "1")


@pytest.mark.parametrize(
    ("name", "shown"), [(NAME, NAME), ("org/chat:1", "chat:1"), ("org/", None), ("..", None), ("/.", None)]
)
def test_the_model_is_served_under_a_path_whose_last_part_is_its_name(pod: Pod, name: str, shown: str | None) -> None:
    """trtllm-serve up to 1.3.0rc3 shows the last part of the model's path by /v1/models."""
    pod.request["servedModelName"] = name
    pod.launch().ready()
    (arguments,) = pod.calls("argv")
    model = Path(arguments[0])
    assert model.resolve() == pod.model.resolve()
    assert model.name == (shown or pod.model.name)
    assert pod.model.is_dir(), "the link alone may be replaced"


def test_ready_means_that_the_known_prompt_was_answered_as_recorded(pod: Pod) -> None:
    pod.behave(answer=ANSWER, hold=True)
    process = pod.launch()
    wait_until(lambda: bool(pod.calls("/v1/completions")))
    assert process.health() == (503, {"status": "loading"})
    assert process.health("live")[0] == 200
    pod.behave(answer=ANSWER)
    process.ready()
    assert process.health() == (200, {"status": "ready"})
    (asked,) = pod.calls("/v1/completions")
    assert asked == {"model": NAME, "prompt": [3, 4, 5], "max_tokens": 4, "temperature": 0}


def test_while_loading_progress_says_so(pod: Pod) -> None:
    pod.behave(answer=ANSWER, load=1.5)
    process = pod.launch()
    process.ready()
    wait_until(lambda: any("Ready: tiny answered after" in line for line in process.log))
    assert list(dict.fromkeys(line["stage"] for line in process.progress())) == ["Verifying", "Loading"]
    assert process.progress()[-1]["done"] > 0
    assert "loading weights\n" in process.log


def test_another_end_of_the_recorded_answer_is_accepted(pod: Pod) -> None:
    pod.behave(answer=" Paris, which lies on the river, is old.")
    pod.launch().ready()


@pytest.mark.parametrize("garbage", ["!!!!!!!!!!!!!!!!!!!!", "qzx vvk jjw", "", "\ufffd\ufffd\ufffd\ufffd"])
def test_garbage_is_refused_for_good_with_both_texts(pod: Pod, garbage: str) -> None:
    pod.behave(answer=garbage)
    process = pod.launch()
    assert process.end() == 65
    said = process.said()
    assert said["reason"] == "ArtifactCorrupt"
    assert said["message"].startswith(
        f'The recorded answer of the model to "Which?" is "{ANSWER}", but trtllm-serve answered "{garbage}"'
    )
    assert "Try another TensorRT-LLM version" in said["remedy"]


def test_without_a_record_any_language_will_do(pod: Pod) -> None:
    pod.artifact({"config.json": json.dumps(CONFIG)}, probe=None)
    pod.behave(chat={"content": "It is Paris."})
    pod.launch().ready()
    assert not pod.calls("/v1/completions")


def test_without_a_chat_template_a_text_is_continued(pod: Pod) -> None:
    pod.artifact({"config.json": json.dumps(CONFIG)}, probe=None)
    pod.behave(answer=" Paris.")
    pod.launch().ready()
    assert pod.calls("/v1/completions")[0]["prompt"] == "The capital of France is"


def test_what_a_model_only_thinks_is_an_answer_too(pod: Pod) -> None:
    pod.artifact({"config.json": json.dumps(CONFIG)}, probe=None)
    pod.behave(chat={"content": None, "reasoning_content": "The user asks for a capital."})
    pod.launch().ready()


def test_without_a_record_garbage_is_refused(pod: Pod) -> None:
    pod.artifact({"config.json": json.dumps(CONFIG)}, probe=None)
    pod.behave(chat={"content": "!!!!!!!!!!!!!!!!!!!!"})
    process = pod.launch()
    assert process.end() == 65
    assert process.said()["reason"] == "QualityRefused"
    assert process.said()["message"] == (
        'trtllm-serve answered "What is the capital of France?" with "!!!!!!!!!!!!!!!!!!!!": '
        'the answer is the character "!" 20 times.'
    )


@pytest.mark.parametrize(("status", "code", "reason"), [(400, 64, "BadRequest"), (500, 75, "InternalError")])
def test_a_server_that_refuses_the_known_prompt_is_refused(pod: Pod, status: int, code: int, reason: str) -> None:
    pod.behave(status=status)
    process = pod.launch()
    assert process.end() == code
    assert process.said()["reason"] == reason
    assert process.said()["message"].startswith(f"trtllm-serve refused the known prompt with HTTP {status}: ")


def test_sigterm_turns_it_unready_and_running_requests_are_finished(pod: Pod) -> None:
    process = pod.launch()
    process.ready()
    pod.behave(answer=ANSWER, hold=True)
    body = {"model": NAME, "prompt": "x", "max_tokens": 2}
    client = ThreadPoolExecutor().submit(Client("127.0.0.1", pod.serve_port).post, "/v1/completions", body, 120)
    wait_until(lambda: len(pod.calls("/v1/completions")) == 2)
    process.stop()
    wait_until(lambda: process.health()[0] == 503)
    assert process.health() == (503, {"status": "draining"})
    assert process.health("live")[0] == 200
    pod.behave(answer=ANSWER)
    assert process.end() == 0
    assert client.result().json["choices"][0]["text"] == ANSWER
    assert not process.termination.exists()


def test_a_server_that_outlasts_the_drain_is_killed(pod: Pod) -> None:
    pod.request["drainSeconds"] = 1
    pod.behave(answer=ANSWER, stubborn=True)
    process = pod.launch()
    process.ready()
    process.stop()
    assert process.end() == 0
    assert any("trtllm-serve still runs after 1 s and is terminated." in line for line in process.log)
    assert get(pod.serve_port, "/health")[0] == 0


def test_sigterm_while_loading_ends_it_at_once(pod: Pod) -> None:
    pod.behave(load=100)
    process = pod.launch()
    wait_until(lambda: bool(pod.calls("pid")))
    process.stop()
    assert process.end() == 0
    assert not process.termination.exists()


def test_sigterm_during_the_checks_ends_it_at_once(pod: Pod) -> None:
    pod.program("nvidia-smi", "#!/bin/sh\nsleep 100\n")
    process = pod.launch()
    wait_until(lambda: process.health()[0] == 503)
    assert process.health() == (503, {"status": "starting"})
    process.stop()
    assert process.end() == 0


def test_a_control_port_that_is_taken_is_worth_another_try(pod: Pod) -> None:
    port = pod.launch().port
    wait_until(lambda: get(port, "/health/live")[0] == 200)
    second = pod.launch(control_port=port)
    assert second.end() == 75
    assert second.said()["message"] == f"The launcher cannot listen on 127.0.0.1:{port}: Address already in use."


def test_nothing_of_the_server_outlives_the_launcher(pod: Pod) -> None:
    process = pod.launch()
    process.ready()
    (pid,) = pod.calls("pid")
    process.signal(signal.SIGINT)
    assert process.end() == 0
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
