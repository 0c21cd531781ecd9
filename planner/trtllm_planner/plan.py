"""The planner: the smallest and then fastest layout that fits on the GPUs of an inventory.

The smallest layout takes the least GPU memory (GPUs x memory), then the fewest GPUs. The fastest of these has the
fewest pipeline stages, on the newest GPU. Tensor parallelism stays inside a node, pipeline parallelism crosses nodes.
Every proposal has passed the preflight rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trtllm_api.verdict import Verdict, judge, refusals, warnings
from trtllm_planner.host import HostNeeds, host_needs
from trtllm_planner.inventory import Inventory
from trtllm_planner.memory import MemoryEstimate, gib
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules import ENGINE_RULES, FIXED_RULES
from trtllm_planner.search import KIND_RULES, Placement, Search, settle
from trtllm_planner.suggest import reasons, would_fit
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import ENGINE_ENDS, EngineRuntime


@dataclass(frozen=True)
class Plan:
    """A layout that fits, and what it needs."""

    placement: Placement
    question: EngineQuestion
    """The question with everything decided, as preflight judged it."""
    host: HostNeeds
    alternatives: tuple[Placement, ...]
    why: tuple[str, ...]
    warnings: tuple[Verdict, ...]

    def items(self) -> tuple[tuple[str, str], ...]:
        """Memory of the fullest GPU by item, as text."""
        return memory_items(self.placement.memory)


@dataclass(frozen=True)
class NoPlan:
    """Reasons why nothing fits, and what would fit."""

    verdicts: tuple[Verdict, ...]
    """Refusals that no layout changes; empty if only room is missing."""
    why: tuple[str, ...]
    would_fit: tuple[str, ...]


def memory_items(memory: MemoryEstimate) -> tuple[tuple[str, str], ...]:
    """Names of the items and their sizes, as text."""
    return (
        ("weights", gib(memory.weights)),
        ("activations", gib(memory.activations)),
        *([("recurrent state", gib(memory.state))] if memory.state else []),
        ("runtime", gib(memory.runtime)),
        ("KV cache", f"{gib(memory.kv_pool)} = {memory.tokens} tokens, {memory.needed_tokens} needed"),
        ("reserve", gib(max(0, memory.free - memory.kv_pool))),
        ("GPU", gib(memory.available)),
    )


def plan(question: EngineQuestion, inventory: Inventory, layout: Layout | None = None) -> Plan | NoPlan:
    """Choose layout and GPU from an inventory; those of the question are ignored, except its expert parallelism.

    With `layout`, only the GPUs are chosen.
    """
    asked = question.layout
    ranks = (asked.asked_moe_tensor or 1) * (asked.asked_moe_expert or 1)
    least = Layout(ranks, 1, 1, asked.asked_moe_tensor, asked.asked_moe_expert)
    if layout is None:
        fixed = refusals(judge(FIXED_RULES, replace(question, layout=least, gpu=None)))
    else:
        fixed = refusals(judge(ENGINE_RULES, replace(question, layout=layout, gpu=None, gpus_per_node=None, pods=None)))
    if fixed:
        fixed = (*fixed, *_lacking(question, inventory, fixed))
        return NoPlan(fixed, tuple(verdict.message for verdict in fixed), ())
    search = Search(question, inventory, layout=layout)
    found = search.run()
    if not found:
        return NoPlan((), reasons(search, inventory), would_fit(question, inventory, search))
    return plan_of(search, found)


def _lacking(question: EngineQuestion, inventory: Inventory, fixed: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Refusals by all kinds of GPU, to be shown beside `fixed`; empty if one kind can execute the model."""
    known = {verdict.message for verdict in fixed}
    found = []
    for kind in inventory.kinds():
        against = [
            verdict for verdict in judge(KIND_RULES, replace(question, gpu=kind)) if verdict.message not in known
        ]
        refused = refusals(tuple(against))
        if not refused:
            return ()
        found.append(refused[0])
    return tuple({verdict.message: verdict for verdict in found}.values())


def plan_of(search: Search, found: Sequence[Placement]) -> Plan:
    """Plan from the placements of a search, the best first."""
    best = found[0]
    decided = settle(search.question, best)
    return Plan(
        placement=best,
        question=decided,
        host=host_needs(decided),
        alternatives=tuple(found[1:]),
        why=_why(best, search),
        warnings=warnings(judge(ENGINE_RULES, decided)),
    )


def _why(best: Placement, search: Search) -> tuple[str, ...]:
    memory = best.memory
    items = f"weights {gib(memory.weights)}, activations {gib(memory.activations)}, runtime {gib(memory.runtime)}"
    lines = [f"{best}: {items}, KV cache {gib(memory.kv_pool)} of {gib(memory.available)} per GPU"]
    if search.smaller is not None:
        lines.append("the next smaller layout does not fit: " + search.smaller)
    lines += [verdict.sentence for verdict in search.refused.values()]
    if search.question.runtime is EngineRuntime.TENSORRT:
        lines.append(ENGINE_ENDS)
    return tuple(lines)
