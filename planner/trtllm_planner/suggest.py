"""Changes that would fit if nothing does: another cache, length, method or GPU, each found by planning again."""

from __future__ import annotations

from dataclasses import replace

from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.search import Placement, Search
from trtllm_planner.tensorrt_llm.architectures import QUANTIZABLE
from trtllm_planner.tensorrt_llm.foreign import made_from
from trtllm_planner.tensorrt_llm.gpus import PRODUCTS
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import BITS, Algorithm, KvFormat

NODE_GPUS = 8
MOST_PRODUCTS = 3
MORE_NODES = 3
MOST_FORMATS = 2
_FEW = 64
"""A batch size whose logits take little room."""
_SMALLER = (Algorithm.FP8, Algorithm.W8A16, Algorithm.W4A16_AWQ, Algorithm.NVFP4)
"""Methods to propose, the one that loses the least quality first."""
_NAMES = {Algorithm.FP8: "FP8 (per tensor)"}


def reasons(search: Search, inventory: Inventory) -> tuple[str, ...]:
    """Reasons why nothing fits."""
    why = [f"{kind.product}: {verdict.message}" for kind, verdict in search.refused.items()]
    short = search.shortage()
    if not inventory.kinds():
        why.append("no node has a GPU: none carries the labels nvidia.com/gpu.product, memory and compute.major")
    elif short is not None:
        why.append("the largest layout tried lacks room: " + short)
    elif search.rejected is not None:
        why.append(search.rejected.sentence)
    elif len(search.refused) < len(inventory.kinds()):
        why.append("no tensor parallelism divides the model's heads and quantized layers on these GPUs")
    return tuple(why)


def _best(question: EngineQuestion, inventory: Inventory, layout: Layout | None) -> Placement | None:
    return next(iter(Search(question, inventory, 0, layout).run()), None)


def would_fit(question: EngineQuestion, inventory: Inventory, search: Search) -> tuple[str, ...]:
    """Changes that were tried and fit."""
    found = []
    if search.layout is not None:
        placement = _best(question, inventory, None)
        if placement is not None:
            found.append(f"another parallelism: {placement}")
    block = question.options.tokens_per_block
    length = search.most_tokens // block * block
    if length and question.options.kv_cache_type is KvCacheType.PAGED:
        shorter = replace(question, limits=replace(question.limits, max_seq_len=length))
        placement = _best(shorter, inventory, search.layout)
        if placement is not None:
            found.append(f"maxSequenceLength {length}: {placement}")
    batch = max(_FEW, question.limits.sequences)
    if batch < question.limits.batch:
        fewer = replace(question, limits=replace(question.limits, max_batch_size=batch))
        placement = _best(fewer, inventory, search.layout)
        if placement is not None:
            found.append(f"maxBatchSize {batch}: {placement}")
    if question.kv_cache is KvFormat.AUTO:
        placement = _best(replace(question, kv_cache=KvFormat.FP8), inventory, search.layout)
        if placement is not None:
            found.append(f"FP8 KV cache: {placement}")
    if question.details.checkpoint is None and question.facts.quantization is None:
        for algorithm in _SMALLER:
            if BITS[algorithm] < BITS[question.algorithm]:
                smaller = replace(question, algorithm=algorithm, group_size=None)
                placement = _best(smaller, inventory, search.layout)
                if placement is not None:
                    found.append(f"{algorithm}: {placement}")
                    break
    found += _other_formats(question, inventory, search)
    return (*found, *_more_nodes(question, inventory, search), *_products(question, search.layout))


def _other_formats(question: EngineQuestion, inventory: Inventory, search: Search) -> list[str]:
    """The same model in another format, if its own has no kernels or no room on these GPUs."""
    checkpoint = question.details.checkpoint if question.artifact is None else None
    if checkpoint is None:
        return []
    lacks = len(search.refused) == len(inventory.kinds())
    own = question.algorithm
    facts = question.facts.model_copy(
        update={
            "details": question.details.model_copy(update={"checkpoint": None}),
            "linears": tuple(linear.model_copy(update={"algorithm": None}) for linear in question.facts.linears),
            "quantization": None,
        }
    )
    found = []
    for algorithm in (*_SMALLER, Algorithm.NONE) if lacks else _SMALLER:
        if algorithm is own or (not lacks and BITS[algorithm] >= BITS[own]):
            continue
        other = replace(question, facts=facts, algorithm=algorithm, group_size=None)
        placement = _best(other, inventory, search.layout)
        if placement is not None:
            found.append(f"{_made(question, algorithm)}: {placement}")
    return found[:MOST_FORMATS]


def _made(question: EngineQuestion, algorithm: Algorithm) -> str:
    """Name of the model's checkpoint in another format."""
    facts, first = question.facts, made_from(question.facts)
    if algorithm is Algorithm.NONE:
        return "the BF16 original" if first is None else "a BF16 copy (" + first + ")"
    if facts.architecture not in QUANTIZABLE:
        return f"a checkpoint of the model in {algorithm}"
    name = _NAMES.get(algorithm, str(algorithm))
    if first is None:
        return f"{name}, quantized from the BF16 original"
    return f"{name}, quantized from a BF16 copy ({first})"


def _more_nodes(question: EngineQuestion, inventory: Inventory, search: Search) -> list[str]:
    """Placements on more nodes with the cluster's kinds of GPU."""
    found = []
    for kind in inventory.kinds():
        counts = inventory.counts(kind)
        if kind.whole and counts and kind not in search.refused:
            nodes = tuple(GpuNode(f"node-{index}", kind, counts[0]) for index in range(len(counts) + MORE_NODES))
            placement = _best(question, Inventory(nodes), search.layout)
            if placement is not None:
                found.append(str(placement))
    return found


def _products(question: EngineQuestion, layout: Layout | None) -> list[str]:
    """Placements on the smallest known GPUs that fit, with up to NODE_GPUS on one node."""
    placements = []
    for product in PRODUCTS:
        if not product.common:
            continue
        kind = GpuKind(product.name, product.memory_mib, product.capability)
        placement = _best(question, Inventory((GpuNode("one", kind, NODE_GPUS),)), layout)
        if placement is not None:
            placements.append(placement)
    placements.sort(key=lambda item: (item.layout.world * item.gpu.usable_mib, item.layout.world, item.gpu.product))
    return [str(placement) for placement in placements[:MOST_PRODUCTS]]
