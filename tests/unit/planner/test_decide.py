"""What is decided for a build: layouts that are asked for, GPUs that are chosen, nodes that are there or will come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases_refused_sources import DIVIDED
from public_models import A10, A100, H100, L4, NEW_IMAGE, ask, nodes

from support.clauses import clauses
from trtllm_api.buildoptions import Build, GpuSelector
from trtllm_api.enginebuild import Serving
from trtllm_api.verdict import judge, refusals
from trtllm_planner.decide import Decision, Refused, decide
from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.question import EngineQuestion, EngineStamp
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime

MIXED = Inventory((*nodes(A10, 4).nodes, *nodes(H100, 8, 8).nodes, *nodes(L4, 4, 4).nodes))
ENGINE = EngineRuntime.TENSORRT
DIGEST = "sha256:" + "a" * 64


def question(model: str = "Llama-3-70B", **changes: Any) -> EngineQuestion:
    """Of an engine that is served."""
    asked: dict[str, Any] = {"runtime": ENGINE, "gpu": None, "gpus_per_node": None, "serving": Serving(), **changes}
    return ask(model, **asked)


def decided(
    asked: Layout | None, inventory: Inventory, selector: GpuSelector | None = None, **changes: Any
) -> Decision:
    found = decide(question(**changes), asked, inventory, selector)
    assert isinstance(found, Decision), found
    return found


def refused(
    asked: Layout | None, inventory: Inventory, selector: GpuSelector | None = None, **changes: Any
) -> tuple[str, ...]:
    found = decide(question(**changes), asked, inventory, selector)
    assert isinstance(found, Refused), found
    assert found.verdicts
    return tuple(f"{verdict.reason}: {clauses(verdict)}" for verdict in found.verdicts)


def test_what_is_not_asked_for_is_planned_with_memory_reasons_and_alternatives() -> None:
    found = decided(None, MIXED)
    assert (str(found.layout), found.gpu, found.nodes, found.gpus_per_node) == ("TP 2", H100, 1, 2)
    assert found.memory[0] == ("weights", "66.7 GiB")
    assert found.why[1].startswith("the next smaller layout does not fit: TP 4 on NVIDIA-L4")
    assert found.alternatives == (
        "TP 4, PP 2 on 8 x NVIDIA-L4 (2 nodes of 4)",
        "TP 4 on 4 x NVIDIA-H100-80GB-HBM3",
    )
    assert found.host.memory > found.question.facts.bytes


@pytest.mark.parametrize(
    ("asked", "changes", "gpu", "nodes_and_gpus"),
    [
        (Layout(2), {"model": "Llama-3-8B"}, A10, (1, 2)),
        (Layout(4), {"model": "Llama-3-8B", "algorithm": Algorithm.FP8}, L4, (1, 4)),
        (Layout(8), {}, H100, (1, 8)),
        (Layout(8, 2), {}, H100, (2, 8)),
        (Layout(4, 3), {}, H100, (2, 8)),
        (Layout(4, 2), {}, L4, (2, 4)),
        (Layout(4, 1, 2), {}, H100, (1, 8)),
    ],
)
def test_a_layout_that_is_asked_for_goes_to_the_smallest_gpus_that_carry_it(
    asked: Layout, changes: dict[str, Any], gpu: GpuKind, nodes_and_gpus: tuple[int, int]
) -> None:
    found = decided(asked, MIXED, **changes)
    assert (found.layout, found.gpu) == (asked, gpu)
    assert (found.nodes, found.gpus_per_node) == (found.build_pods, found.build_gpus) == nodes_and_gpus


def test_every_rule_is_judged_and_what_no_gpu_mends_comes_first() -> None:
    assert refused(Layout(8), MIXED, model="Qwen2-7B", image=NEW_IMAGE) == (
        (
            "ImageMismatch: image nvcr.io/nvidia/tensorrt-llm/release:1.3.0 (TensorRT-LLM 1.3.0) has no TensorRT "
            "engine backend: 1.3.0rc20 was the last with it: use an image <= 1.2.x, or runtime PyTorch"
        ),
        "HeadsNotDivisible: 28 heads do not divide by TP 8: valid TP: 1, 2, 4",
    )


def test_each_kind_of_gpu_says_what_it_lacks() -> None:
    found = refused(Layout(1), Inventory((*nodes(A100, 1).nodes, *nodes(L4, 1).nodes)), algorithm=Algorithm.FP8)
    assert found == (
        (
            "GpuMemoryTooSmall: TP 1 on NVIDIA-L4 (22.5 GiB per GPU): weights 67.7 GiB + activations 2.6 GiB + "
            "runtime 1.5 GiB exceed it by 49.3 GiB: use larger GPUs, more of them, or a smaller precision"
        ),
        (
            "GpuNotSupported: FP8 needs SM89, SM90, SM100, SM103, SM120, SM121; NVIDIA-A100-SXM4-80GB is SM80: usable "
            "here: NO_QUANT, W8A16, W4A16, W4A16_AWQ, W4A16_GPTQ, W8A16_GPTQ, W8A8_SQ_PER_CHANNEL, MIXED_PRECISION"
        ),
    )


def test_another_parallelism_is_named_where_the_one_asked_for_does_not_fit() -> None:
    found = decide(question(), Layout(1), MIXED)
    assert isinstance(found, Refused)
    assert found.would_fit == ("another parallelism: TP 2 on 2 x NVIDIA-H100-80GB-HBM3",)


def test_too_few_nodes_are_refused_with_numbers_unless_an_autoscaler_brings_more() -> None:
    assert refused(Layout(8, 4), MIXED) == (
        (
            "NoMatchingGpu: TP 8, PP 4 takes 32 GPUs of one product at the same time, and the cluster has 16 x "
            "NVIDIA-H100-80GB-HBM3 (2 nodes of 8), 8 x NVIDIA-L4 (2 nodes of 4), 4 x NVIDIA-A10 (1 node): use "
            "16 ranks or fewer, or leave spec.serving out and set spec.build.gpus, to build only, or set "
            "spec.gpu.perNode if an autoscaler adds nodes"
        ),
    )
    more = decided(Layout(8, 4), MIXED, GpuSelector(per_node=8))
    assert (more.gpu, more.nodes, more.gpus_per_node) == (H100, 4, 8)
    assert more.why[-1] == "2 of 4 nodes of 8 x NVIDIA-H100-80GB-HBM3 are there now"


def test_a_pytorch_server_is_not_told_to_build_only() -> None:
    assert "build.gpus" not in refused(Layout(8, 4), MIXED, runtime=EngineRuntime.PYTORCH)[0]


def test_nodes_are_counted_with_the_gpus_of_each_that_are_to_be_used() -> None:
    found = decided(Layout(2, 3), MIXED, GpuSelector(per_node=4, product=H100.product))
    assert (found.nodes, found.gpus_per_node) == (2, 4)
    small = decided(Layout(2), MIXED, GpuSelector(per_node=4, product=H100.product))
    assert (small.nodes, small.gpus_per_node) == (1, 2)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (GpuSelector(product=H100.product), H100),
        (GpuSelector(compute_capability="8.6"), A10),
        (GpuSelector(memory="60Gi"), H100),
        (GpuSelector(per_node=8), H100),
    ],
)
def test_the_selector_narrows_the_choice(selector: GpuSelector, chosen: GpuKind) -> None:
    assert decided(Layout(2), MIXED, selector, model="Llama-3-8B").gpu == chosen
    assert decided(None, MIXED, selector, model="Llama-3-8B").gpu == chosen


def test_a_gpu_that_no_node_has_yet_is_planned_from_the_table_or_from_what_is_said_of_it() -> None:
    known = decided(None, Inventory(), GpuSelector(product="NVIDIA-H200", per_node=8))
    assert (str(known.layout), known.gpu.product, known.gpu.capability) == ("TP 1", "NVIDIA-H200", (9, 0))
    said = GpuSelector(product="NVIDIA-NEXT", per_node=4, compute_capability="10.0", memory="200Gi")
    assert decided(Layout(4), MIXED, said).gpu == GpuKind("NVIDIA-NEXT", 200 << 10, (10, 0))
    larger = decided(Layout(8, 2), nodes(H100, 4), GpuSelector(product=H100.product, per_node=8))
    assert (larger.gpu, larger.nodes, larger.gpus_per_node) == (H100, 2, 8)


def test_a_plan_takes_nodes_that_will_come_only_where_those_that_are_there_do_not_do() -> None:
    selector = GpuSelector(product=L4.product, per_node=4)
    here = decided(None, nodes(L4, 4, 4), selector, model="Llama-3-8B")
    assert here.nodes == 1
    more = decided(None, nodes(L4, 4), selector)
    assert (str(more.layout), more.nodes) == ("TP 4, PP 2", 2)
    assert more.why[-1] == "1 of 2 nodes of 4 x NVIDIA-L4 are there now"


@pytest.mark.parametrize(
    ("inventory", "selector", "sentence"),
    [
        (
            Inventory(),
            None,
            (
                "no node has a GPU: none carries the labels nvidia.com/gpu.product, memory and compute.major: "
                "add GPU nodes with the GPU operator or gpu-feature-discovery; or, if an autoscaler adds them, "
                "set spec.gpu.product and spec.gpu.perNode"
            ),
        ),
        (
            MIXED,
            GpuSelector(product="H100"),
            (
                "no node has H100: the cluster has 16 x NVIDIA-H100-80GB-HBM3 (2 nodes of 8), 8 x NVIDIA-L4 (2 "
                "nodes of 4), 4 x NVIDIA-A10 (1 node): did you mean NVIDIA-H100-80GB-HBM3? Use a product that "
                "a node has, or also set spec.gpu.perNode if an autoscaler adds such nodes"
            ),
        ),
        (
            nodes(L4, 4, 2),
            GpuSelector(product="NVIDIA-H200"),
            (
                "no node has NVIDIA-H200: the cluster has 6 x NVIDIA-L4 (2 nodes of 4, 2): use a product that "
                "a node has, or also set spec.gpu.perNode if an autoscaler adds such nodes"
            ),
        ),
        (
            nodes(L4, 4),
            GpuSelector(compute_capability="9.0", memory="80Gi", per_node=8),
            (
                "no node has a GPU (compute capability 9.0, 80Gi of memory, 8 GPUs per node): the cluster has "
                "4 x NVIDIA-L4 (1 node): relax spec.gpu, or add such nodes"
            ),
        ),
        (
            nodes(L4, 4),
            GpuSelector(product="NVIDIA-NEXT", per_node=8),
            (
                "no node has NVIDIA-NEXT (8 GPUs per node) now, and the memory and compute capability of this "
                "product are not known: set spec.gpu.computeCapability and spec.gpu.memory, as nvidia-smi "
                "reports them"
            ),
        ),
    ],
)
@pytest.mark.parametrize("asked", [None, Layout(8)])
def test_gpus_that_are_not_there_are_named_beside_those_that_are(
    inventory: Inventory, selector: GpuSelector | None, sentence: str, asked: Layout | None
) -> None:
    assert refused(asked, inventory, selector) == (f"NoMatchingGpu: {sentence}",)


def test_without_a_gpu_everything_else_that_is_wrong_is_said_too() -> None:
    rules = [line.partition(":")[0] for line in refused(Layout(8), Inventory(), model="Qwen2-7B", image=NEW_IMAGE)]
    assert rules == ["ImageMismatch", "HeadsNotDivisible", "NoMatchingGpu"]


def test_one_gpu_builds_all_ranks_of_an_engine_that_is_not_served() -> None:
    one = nodes(H100, 1)
    found = decided(Layout(8, 2), one, serving=None, build=Build(gpus=1))
    assert (found.layout, found.build_pods, found.build_gpus) == (Layout(8, 2), 1, 1)
    assert "NoMatchingGpu" in refused(Layout(8, 2), one, build=Build(gpus=1))[0]
    assert "NoMatchingGpu" in refused(Layout(8, 2), one, serving=None)[0]


def test_fewer_gpus_build_on_fewer_nodes_and_all_ranks_serve() -> None:
    found = decided(Layout(8, 2), MIXED, build=Build(gpus=4))
    assert (found.nodes, found.gpus_per_node) == (2, 8)
    assert (found.build_pods, found.build_gpus) == (1, 4)
    two = decided(Layout(8, 2), MIXED, build=Build(gpus=12))
    assert (two.build_pods, two.build_gpus) == (2, 6)
    more = decided(Layout(8), MIXED, build=Build(gpus=64))
    assert (more.build_pods, more.build_gpus) == (1, 8)


def test_a_build_that_finds_too_few_gpus_is_told_how_many_there_are() -> None:
    assert refused(Layout(8), nodes(H100, 1, 1), serving=None, build=Build(gpus=4)) == (
        (
            "NoMatchingGpu: the build takes 4 pods of 1 GPUs at the same time, and the cluster has 2 x "
            "NVIDIA-H100-80GB-HBM3 (2 nodes of 1): set spec.build.gpus to 2 or less, so that ranks are built "
            "one after another; or set spec.gpu.perNode if an autoscaler adds nodes"
        ),
    )


def test_a_claim_of_one_node_carries_a_build_on_one_node_only() -> None:
    claim: dict[str, Any] = {"access_mode": "ReadWriteOnce"}
    assert refused(Layout(8, 2), MIXED, **claim)[0].startswith("PodUnsuitable: the claim is ReadWriteOnce")
    alone = decided(Layout(8, 2), MIXED, serving=None, build=Build(gpus=8), **claim)
    assert alone.build_pods == 1


def test_slices_and_shared_gpus_carry_one_rank() -> None:
    mig = GpuKind("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", 40192, (8, 0), mig=True)
    slices = Inventory((GpuNode("a", mig, 14),))
    assert decided(Layout(1), slices, model="Llama-3-8B").gpu == mig
    assert refused(Layout(2), slices, model="Llama-3-8B")[0].startswith(f"PodUnsuitable: {mig.product} is a MIG slice")


def test_nothing_that_fits_is_said_with_what_would() -> None:
    assert refused(None, nodes(L4, 1)) == (
        (
            "NoLayoutFits: the largest layout tried lacks room: TP 1 on NVIDIA-L4 (22.5 GiB per GPU): weights 131.4 "
            "GiB + activations 2.6 GiB + runtime 1.5 GiB exceed it by 113.0 GiB: would fit: TP 1 on 1 x NVIDIA-H200 | "
            "TP 2 on 2 x NVIDIA-H100-80GB-HBM3 | TP 2 on 2 x NVIDIA-A100-SXM4-80GB"
        ),
    )


def test_a_checkpoint_that_is_divided_already_decides_the_layout_and_another_one_is_refused() -> None:
    baked: dict[str, Any] = {"artifact": DIVIDED, "algorithm": Algorithm.W4A16_AWQ}
    assert decided(Layout(2), MIXED, **baked).layout == Layout(2)
    assert refused(Layout(4), MIXED, **baked)[0].startswith("CheckpointNotSupported: the artifact of QuantizedModel")


def test_what_was_built_before_does_not_bind_a_new_decision() -> None:
    old = EngineStamp("1.0.0", "NVIDIA-A10", (8, 6), 4, 4)
    assert decided(Layout(2), MIXED, stamp=old).layout == Layout(2)


def test_status_holds_the_decision_and_gives_the_layout_back() -> None:
    found = decided(None, nodes(A100, 8), model="Mixtral-8x7B", runtime=EngineRuntime.PYTORCH)
    plan = found.status(DIGEST)
    assert Layout(plan.tensor, plan.pipeline, plan.context, plan.moe_tensor, plan.moe_expert) == found.layout
    assert (plan.nodes, plan.gpus_per_node, plan.product, plan.compute_capability) == (1, 2, A100.product, "8.0")
    assert [(item.name, item.size) for item in plan.memory] == list(found.memory)
    assert decided(Layout(2), MIXED).status(DIGEST).moe_tensor is None


def test_what_was_decided_passes_preflight_and_is_the_same_whatever_the_order_of_nodes() -> None:
    found = decided(Layout(8, 2), MIXED)
    assert refusals(judge(ENGINE_RULES, found.question)) == ()
    turned = Inventory(tuple(reversed(MIXED.nodes)))
    assert decide(replace(question(), gpu=L4), Layout(8, 2), turned) == decide(question(), Layout(8, 2), MIXED)
