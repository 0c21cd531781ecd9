"""EngineBuild, runtime Transformers: OpenAI's endpoints, metrics, readiness, and the good one that keeps serving."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from clusterlib.client import Client
from world import NAMESPACE, World, eventually

STORE = {"claimName": "store-serving", "size": "1Gi"}


def serve(world: World, name: str, model: str, **serving: Any) -> None:
    template = {"resources": {"requests": {"cpu": "50m", "memory": "400Mi"}, "limits": {"memory": "3Gi"}}}
    world.client.apply(
        {
            "apiVersion": "trtllm.dev/v1alpha1",
            "kind": "EngineBuild",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "modelRef": {"name": model},
                "device": "CPU",
                "serving": {"podTemplate": template, **serving},
            },
        }
    )


def ask(client: Client, service: str, path: str, body: dict[str, Any] | None = None) -> str:
    """Over the Service's cluster address, which the host reaches."""
    found = client.get("service", service, "-n", NAMESPACE)["spec"]
    data = json.dumps(body).encode() if body is not None else None
    url = f"http://{found['clusterIP']}:{found['ports'][0]['port']}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http, to the cluster
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[World]:
    world.quantized_model("served", storage=STORE)
    serve(world, "served", "served")
    world.wait_for("eb", "served", "Ready", 240)
    yield world
    world.delete("eb", "served")


def test_chat_and_completions_answer_whole_and_streamed(served: World) -> None:
    chat = {"model": "served", "messages": [{"role": "user", "content": "The licence"}], "max_tokens": 8}
    answer = json.loads(ask(served.client, "served-serve", "/v1/chat/completions", {**chat, "temperature": 0}))
    assert answer["usage"]["completion_tokens"] > 0
    text = answer["choices"][0]["message"]["content"]
    streamed = ask(served.client, "served-serve", "/v1/chat/completions", {**chat, "temperature": 0, "stream": True})
    lines = [line.removeprefix("data: ") for line in streamed.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"]]
    assert "".join(pieces) == text
    completion = {"model": "served", "prompt": "The licence", "max_tokens": 8, "temperature": 0}
    assert json.loads(ask(served.client, "served-serve", "/v1/completions", completion))["choices"][0]["text"]
    assert json.loads(ask(served.client, "served-serve", "/v1/models"))["data"][0]["id"] == "served"


def test_metrics_have_the_names_that_tensorrt_llm_uses(served: World) -> None:
    text = ask(served.client, "served-serve", "/metrics")
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
    assert json.loads(ask(served.client, "served-serve", "/v1/completions", completion))["choices"]


def test_an_artifact_changed_behind_the_operators_back_is_never_served(world: World) -> None:
    """A byte is cut from the weights: the server refuses, and says so on the resource."""
    storage = {"claimName": "store-corrupt", "size": "1Gi"}
    world.quantized_model("corrupt", storage=storage)
    status = world.ready("corrupt")
    path = f"/claim/{status['artifact']['path']}/model.safetensors"
    world.on_claim("store-corrupt", "truncate", "-s", "-1", path)
    serve(world, "corrupt", "corrupt")

    def told() -> bool:
        return "model.safetensors" in world.condition("eb", "corrupt", "Ready").get("message", "")

    eventually(told, "the name of the file in the condition", 90)
    assert world.condition("eb", "corrupt", "Ready")["status"] == "False"
    world.delete("eb", "corrupt")
