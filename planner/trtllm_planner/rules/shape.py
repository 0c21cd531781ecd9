"""Rules about the division of a model: heads_and_layers, moe, shard_alignment, world_size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.memory import format_of
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.layout import (
    MOST_TENSOR,
    Layout,
    divisors,
    gpus_per_pod,
    heads_divide,
    key_values_divide,
    moe_layouts,
    nodes_for,
    valid_tensors,
)
from trtllm_planner.tensorrt_llm.shards import Misfit, misfits
from trtllm_planner.tensorrt_llm.versions import GROUPED, Algorithm

SMALLER_GROUPS = (64,)
"""Group sizes below the usual 128 for which kernels exist."""


def listing(numbers: Iterable[int]) -> str:
    """Numbers as text: `1, 2, 4`, or `none`."""
    return ", ".join(map(str, numbers)) or "none"


def _tensors(question: EngineQuestion) -> tuple[int, ...]:
    most = min(MOST_TENSOR, question.gpus_per_node or MOST_TENSOR)
    found = valid_tensors(question.facts, question.layout.context, most)
    if question.algorithm is Algorithm.SMOOTH_QUANT and question.facts.key_value_heads:
        return tuple(item for item in found if item <= question.facts.key_value_heads)
    return found


def heads_and_layers(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a division that splits a head, or has a pipeline stage without a layer."""
    facts, layout = question.facts, question.layout
    tensor, context = layout.tensor, layout.context
    valid = f"valid TP: {listing(_tensors(question))}"
    if not heads_divide(facts, tensor, context):
        by = f"TP {tensor}" + (f" x CP {context} = {tensor * context}" if context > 1 else "")
        yield refusal(
            Reason.HEADS_NOT_DIVISIBLE,
            f"{facts.heads} heads do not divide by {by}",
            valid,
            {"heads": facts.heads, "tensor": tensor, "context": context},
        )
    elif not key_values_divide(facts, tensor):
        yield refusal(
            Reason.HEADS_NOT_DIVISIBLE,
            f"{facts.key_value_heads} key/value heads and TP {tensor}: neither divides the other",
            valid,
            {"keyValueHeads": facts.key_value_heads, "tensor": tensor},
        )
    elif question.algorithm is Algorithm.SMOOTH_QUANT and tensor > facts.key_value_heads > 0:
        yield refusal(
            Reason.HEADS_NOT_DIVISIBLE,
            f"SmoothQuant cannot copy the scales of {facts.key_value_heads} key/value heads to TP {tensor} ranks",
            valid,
            {"keyValueHeads": facts.key_value_heads, "tensor": tensor},
        )
    if layout.pipeline > facts.layers:
        yield refusal(
            Reason.PIPELINE_TOO_LONG,
            f"PP {layout.pipeline} exceeds the model's {facts.layers} layers",
            f"use PP {facts.layers} or less",
            {"layers": facts.layers, "pipeline": layout.pipeline},
        )


