"""Which EngineBuilds look again when a node, a model or another EngineBuild changes; others are left in peace."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trtllm_operator.enginebuild.controller import INDEXES, EngineBuildController
from trtllm_operator.loop.cache import Cache

IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
CONTROLLER = EngineBuildController()


def build(
    name: str, *, namespace: str = "default", status: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    wanted = {"runtime": "TensorRT", "image": IMAGE, "modelRef": {"name": "llama"}, **spec}
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "resourceVersion": "1"}
    return {"kind": "EngineBuild", "metadata": meta, "spec": wanted, "status": status or {}}


def node(gpus: str, **status: Any) -> dict[str, Any]:
    labels = {
        "nvidia.com/gpu.product": "NVIDIA-L4",
        "nvidia.com/gpu.count": gpus,
        "nvidia.com/gpu.memory": "23034",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "9",
    }
    return {"kind": "Node", "metadata": {"name": "n", "uid": "n", "labels": labels}, "status": status}


@pytest.fixture
def cache() -> Cache:
    cache = Cache({"EngineBuild": INDEXES})
    planned = {"plan": {"nodes": 1}}
    for resource in (
        build("waits"),
        build("planned", status=planned),
        build("on-cpu", runtime="Transformers", image=None),
        build("elsewhere", namespace="other"),
    ):
        cache.put(resource)
    return cache


def woken(cache: Cache, before: dict[str, Any] | None, after: dict[str, Any] | None) -> set[str]:
    return {key.name for key in CONTROLLER.dependents(before, after, cache)}


def test_new_gpus_wake_those_that_have_no_plan_in_every_namespace(cache: Cache) -> None:
    assert woken(cache, None, node("8")) == {"waits", "elsewhere"}
    assert woken(cache, node("8"), node("4")) == {"waits", "elsewhere"}


def test_a_nodes_heartbeat_wakes_nobody(cache: Cache) -> None:
    assert woken(cache, node("8"), node("8", conditions=[{"type": "Ready"}])) == set()


def test_a_model_wakes_those_that_name_it_in_its_namespace(cache: Cache) -> None:
    model = {"kind": "QuantizedModel", "metadata": {"name": "llama", "namespace": "default"}}
    assert woken(cache, None, model) == {"waits", "planned", "on-cpu"}


def test_an_engine_that_is_built_wakes_those_that_asked_for_the_same(cache: Cache) -> None:
    before = build("first")
    after = copy.deepcopy(before) | {"status": {"engine": {"digest": "sha256:e"}}}
    assert woken(cache, before, after) == {"waits", "planned"}
    progressed = copy.deepcopy(before) | {"status": {"progress": {"percent": 5}}}
    assert woken(cache, before, progressed) == set()


def test_an_engine_of_another_image_wakes_nobody(cache: Cache) -> None:
    before = build("first", image="nvcr.io/nvidia/tensorrt-llm/release:1.0.0")
    after = copy.deepcopy(before) | {"status": {"engine": {"digest": "sha256:e"}}}
    assert woken(cache, before, after) == set()
