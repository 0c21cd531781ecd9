"""A QuantizedModel without a method: the ladder of what the GPUs run, decided once, whatever nodes come and go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.domain_world import (
    INT4,
    INT8,
    SMOLLM2,
    World,
    condition,
    fetch_result,
    quantize_result,
    refused_result,
)
from support.engine_world import H100, L4, nodes
from trtllm_api.facts import LinearShape
from trtllm_api.modelstatus import CandidateStatus, Verdict
from trtllm_api.quantization import Method
from trtllm_operator.kube.resources import NODES, QUANTIZED_MODELS
from trtllm_operator.loop.cache import Cache
from trtllm_operator.quantizedmodel.controller import QuantizedModelController

A100 = "NVIDIA-A100-SXM4-80GB"
GPUS: dict[str, dict[str, Any]] = {
    H100: {},
    L4: {"product": L4, "compute": "8.9", "mib": 23034},
    A100: {"product": A100, "compute": "8.0", "mib": 81920},
    "Tesla-T4": {"product": "Tesla-T4", "compute": "7.5", "mib": 15360},
    "NVIDIA-B200": {"product": "NVIDIA-B200", "compute": "10.0", "mib": 183359},
}
NATIVE = {
    H100: ["W4A8AWQ", "INT4AWQ", "FP8", "FP8PerChannelPerToken"],
    L4: ["W4A8AWQ", "INT4AWQ", "FP8"],
    A100: ["INT4AWQ"],
    "NVIDIA-B200": ["NVFP4", "W4A8AWQ", "INT4AWQ", "FP8"],
}


def gpus(world: World, *products: str) -> None:
    """One node of each product, and no other."""
    made = []
    for product in products:
        nodes(world, **GPUS[product])
        made.append((product, world.get("Node", "gpu-0")))
    if not products:
        nodes(world, 0)
    for product, node in made:
        world.objects.pop(("Node", "gpu-0"), None)
        node["metadata"]["name"] = f"node-of-{product.lower()}"
        world.objects[("Node", node["metadata"]["name"])] = node


def unnamed(world: World, name: str = "smollm2", **spec: Any) -> dict[str, Any]:
    """It names no method, nor any fallback."""
    return world.model(name, **{"device": "GPU", "quantization": {}, "quality": {}, **spec})


def fetched(world: World, name: str = "smollm2", **facts: Any) -> dict[str, Any]:
    world.settle(name)
    world.finish("fetch", fetch_result(SMOLLM2.model_copy(update=facts)), name)
    return world.settle(name)


def tried(status: dict[str, Any]) -> list[str]:
    return [candidate["method"] for candidate in status["plan"]["candidates"]]


def asked_of_the_builder(world: World, name: str = "smollm2") -> list[str]:
    request = json.loads(
        world.get("ConfigMap", world.job("quantize", name)["metadata"]["name"])["data"]["request.json"]
    )
    return [candidate["method"] for candidate in request["quantize"]["candidates"]]


@pytest.mark.parametrize("product", NATIVE)
def test_what_the_gpu_runs_natively_is_tried_the_smallest_first(world: World, product: str) -> None:
    gpus(world, product)
    unnamed(world)
    status = fetched(world)
    assert status["stage"] == "Quantizing"
    assert tried(status) == asked_of_the_builder(world) == NATIVE[product]
    assert status["plan"]["ladder"]["methods"] == NATIVE[product]
    target = status["plan"]["ladder"]["target"]
    assert target.startswith(product)
    assert status["plan"]["why"][0] == (
        f"spec.quantization.method is omitted; methods that {target} runs natively are tried until one passes the "
        f"quality gate: {', then '.join(NATIVE[product])}."
    )


def test_a_cpu_needs_no_nodes_and_tries_what_the_transformers_server_runs(world: World) -> None:
    unnamed(world, device="CPU")
    assert tried(fetched(world)) == ["INT4WeightOnly", "INT8WeightOnly"]
    world.finish("quantize", quantize_result(INT4, INT8))
    status = world.settle()
    assert condition(status, "QualityPassed")[1] == "PassedByFallback"
    assert status["artifact"]["method"] == "INT8WeightOnly"


def test_the_whole_quantization_may_be_omitted(world: World) -> None:
    gpus(world, A100)
    del unnamed(world)["spec"]["quantization"]
    assert tried(fetched(world)) == ["INT4AWQ"]


def test_of_several_kinds_the_methods_that_all_of_them_run_are_tried(world: World) -> None:
    gpus(world, H100, L4, A100)
    unnamed(world)
    status = fetched(world)
    assert tried(status) == ["INT4AWQ"]
    assert status["plan"]["ladder"]["target"] == (
        "NVIDIA-L4 (SM89), NVIDIA-H100-80GB-HBM3 (SM90), NVIDIA-A100-SXM4-80GB (SM80)"
    )


def test_the_node_selector_chooses_among_the_kinds(world: World) -> None:
    gpus(world, H100, A100)
    unnamed(world, podTemplate={"nodeSelector": {"nvidia.com/gpu.product": H100}})
    assert tried(fetched(world)) == NATIVE[H100]


def test_a_tensorrt_llm_checkpoint_is_for_the_engine_runtime_which_has_more_methods(world: World) -> None:
    gpus(world, H100)
    unnamed(world, checkpoint={"format": "TensorRTLLM"})
    status = fetched(world)
    assert tried(status) == [
        "W4A8AWQ",
        "INT4AWQ",
        "FP8",
        "FP8PerChannelPerToken",
        "INT8SmoothQuant",
        "INT8WeightOnly",
    ]
    assert "Left out: INT4WeightOnly: as large as INT4AWQ, which loses less." in status["plan"]["why"]


def test_what_the_model_cannot_have_is_left_out_with_the_reason(world: World) -> None:
    gpus(world, "NVIDIA-B200")
    unnamed(world)
    odd = LinearShape(name="model.layers.*.mlp.down_proj", out_features=64, in_features=1000, count=30)
    status = fetched(world, linears=(odd,))
    assert tried(status) == ["FP8"]
    reasons = status["plan"]["why"][1:]
    assert [reason.split(":")[1].strip() for reason in reasons] == ["NVFP4", "W4A8AWQ", "INT4AWQ"]
    assert reasons[2].startswith(
        "Left out: INT4AWQ: no group size divides 1000, the input width of model.layers.*.mlp.down_proj"
    )


def test_a_group_size_that_is_asked_for_decides_which_methods_are_left(world: World) -> None:
    gpus(world, L4)
    unnamed(world, quantization={"groupSize": 128})
    status = fetched(world)
    assert tried(status) == ["FP8"]
    assert "groupSize 128 does not divide 576" in status["plan"]["why"][1]


def test_fallbacks_come_after_the_ladder(world: World) -> None:
    gpus(world, A100)
    unnamed(world, quality={"fallbacks": ["INT8WeightOnly", "INT4AWQ", "None"]})
    assert tried(fetched(world)) == ["INT4AWQ", "INT8WeightOnly", "None"]


@pytest.mark.parametrize("reaction", ["Fail", "Warn"])
def test_without_fallback_the_smallest_alone_is_tried_and_status_says_so(world: World, reaction: str) -> None:
    gpus(world, L4)
    unnamed(world, quality={"onFailure": reaction})
    status = fetched(world)
    assert tried(status) == ["W4A8AWQ"]
    assert status["plan"]["why"][0] == (
        "spec.quantization.method is omitted; W4A8AWQ makes the smallest artifact of the methods that NVIDIA-L4 (SM89) "
        f"runs natively, and spec.quality.onFailure {reaction} tries no other."
    )


def test_no_gpu_yet_waits_after_the_fetch_and_names_what_is_missing_until_a_node_comes(world: World) -> None:
    gpus(world)
    unnamed(world)
    status = fetched(world)
    assert status["stage"] == "Waiting"
    ready = condition(status, "Ready")
    assert ready[:2] == ("False", "NoGpuNodes")
    assert ready[2] == (
        "No schedulable node has a labelled NVIDIA GPU, so no method could be chosen. Waiting for one (labels "
        "nvidia.com/gpu.product, nvidia.com/gpu.memory and nvidia.com/gpu.compute.major of gpu-feature-discovery); or "
        "set spec.quantization.method."
    )
    assert condition(status, "PreflightPassed")[:2] == ("Unknown", "NoGpuNodes")
    assert condition(status, "SourceReady")[0] == "True"
    gpus(world, H100)
    assert tried(world.settle()) == NATIVE[H100]


def test_the_selector_of_a_pool_that_is_empty_is_named(world: World) -> None:
    gpus(world, A100)
    unnamed(world, podTemplate={"nodeSelector": {"pool": "hopper"}})
    assert "No schedulable node with pool=hopper has a labelled NVIDIA GPU" in condition(fetched(world), "Ready")[2]


def test_gpus_without_a_common_method_are_refused_until_their_nodes_change(world: World) -> None:
    gpus(world, "Tesla-T4", H100)
    unnamed(world)
    status = fetched(world)
    assert condition(status, "Stalled")[1] == "NoMethodFits"
    assert condition(status, "Stalled")[2] == (
        "spec.quantization.method is omitted, and no format of a HuggingFace checkpoint runs natively on all of "
        "Tesla-T4 (SM75), NVIDIA-H100-80GB-HBM3 (SM90). Set spec.quantization.method, or choose among the GPUs with "
        "spec.podTemplate.nodeSelector (nvidia.com/gpu.product)."
    )
    gpus(world, H100)
    assert tried(world.settle()) == NATIVE[H100]


def test_a_model_that_can_have_none_of_them_is_refused_with_the_reasons(world: World) -> None:
    gpus(world, A100)
    unnamed(world)
    odd = LinearShape(name="model.layers.*.mlp.down_proj", out_features=64, in_features=1000, count=30)
    said = condition(fetched(world, linears=(odd,)), "Stalled")
    assert said[1] == "NoMethodFits"
    assert "none of the methods that NVIDIA-A100-SXM4-80GB (SM80) runs natively fits this model" in said[2]
    assert "INT4AWQ: no group size divides 1000" in said[2]


def test_what_no_method_can_mend_is_refused_by_its_own_rule_with_or_without_gpus(world: World) -> None:
    gpus(world)
    unnamed(world)
    assert condition(fetched(world, quantization="awq"), "Stalled")[1] == "AlreadyQuantized"


def test_nodes_that_are_exchanged_move_nothing_while_the_job_runs_or_after_it_ended(world: World) -> None:
    gpus(world, H100)
    unnamed(world)
    running = fetched(world)
    job = world.job("quantize")["metadata"]["name"]
    for others in ((A100,), (), ("Tesla-T4", L4)):
        gpus(world, *others)
        assert world.settle() == running
        assert world.job("quantize")["metadata"]["name"] == job
    passed = CandidateStatus(method=Method.FP8, verdict=Verdict.PASSED, reason="Passed")
    world.finish("quantize", quantize_result(passed))
    ready = world.settle()
    assert ready["stage"] == "Ready"
    made = len(world.created)
    for others in ((), (A100,), (L4, H100)):
        gpus(world, *others)
        assert world.settle() == ready
    assert len(world.created) == made


def test_a_failed_ladder_stays_as_it_is_when_nodes_come(world: World) -> None:
    gpus(world, A100)
    unnamed(world)
    fetched(world)
    world.finish("quantize", refused_result(INT4))
    failed = world.settle()
    assert failed["stage"] == "Failed"
    gpus(world, A100, L4)
    assert world.settle() == failed


def test_the_ladder_is_in_status_before_its_job_exists(world: World) -> None:
    gpus(world, H100)
    unnamed(world)
    world.settle()
    world.finish("fetch", fetch_result())
    status = world.reconcile()
    assert status["plan"]["ladder"]["methods"] == NATIVE[H100]
    assert not [job for job in world.of("Job") if "quantize" in job["metadata"]["name"]]
    gpus(world, A100)
    assert tried(world.settle()) == NATIVE[H100]


def test_a_changed_spec_is_decided_anew_and_a_broken_one_forgets_nothing(world: World) -> None:
    gpus(world, H100)
    unnamed(world)
    fetched(world)
    job = world.job("quantize")["metadata"]["name"]
    gpus(world, A100)
    world.change("QuantizedModel", quantization={"method": "nonsense"})
    world.settle()
    world.change("QuantizedModel", quantization={})
    assert tried(world.settle()) == NATIVE[H100]
    assert world.job("quantize")["metadata"]["name"] == job
    world.change("QuantizedModel", quality={"maxPerplexityIncrease": "5%"})
    assert tried(world.settle()) == NATIVE[A100]


def test_an_equal_resource_has_the_artifact_without_a_job_and_keeps_it_when_nodes_change(world: World) -> None:
    gpus(world, H100)
    unnamed(world)
    fetched(world)
    passed = CandidateStatus(method=Method.FP8, verdict=Verdict.PASSED, reason="Passed")
    world.finish("quantize", quantize_result(passed))
    world.settle()
    world.later(minutes=1)
    made = len(world.created)
    unnamed(world, "second", podTemplate={"nodeSelector": {"nvidia.com/gpu.product": H100}})
    second = world.settle("second")
    assert condition(second, "Ready")[:2] == ("True", "ArtifactReused")
    gpus(world, A100)
    assert world.settle("second") == second
    assert len(world.created) == made


def test_an_equal_resource_waits_for_the_older_one_whose_ladder_is_the_same(world: World) -> None:
    gpus(world, H100)
    unnamed(world, "older")
    world.later(seconds=5)
    unnamed(world, "younger")
    fetched(world, "older")
    assert condition(world.settle("younger"), "Ready")[1] == "WaitingForSibling"


def test_the_same_spec_for_other_gpus_is_another_request(world: World) -> None:
    gpus(world, H100)
    unnamed(world, "older")
    fetched(world, "older")
    gpus(world, A100)
    world.later(seconds=5)
    unnamed(world, "younger")
    assert tried(world.settle("younger")) == NATIVE[A100]
    assert asked_of_the_builder(world, "younger") == NATIVE[A100]


def test_a_node_with_gpus_wakes_those_that_wait_for_one_and_nobody_else(world: World) -> None:
    gpus(world)
    unnamed(world, "waits")
    fetched(world, "waits")
    world.model("named", device="GPU")
    unnamed(world, "onCpu", device="CPU")
    cache = Cache()
    for model in world.of("QuantizedModel"):
        cache.put({**model, "kind": QUANTIZED_MODELS.kind})
    gpus(world, H100)
    (node,) = ({**node, "kind": NODES.kind} for node in world.of("Node"))
    bare = {"kind": NODES.kind, "metadata": {"name": "cpu-only", "labels": {}}}
    woken = QuantizedModelController().dependents
    assert [key.name for key in woken(None, node, cache)] == ["waits"]
    assert list(woken(node, node, cache)) == []
    assert list(woken(None, bare, cache)) == []
    world.settle("waits")
    cache = Cache()
    cache.put({**world.get("QuantizedModel", "waits"), "kind": QUANTIZED_MODELS.kind})
    assert list(woken(None, node, cache)) == []
