"""EngineBuild, runtimes TensorRT and PyTorch, with a double of NVIDIA's programs on simulated GPUs."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from clusterlib.local import LocalCluster

from support.cluster_engines import LIMITS, SOURCE, STORE, answer, build, engine, released, running
from support.cluster_world import World, eventually

MODULES = ["attn_q", "attn_k", "attn_v", "attn_dense", "mlp_h_to_4h", "mlp_4h_to_h", "mlp_gate"]
ADAPTERS = [{"name": seed, "claimName": "engine-models", "path": f"adapters/{seed}"} for seed in ("1", "2")]
REFUSED: dict[str, dict[str, Any]] = {
    "heads": {"parallelism": {"tensor": 3}},
    "limits": {"parallelism": {"tensor": 2}, "serving": {"maxBatchSize": 64}},
    "nodes": {"parallelism": {"tensor": 8, "pipeline": 4}},
}
BUILT: dict[str, dict[str, Any]] = {
    "two": {"seconds": 8, "parallelism": {"tensor": 2}, "serving": {}},
    "left-out": {
        "parallelism": {"tensor": 2},
        "limits": {**LIMITS, "maxBatchSize": 2},
        "env": {"TRTLLM_DOUBLE_LEAVE_OUT": "1"},
    },
    "wrong-image": {"imageVersion": "1.0.0", "parallelism": {"tensor": 1}},
    "adapted": {
        "parallelism": {"tensor": 1},
        "limits": {**LIMITS, "maxBeamWidth": 3},
        "build": {"lora": {"maxRank": 8, "targetModules": MODULES}},
        "serving": {"lora": {"adapters": ADAPTERS, "maxRank": 8}},
    },
    "pytorch": {"runtime": "PyTorch", "parallelism": {"tensor": 2}, "serving": {}},
    **REFUSED,
}


@pytest.fixture(scope="module")
def created(engines: World, double: str) -> World:
    """All at once: each waits for its stages, and they wait side by side."""
    checkpoint = {"format": "TensorRTLLM", "tensor": 2}
    engines.quantized_model("ranks", source=SOURCE, checkpoint=checkpoint, storage=STORE)
    for name, spec in BUILT.items():
        build(engines, name, double, **spec)
    return engines


@pytest.fixture(scope="module")
def two_ranks(created: World) -> Iterator[World]:
    """TP 2 on one node; a pod is killed while it builds."""
    with released(created, "two"):
        eventually(lambda: running(created, "two", "build"), "a pod that builds", 240, 0.1)
        time.sleep(3)
        created.kill_pod(running(created, "two", "build")[0]["metadata"]["name"])
        created.wait_for("eb", "two", "Ready", 400)
        yield created


def test_two_ranks_on_one_node_are_built_and_served_though_a_pod_was_killed(
    two_ranks: World, cluster: LocalCluster
) -> None:
    status = two_ranks.get("eb", "two")["status"]
    assert (status["engine"]["world"], status["plan"]["nodes"]) == (2, 1)
    assert status["engine"]["product"] == cluster.settings.gpu_product
    assert status["artifact"]["runtime"] == "TensorRT"
    assert answer(two_ranks, "two")
    chat = {"model": "two", "messages": [{"role": "user", "content": "The licence"}], "max_tokens": 8}
    whole = json.loads(two_ranks.ask("two-serve", "/v1/chat/completions", {**chat, "temperature": 0}))
    assert whole["usage"]["completion_tokens"] > 0
    streamed = two_ranks.ask("two-serve", "/v1/chat/completions", {**chat, "temperature": 0, "stream": True})
    lines = [line.removeprefix("data: ") for line in streamed.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]


def test_the_same_engine_is_used_by_another_engine_build_without_a_job(
    two_ranks: World, double: str, undisturbed: None
) -> None:
    started = time.monotonic()
    with engine(two_ranks, "again", double, parallelism={"tensor": 2}):
        two_ranks.wait_for("eb", "again", "Ready", 30)
        assert time.monotonic() - started <= 2, "two requests included"
        assert two_ranks.get("eb", "again")["status"]["engine"]["reusedFrom"] == "two"
        assert not two_ranks.jobs("again", "EngineBuild")


def test_a_rank_that_was_not_written_is_named_although_trtllm_build_exited_with_0(created: World) -> None:
    with released(created, "left-out"):
        reason, message = created.stalled("left-out", 300, "eb")
    assert reason == "EngineBuildFailed"
    assert "rank1.engine" in message


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("heads", "HeadsNotDivisible", ("8 heads", "TP 3")),
        ("limits", "ServingExceedsEngine", ("64", "the 4 that")),
        ("nodes", "NoMatchingGpu", ("32", "16")),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers_before_a_gpu_is_used(
    created: World, name: str, reason: str, words: tuple[str, ...]
) -> None:
    with released(created, name):
        found, message = created.stalled(name, 120, "eb")
        stages = [job["metadata"]["labels"]["trtllm.dev/stage"] for job in created.jobs(name, "EngineBuild")]
    assert found == reason, message
    for word in words:
        assert word in message
    assert set(stages) <= {"fetch"}


def test_an_image_of_another_version_than_was_said_is_told_with_both(created: World) -> None:
    with released(created, "wrong-image"):
        reason, message = created.stalled("wrong-image", 300, "eb")
    assert reason == "ImageMismatch", message
    assert "1.2.1" in message
    assert "1.0.0" in message


def test_a_checked_quantized_model_becomes_an_engine_of_its_own_layout(created: World, double: str) -> None:
    """ModelOpt's own export for two ranks, measured by the gate, then built and served as it is: no conversion."""
    assert created.ready("ranks")["artifact"]["checkpoint"]["tensor"] == 2
    with engine(created, "ranks", double, modelRef={"name": "ranks"}, source=None, storage=None, serving={}):
        created.wait_for("eb", "ranks", "Ready", 240)
        status = created.get("eb", "ranks")["status"]
        stages = {job["metadata"]["labels"]["trtllm.dev/stage"] for job in created.jobs("ranks", "EngineBuild")}
        assert (status["plan"]["tensor"], status["engine"]["world"]) == (2, 2)
        assert stages == {"build", "publish"}
        assert answer(created, "ranks")
    created.delete("qm", "ranks")


