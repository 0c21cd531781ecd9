"""What the planner chooses for public models on known GPUs, and what it says where nothing fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from public_models import A10, A100, B200, CONFIGS, H100, H200, L4, NEW_IMAGE, T4, ask, nodes

from trtllm_api.verdict import judge, refusals
from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.plan import NoPlan, Plan, plan
from trtllm_planner.question import EngineStamp, HostFacts, Limits, Options, PodFacts
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.rules.capacity import gpu_memory
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime

AWQ = Algorithm.W4A16_AWQ
MIXED = Inventory((*nodes(A10, 4).nodes, *nodes(H100, 8, 8).nodes, *nodes(L4, 1).nodes))


def planned(model: str, inventory: Inventory, **changes: Any) -> Plan:
    found = plan(ask(model, **changes), inventory)
    assert isinstance(found, Plan), found
    return found


def unplanned(model: str, inventory: Inventory, **changes: Any) -> NoPlan:
    found = plan(ask(model, **changes), inventory)
    assert isinstance(found, NoPlan), found
    return found


@pytest.mark.parametrize(
    ("model", "changes", "inventory", "chosen"),
    [
        ("Llama-3-8B", {}, MIXED, "TP 1 on 1 x NVIDIA-A10"),
        ("Llama-3-70B", {}, MIXED, "TP 2 on 2 x NVIDIA-H100-80GB-HBM3"),
        ("Llama-3-70B", {"algorithm": Algorithm.FP8}, MIXED, "TP 1 on 1 x NVIDIA-H100-80GB-HBM3"),
        ("Llama-2-13B", {}, MIXED, "TP 2 on 2 x NVIDIA-A10"),
        ("Llama-2-13B", {"algorithm": AWQ}, nodes(A10, 1), "TP 1 on 1 x NVIDIA-A10"),
        ("Mixtral-8x7B", {}, nodes(A100, 8), "TP 2 on 2 x NVIDIA-A100-SXM4-80GB"),
        ("DeepSeek-V3", {}, nodes(H200, 8), "TP 8 on 8 x NVIDIA-H200"),
        ("DeepSeek-V3", {}, nodes(H100, 8, 8), "TP 8, PP 2 on 16 x NVIDIA-H100-80GB-HBM3 (2 nodes of 8)"),
        ("Qwen2-7B", {}, nodes(L4, 8), "TP 1 on 1 x NVIDIA-L4"),
        ("Qwen2-7B", {}, Inventory((GpuNode("a", GpuKind("NVIDIA-X", 9000, (8, 6)), 8),)), "TP 4 on 4 x NVIDIA-X"),
        ("Qwen2-72B", {"algorithm": AWQ}, nodes(L4, 8), "TP 1, PP 3 on 3 x NVIDIA-L4"),
    ],
)
def test_the_smallest_layout_that_fits_is_chosen(
    model: str, changes: dict[str, Any], inventory: Inventory, chosen: str
) -> None:
    assert str(planned(model, inventory, **changes).placement) == chosen


def test_a_plan_itemises_the_memory_and_says_why_less_does_not_do() -> None:
    found = planned("Llama-3-70B", nodes(H100, 8))
    assert dict(found.items()) == {
        "weights": "65.7 GiB",
        "activations": "1.5 GiB",
        "runtime": "2.0 GiB",
        "KV cache": "9.4 GiB = 61473 tokens, 4096 needed",
        "reserve": "1.0 GiB",
        "GPU": "79.6 GiB",
    }
    assert found.why[1] == (
        "the next smaller layout does not fit: TP 1 on NVIDIA-H100-80GB-HBM3 (79.6 GiB per GPU): weights 131.4 GiB + "
        "activations 2.5 GiB + runtime 1.5 GiB exceed it by 55.8 GiB"
    )
    assert [str(other) for other in found.alternatives] == ["TP 4 on 4 x NVIDIA-H100-80GB-HBM3"]


def test_kinds_that_cannot_execute_the_method_are_named() -> None:
    found = planned("Llama-3-8B", MIXED, algorithm=Algorithm.FP8)
    assert found.placement.gpu == L4
    assert any("NVIDIA-A10 is SM86" in line for line in found.why)


def test_more_sequences_take_more_gpus() -> None:
    few = planned("Llama-3-8B", nodes(A10, 8), limits=Limits(max_seq_len=8192, max_batch_size=8, sequences=4))
    many = planned("Llama-3-8B", nodes(A10, 8), limits=Limits(max_seq_len=8192, max_batch_size=8, sequences=16))
    assert (few.placement.layout.tensor, many.placement.layout.tensor) == (1, 2)


def test_smooth_quant_is_not_planned_beyond_the_key_heads() -> None:
    tiny = Inventory((GpuNode("a", GpuKind("NVIDIA-X", 4500, (8, 6)), 8),))
    changes = {"runtime": EngineRuntime.TENSORRT, "algorithm": Algorithm.SMOOTH_QUANT}
    assert planned("Qwen2-7B", tiny, **changes, limits=Limits(512, 1)).placement.layout.tensor == 4
    assert planned("Qwen2.5-0.5B", tiny, **changes, limits=Limits(512, 1)).placement.layout.tensor <= 2


def test_tensor_parallelism_never_leaves_a_node() -> None:
    found = planned("Llama-3-70B", nodes(A100, 1, 1, 1, 1))
    assert found.placement.layout == Layout(1, 2)
    assert found.placement.nodes == 2


def test_sliced_and_shared_gpus_carry_one_rank_only() -> None:
    slices = Inventory((GpuNode("a", GpuKind("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", 40192, (8, 0), mig=True), 14),))
    assert planned("Llama-3-8B", slices).placement.layout == Layout(1)
    assert "lacks room" in unplanned("Llama-3-70B", slices).why[0]
    shared = Inventory((GpuNode("a", replace(H100, replicas=4), 32),))
    assert planned("Llama-3-8B", shared).placement.layout == Layout(1)
    assert isinstance(plan(ask("Llama-2-13B"), shared), NoPlan)


def test_where_nothing_fits_it_says_what_would() -> None:
    found = unplanned("Llama-2-13B", nodes(A10, 1))
    assert found.verdicts == ()
    assert found.why == (
        (
            "the largest layout tried lacks room: TP 1 on NVIDIA-A10 (22.5 GiB per GPU): weights 24.2 GiB + "
            "activations 1.5 "
            "GiB + runtime 1.5 GiB exceed it by 4.7 GiB"
        ),
    )
    assert found.would_fit[:3] == (
        "W4A16_AWQ: TP 1 on 1 x NVIDIA-A10",
        "TP 1, PP 2 on 2 x NVIDIA-A10 (2 nodes of 1)",
        "TP 1 on 1 x NVIDIA-A100-SXM4-40GB",
    )


def test_a_long_sequence_is_answered_with_the_longest_that_fits_and_with_a_smaller_cache() -> None:
    limits = Limits(max_seq_len=131072, max_batch_size=8)
    found = unplanned("Llama-3.1-8B", nodes(L4, 1), limits=limits, options=Options(chunked_prefill=True))
    assert found.would_fit[0] == "maxSequenceLength 35040: TP 1 on 1 x NVIDIA-L4"
    shorter = replace(limits, max_seq_len=35040)
    planned("Llama-3.1-8B", nodes(L4, 1), limits=shorter, options=Options(chunked_prefill=True))
    assert isinstance(
        plan(
            ask("Llama-3.1-8B", limits=replace(limits, max_seq_len=36672), options=Options(chunked_prefill=True)),
            nodes(L4, 1),
        ),
        NoPlan,
    )
    half = unplanned(
        "Llama-3.1-8B", nodes(L4, 1), limits=replace(limits, max_seq_len=65536), options=Options(chunked_prefill=True)
    )
    assert "FP8 KV cache: TP 1 on 1 x NVIDIA-L4" in half.would_fit


def test_a_cluster_without_gpus_is_told_which_would_do() -> None:
    found = unplanned("Llama-3-8B", Inventory())
    assert found.why == ("no node has a GPU: none carries the labels nvidia.com/gpu.product, memory and compute.major",)
    assert found.would_fit[0] == "TP 1 on 1 x NVIDIA-A10"


def test_old_gpus_are_not_planned_on() -> None:
    found = unplanned("Qwen2.5-0.5B", nodes(T4, 4))
    assert found.why[0].startswith("Tesla-T4: Tesla-T4 is SM75, which has no kernels")


def test_what_no_layout_mends_is_said_at_once() -> None:
    found = unplanned("Llama-3-8B", nodes(H100, 8), runtime=EngineRuntime.TENSORRT, image=NEW_IMAGE)
    assert [verdict.reason for verdict in found.verdicts] == ["ImageMismatch"]
    assert found.verdicts[0].remedy == "use an image <= 1.2.x, or runtime PyTorch"
    assert found.would_fit == ()
    small = unplanned("Llama-3-8B", nodes(H100, 8), runtime=EngineRuntime.TENSORRT, host=HostFacts(1 << 30))
    assert [verdict.reason for verdict in small.verdicts] == ["HostMemoryTooSmall"]


def test_expert_parallelism_that_was_asked_for_is_kept_or_refused() -> None:
    asked = Layout(1, 1, 1, None, 4)
    assert planned("Mixtral-8x7B", nodes(A100, 8), layout=asked).placement.layout.moe_expert == 4
    refused = unplanned("Llama-3-70B", nodes(A100, 8), layout=asked)
    assert refused.why == ("expert parallelism (MoE TP 1, EP 4) is set, but LlamaForCausalLM has no experts",)
    uneven = unplanned("Mixtral-8x7B", nodes(A100, 8), layout=Layout(1, 1, 1, None, 3))
    assert uneven.why == ("8 experts do not divide by EP 3",)


def test_an_engine_and_pods_of_before_do_not_bind_a_new_plan() -> None:
    found = planned(
        "Llama-3-8B",
        nodes(H100, 8),
        stamp=EngineStamp("1.0.0", "NVIDIA-A10", (8, 6), 4, 4),
        pod=PodFacts(gpus=8),
    )
    assert found.placement.layout == Layout(1)


@pytest.mark.parametrize("model", CONFIGS)
def test_every_public_model_finds_a_place_on_eight_large_gpus(model: str) -> None:
    runtime = EngineRuntime.TENSORRT if model == "Gemma-2-9B" else EngineRuntime.PYTORCH
    found = planned(model, nodes(B200, 8), runtime=runtime)
    assert refusals(judge(ENGINE_RULES, found.question)) == ()


def test_an_engine_for_more_sequences_than_a_gpu_holds_logits_of_is_answered_with_a_smaller_batch() -> None:
    unlimited = Limits(max_seq_len=4096)
    found = unplanned("Qwen2-7B", nodes(L4, 1), limits=unlimited, runtime=EngineRuntime.TENSORRT)
    assert "maxBatchSize 64: TP 1 on 1 x NVIDIA-L4" in found.would_fit
    question = ask("Qwen2-7B", limits=unlimited, runtime=EngineRuntime.TENSORRT, gpu=L4)
    (verdict,) = gpu_memory(question)
    assert verdict.remedy == "try TP 2 | maxBatchSize 1024"