def moe(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse an expert parallelism that does not divide the experts, or contradicts the tensor parallelism."""
    facts, layout = question.facts, question.layout
    asked = layout.asked_moe_tensor is not None or layout.asked_moe_expert is not None
    if facts.experts == 0:
        if asked and (layout.moe_expert > 1 or layout.moe_tensor not in {1, layout.tensor}):
            yield refusal(
                Reason.EXPERT_PARALLELISM_INVALID,
                f"expert parallelism (MoE TP {layout.moe_tensor}, EP {layout.moe_expert}) is set, but "
                f"{facts.architecture} has no experts",
                "leave it out",
            )
        return
    if asked and layout.context > 1:
        yield refusal(
            Reason.EXPERT_PARALLELISM_INVALID,
            f"CP {layout.context} cannot be combined with MoE TP {layout.moe_tensor} and EP {layout.moe_expert}",
            "leave CP at 1, or MoE TP and EP out",
            {"context": layout.context},
        )
        return
    ways = [
        f"{layout.tensor // expert} x {expert}" for expert in divisors(layout.tensor) if facts.experts % expert == 0
    ]
    remedy = f"MoE TP x EP that work: {', '.join(ways)}"
    if layout.moe_tensor * layout.moe_expert != layout.tensor:
        yield refusal(
            Reason.EXPERT_PARALLELISM_INVALID,
            f"MoE TP {layout.moe_tensor} x EP {layout.moe_expert} = {layout.moe_tensor * layout.moe_expert} is not "
            f"TP {layout.tensor}",
            remedy,
            {"tensor": layout.tensor, "moeTensor": layout.moe_tensor, "moeExpert": layout.moe_expert},
        )
    elif facts.experts % layout.moe_expert:
        yield refusal(
            Reason.EXPERTS_NOT_DIVISIBLE,
            f"{facts.experts} experts do not divide by EP {layout.moe_expert}",
            remedy,
            {"experts": facts.experts, "moeExpert": layout.moe_expert},
        )


def fitting_tensors(question: EngineQuestion) -> tuple[int, ...]:
    """Tensor parallelisms that heads and shards allow, with the expert parallelism of the layout or any."""
    return tuple(tensor for tensor in _tensors(question) if _aligned(question, tensor))


def _aligned(question: EngineQuestion, tensor: int) -> bool:
    asked = question.layout
    expert = asked.asked_moe_expert
    return _fits(question, Layout(tensor, 1, asked.context, None, expert if expert and tensor % expert == 0 else None))


def _fits(question: EngineQuestion, layout: Layout) -> bool:
    return next(iter(misfits_of(question, layout)), None) is None


def with_experts(question: EngineQuestion, layout: Layout) -> Layout:
    """The layout with a division of the experts: each is cut if the kernels accept the pieces, else kept whole."""
    if question.artifact is not None and question.artifact.engine_format:
        return layout  # the checkpoint is divided already
    return next((way for way in moe_layouts(question.facts, layout) if _fits(question, way)), layout)


def _expert_ways(question: EngineQuestion) -> tuple[Layout, ...]:
    """Divisions of the experts at this tensor parallelism that the kernels accept."""
    layout = question.layout
    bare = Layout(layout.tensor, layout.pipeline, layout.context)
    return tuple(way for way in moe_layouts(question.facts, bare) if _fits(question, way))


def shard_alignment(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a layout whose shards of quantized layers are no multiple of the kernels' groups, blocks and tiles."""
    found = list(misfits_of(question, question.layout))
    if not found:
        return
    worst, more = next((item for item in found if item.side == "K"), found[0]), len(found) - 1
    yield refusal(
        Reason.SHARD_NOT_ALIGNED,
        f"{question.algorithm} at {question.layout}: {worst.sentence()}"
        + (f", nor are {more} more layers aligned" if more else ""),
        _aligned_remedy(question, found),
        {"inFeatures": worst.full, "parts": worst.parts, "multiple": worst.multiple},
    )


def _aligned_remedy(question: EngineQuestion, found: list[Misfit]) -> str:
    remedies = []
    ways = [way.moe_expert for way in _expert_ways(question) if way.moe_expert > 1]
    if ways:
        remedies.append(f"parallelism.moeExpert {listing(ways)} (whole experts on each rank) at this TP")
    valid = fitting_tensors(question)
    if valid:
        remedies.append(f"valid TP: {listing(valid)}")
    if question.algorithm in GROUPED:
        for size in SMALLER_GROUPS:
            smaller = fitting_tensors(replace(question, group_size=size)) if size < question.group else ()
            if set(smaller) - set(valid):
                remedies.append(f"with group size {size}: {listing(smaller)}")
    if remedies:
        return "; ".join(remedies)
    names = list(dict.fromkeys(item.linear.name for item in found))
    return f"add {', '.join(names[:4])}{', ...' if len(names) > 4 else ''} to excludeModules, or use another method"


def misfits_of(question: EngineQuestion, layout: Layout) -> Iterable[Misfit]:
    """Quantized layers whose shards the kernels of their formats refuse at this layout."""
    return misfits(question.facts, layout, lambda linear: format_of(linear, question), question.group)


def world_size(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse pods whose GPUs are not the number of ranks; warn of idle GPUs and of layers that span nodes."""
    layout, per_node = question.layout, question.gpus_per_node
    if per_node is None:
        return
    needed = nodes_for(layout.world, per_node)
    pod_gpus = gpus_per_pod(layout.world, per_node)
    if question.pods is not None and question.pods != needed:
        yield refusal(
            Reason.WORLD_SIZE_MISMATCH,
            f"{layout} has {layout.world} ranks, but {question.pods} pods x {pod_gpus} GPUs are "
            f"{question.pods * pod_gpus}",
            f"use {needed} pods, or a layout of {question.pods * pod_gpus} ranks",
            {"world": layout.world, "pods": question.pods, "gpusPerPod": pod_gpus},
        )
    elif layout.world % pod_gpus:
        yield warning(
            Reason.GPUS_IDLE,
            f"{layout} has {layout.world} ranks: {needed * pod_gpus - layout.world} GPUs of the last of {needed} pods "
            f"of {pod_gpus} stay idle",
            f"use a layout of {needed * pod_gpus} ranks, or fewer GPUs per pod",
            {"world": layout.world, "gpusPerPod": pod_gpus},
        )
    if layout.tensor > per_node:
        yield warning(
            Reason.TENSOR_SPANS_NODES,
            f"TP {layout.tensor} spans nodes of {per_node} GPUs: every layer waits for the network",
            f"use TP {per_node} inside a node and PP across nodes",
            {"tensor": layout.tensor, "gpusPerNode": per_node},
        )