def test_an_engine_answers_with_adapters_and_in_beams_up_to_what_it_was_built_for(created: World) -> None:
    def texts(prompt: str = "The licence", **more: Any) -> tuple[str, ...]:
        body = {"model": "adapted", "prompt": prompt, "max_tokens": 12, "temperature": 0, **more}
        found = json.loads(created.ask("adapted-serve", "/v1/completions", body))
        return tuple(choice["text"] for choice in found["choices"])

    def several(**more: Any) -> list[tuple[str, ...]]:
        return [texts(prompt, **more) for prompt in ("The licence", "Copyright", "You may", "In no event", "1.")]

    def adapter(seed: int) -> dict[str, Any]:
        path = f"/adapters/engine-models/adapters/{seed}"
        return {"lora_request": {"lora_name": str(seed), "lora_int_id": seed, "lora_path": path}}

    with released(created, "adapted"):
        created.wait_for("eb", "adapted", "Ready", 400)
        assert answer(created, "adapted")
        plain, one, two = several(), several(**adapter(1)), several(**adapter(2))
        assert plain != one != two != plain
        assert several() == plain, "an adapter is its request's alone"
        assert len(texts(use_beam_search=True, n=2, best_of=3)) == 2
        with pytest.raises(urllib.error.HTTPError, match="400"):
            texts(use_beam_search=True, n=4)


def test_pytorch_serves_the_checkpoint_itself(created: World) -> None:
    with released(created, "pytorch"):
        created.wait_for("eb", "pytorch", "Ready", 400)
        assert answer(created, "pytorch")
        assert created.get("eb", "pytorch")["status"]["artifact"]["runtime"] == "PyTorch"


def test_another_gpu_product_is_built_anew(two_ranks: World, double: str, other_gpus: str) -> None:
    with engine(two_ranks, "elsewhere", double, parallelism={"tensor": 2}, gpu={"product": other_gpus}):
        two_ranks.wait_for("eb", "elsewhere", "Ready", 240)
        here, there = (two_ranks.get("eb", name)["status"]["engine"] for name in ("two", "elsewhere"))
    assert there["product"] == other_gpus
    assert there["digest"] != here["digest"]


@pytest.fixture
def other_gpus(cluster: LocalCluster) -> Iterator[str]:
    """The second node has L4s for a while."""
    cluster.exchange_gpus("node2", product="NVIDIA-L4", compute="8.9", memory=23034)
    yield "NVIDIA-L4"
    settings = cluster.settings
    cluster.exchange_gpus(
        "node2", product=settings.gpu_product, compute=settings.gpu_compute, memory=settings.gpu_memory_mib
    )
