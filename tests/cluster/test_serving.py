"""EngineBuild, runtime Transformers: OpenAI's endpoints, metrics, readiness, and the good one that keeps serving."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.cluster_world import NAMESPACE, World, eventually

STORE = {"claimName": "store-serving", "size": "1Gi"}


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[World]:
    world.quantized_model("served", storage=STORE)
    world.serve("served", "served")
    world.wait_for("eb", "served", "Ready", 240)
    yield world
    world.delete("eb", "served")


def test_chat_and_completions_answer_whole_and_streamed(served: World) -> None:
    chat = {"model": "served", "messages": [{"role": "user", "content": "The licence"}], "max_tokens": 8}
    answer = json.loads(served.ask("served-serve", "/v1/chat/completions", {**chat, "temperature": 0}))
    assert answer["usage"]["completion_tokens"] > 0
    text = answer["choices"][0]["message"]["content"]
    streamed = served.ask("served-serve", "/v1/chat/completions", {**chat, "temperature": 0, "stream": True})
    lines = [line.removeprefix("data: ") for line in streamed.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(pieces) == text
    completion = {"model": "served", "prompt": "The licence", "max_tokens": 8, "temperature": 0}
    assert json.loads(served.ask("served-serve", "/v1/completions", completion))["choices"][0]["text"]
    assert json.loads(served.ask("served-serve", "/v1/models"))["data"][0]["id"] == "served"


def test_metrics_have_the_names_that_tensorrt_llm_uses(served: World) -> None:
    text = served.ask("served-serve", "/metrics")
    for name in ("trtllm_num_requests_running", "trtllm_num_requests_waiting", "trtllm_generation_tokens_total"):
        assert f"{name}{{" in text


def test_the_status_says_where_what_is_served(served: World) -> None:
    status = served.get("eb", "served")["status"]
    assert status["serving"]["url"] == f"http://served-serve.{NAMESPACE}.svc"
    assert status["serving"]["readyReplicas"] == 1
    assert status["artifact"]["method"] == "INT8WeightOnly"


def test_a_new_artifact_that_the_gate_refuses_leaves_the_good_one_serving(served: World) -> None:
    quality = {"maxPerplexityIncrease": "0.001%", "maxKLDivergence": "0.00000001", "onFailure": "Fail"}
    before = served.get("eb", "served")["status"]["artifact"]["digest"]
    served.quantized_model("served", storage=STORE, quantization={"method": "INT4WeightOnly"}, quality=quality)
    reason, _ = served.stalled("served", 240)
    assert reason == "QualityRefused"
    assert served.get("eb", "served")["status"]["artifact"]["digest"] == before
    eventually(lambda: served.condition("eb", "served", "ModelReady")["reason"] == "LastGoodArtifact", "the reason", 20)
    completion = {"model": "served", "prompt": "The licence", "max_tokens": 4}
    assert json.loads(served.ask("served-serve", "/v1/completions", completion))["choices"]


def test_an_artifact_changed_behind_the_operators_back_is_never_served(world: World) -> None:
    """A byte is cut from the weights: the server refuses, and says so on the resource."""
    storage = {"claimName": "store-corrupt", "size": "1Gi"}
    world.quantized_model("corrupt", storage=storage)
    status = world.ready("corrupt")
    path = f"/claim/{status['artifact']['path']}/model.safetensors"
    world.on_claim("store-corrupt", "truncate", "-s", "-1", path)
    world.serve("corrupt", "corrupt")

    def told() -> bool:
        return "model.safetensors" in world.condition("eb", "corrupt", "Ready").get("message", "")

    eventually(told, "the name of the file in the condition", 90)
    assert world.condition("eb", "corrupt", "Ready")["status"] == "False"
    world.delete("eb", "corrupt")
