"""Rules about memory: gpu_memory for servers and engines, calibration_and_host_memory for Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.host import calibration_memory_needed, host_memory_needed
from trtllm_planner.inventory import GpuKind
from trtllm_planner.memory import MemoryEstimate, estimate, gib
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.rules.shape import fitting_tensors
from trtllm_planner.tensorrt_llm.layout import Layout, moe_layouts
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat, table_for


def gpu_memory(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a layout whose weights, activations and KV cache exceed the memory of the fullest GPU."""
    gpu = question.gpu
    if gpu is None or question.layout.pipeline > max(1, question.facts.layers):
        return
    need = estimate(question, gpu)
    if need.fits:
        return
    yield refusal(
        Reason.GPU_MEMORY_TOO_SMALL,
        shortage(question, gpu, need),
        remedies(question, gpu, need),
        {
            "weightBytes": need.weights,
            "activationBytes": need.activations,
            "availableBytes": need.available,
            "kvTokens": need.tokens,
            "neededTokens": need.needed_tokens,
        },
    )


def shortage(question: EngineQuestion, gpu: GpuKind, need: MemoryEstimate) -> str:
    """Message of what does not fit, item by item."""
    begin = f"{question.layout} on {gpu.product} ({gib(need.available)} per GPU): weights {gib(need.weights)}"
    rest = f" + activations {gib(need.activations)} + runtime {gib(need.runtime)}"
    if need.state:
        rest += f" + recurrent state of {question.limits.batch} sequences {gib(need.state)}"
    if need.free < 0:
        return f"{begin}{rest} exceed it by {gib(-need.free)}"
    wanted = f"maxSequenceLength {question.limits.max_seq_len}"
    if question.limits.sequences > 1:
        wanted += f" x {question.limits.sequences} sequences"
    return f"{begin}{rest} leave {gib(need.kv_pool)} = {need.tokens} KV tokens; {wanted} needs {need.needed_tokens}"


def remedies(question: EngineQuestion, gpu: GpuKind, need: MemoryEstimate) -> str:
    """Changes that fit by the same estimate, as a remedy."""
    found = []
    tensor = next((item for item in fitting_tensors(question) if item > question.layout.tensor), None)
    while tensor is not None and tensor <= (question.gpus_per_node or 8) and gpu.whole:
        layout = next(iter(moe_layouts(question.facts, Layout(tensor, question.layout.pipeline))))
        if estimate(replace(question, layout=layout), gpu).fits:
            found.append(f"TP {tensor}")
            break
        tensor = next((item for item in fitting_tensors(question) if item > tensor), None)
    eight_bits = gpu.capability in table_for(question.image.version).fp8_kv_cache
    if (
        question.kv_cache is KvFormat.AUTO
        and eight_bits
        and estimate(replace(question, kv_cache=KvFormat.FP8), gpu, need.weights).fits
    ):
        found.append("FP8 KV cache")
    batch = fitting_batch(question, gpu, need.weights)
    if batch:
        found.append(f"maxBatchSize {batch}")
    length = longest_sequence(question, need)
    if length:
        found.append(f"maxSequenceLength {length} or less")
    return "try " + " | ".join(found) if found else "use larger GPUs, more of them, or a smaller precision"


def fitting_batch(question: EngineQuestion, gpu: GpuKind, weights: int) -> int:
    """The largest half, quarter, ... of max_batch_size that fits and holds limits.sequences; 0 if none does."""
    batch = question.limits.batch // 2
    while batch >= max(8, question.limits.sequences):
        limits = replace(question.limits, max_batch_size=batch)
        if estimate(replace(question, limits=limits), gpu, weights).fits:
            return batch
        batch //= 2
    return 0


def longest_sequence(question: EngineQuestion, need: MemoryEstimate) -> int:
    """The longest sequence that this layout's KV cache holds, in whole blocks of tokens; 0 if none."""
    if question.options.kv_cache_type is not KvCacheType.PAGED:
        return 0
    per_sequence = need.tokens // (question.limits.sequences * question.limits.max_beam_width)
    block = question.options.tokens_per_block
    return per_sequence // block * block


def calibration_and_host_memory(question: EngineQuestion) -> Iterator[Verdict]:
    """Warn of less memory than heuristics from reports of killed Jobs need; refuse less than the source's own size."""
    host, source = question.host, question.facts.bytes
    if host is None or source == 0:
        return
    if host.calibrates and host.gpu_memory_bytes:
        yield from _room(
            "GPU memory to calibrate",
            host.gpu_memory_bytes,
            calibration_memory_needed(question.facts, searched=question.algorithm is Algorithm.MIXED),
            source,
            "use more or larger GPUs, so that no layer is offloaded",
        )
    if question.runtime is not EngineRuntime.TENSORRT:
        return
    yield from _room(
        "host memory to convert and build",
        host.memory_bytes,
        host_memory_needed(source),
        source,
        f"set podTemplate.resources.requests.memory to {gib(host_memory_needed(source))}",
    )


def _room(what: str, has: int, needed: int, source: int, remedy: str) -> Iterator[Verdict]:
    if has >= needed:
        return
    yield (refusal if has < source else warning)(
        Reason.HOST_MEMORY_TOO_SMALL,
        f"{gib(has)} of {what} a checkpoint of {gib(source)}; the heuristic is {gib(needed)}",
        remedy,
        {"bytes": has, "neededBytes": needed},
    )
