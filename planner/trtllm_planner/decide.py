"""The decision about an engine or a PyTorch server: layout, nodes and GPUs, or every reason against it.

A layout from the spec is judged by every rule on each kind of GPU that spec.gpu allows, and the smallest kind that
passes is chosen. Without a layout, the planner chooses one. Serving needs a GPU for every rank at the same time; a
build alone does not (build.gpus). The nodes must exist, unless spec.gpu.perNode describes nodes of an autoscaler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trtllm_api.base import Digest
from trtllm_api.buildoptions import GpuSelector
from trtllm_api.enginestatus import EnginePlan, PlanItem
from trtllm_api.problem import as_sentence
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, judge, refusal, refusals
from trtllm_planner.host import HostNeeds
from trtllm_planner.inventory import NEW_NODES, GpuKind, GpuNode, Inventory, narrow
from trtllm_planner.plan import NoPlan, Plan, plan, plan_of
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules import ENGINE_RULES, FIXED_RULES, PLACE_RULES
from trtllm_planner.rules.shape import with_experts
from trtllm_planner.search import Search
from trtllm_planner.selection import build_too_large, nothing_left, too_few
from trtllm_planner.tensorrt_llm.layout import ONE_RANK, Layout, build_pods, nodes_for
from trtllm_planner.tensorrt_llm.versions import EngineRuntime

MOST_WHY = 16
"""Sentences that status.plan.why has room for."""
MOST_ALTERNATIVES = 4
"""Layouts that status.plan.alternatives has room for."""
MOST_FITTING = 3


@dataclass(frozen=True)
class Decision:
    """Where an engine is built and served, or a PyTorch server runs."""

    layout: Layout
    gpu: GpuKind
    nodes: int
    """Number of pods of one replica, each on a node of its own."""
    gpus_per_node: int
    """Number of GPUs of each of these pods."""
    build_pods: int
    """Number of pods that build; fewer than nodes if build.gpus is less than the number of ranks."""
    build_gpus: int
    """Number of GPUs of each pod that builds."""
    memory: tuple[tuple[str, str], ...]
    """Items of the fullest GPU's memory: (`weights`, `65.7 GiB`), ..."""
    why: tuple[str, ...]
    alternatives: tuple[str, ...]
    """Other layouts that fit."""
    warnings: tuple[Verdict, ...]
    host: HostNeeds
    question: EngineQuestion
    """The question with everything decided, as preflight judged it."""

    def status(self, inputs: Digest) -> EnginePlan:
        """The decision as status.plan."""
        layout = self.layout
        mixture = layout.asked_moe_tensor is not None or layout.asked_moe_expert is not None
        return EnginePlan(
            inputs=inputs,
            tensor=layout.tensor,
            pipeline=layout.pipeline,
            context=layout.context,
            moe_tensor=layout.moe_tensor if mixture else None,
            moe_expert=layout.moe_expert if mixture else None,
            nodes=self.nodes,
            gpus_per_node=self.gpus_per_node,
            product=self.gpu.product,
            compute_capability=f"{self.gpu.capability[0]}.{self.gpu.capability[1]}",
            memory=tuple(PlanItem(name=name, size=size) for name, size in self.memory),
            why=tuple(map(as_sentence, self.why)),
            alternatives=self.alternatives,
        )


@dataclass(frozen=True)
class Refused:
    """The Verdicts that stop an engine, in the order in which a user should fix them."""

    verdicts: tuple[Verdict, ...]
    would_fit: tuple[str, ...] = ()
    """Layouts and changes that were tried and fit."""


def decide(
    question: EngineQuestion,
    asked: Layout | None,
    inventory: Inventory,
    selector: GpuSelector | None = None,
) -> Decision | Refused:
    """Decide layout and GPUs. Of the question's own layout only the expert parallelism matters, of its GPU nothing."""
    narrowed = narrow(inventory, selector)
    per_node = selector.per_node if selector is not None else None
    if not narrowed.kinds():
        unplaced = replace(question, layout=asked or question.layout, gpu=None, gpus_per_node=None, pods=None)
        fixed = refusals(judge(ENGINE_RULES if asked is not None else FIXED_RULES, unplaced))
        return Refused((*fixed, nothing_left(inventory, selector)))
    if asked is not None:
        return _place(question, with_experts(question, asked), narrowed, per_node)
    found = plan(question, narrowed)
    if isinstance(found, NoPlan) and not found.verdicts and per_node is not None:
        found = plan(question, _with_more_nodes(narrowed))
    if isinstance(found, Plan):
        return _decision(found, narrowed)
    return Refused(found.verdicts or (_no_layout(found),), found.would_fit)


def _place(question: EngineQuestion, layout: Layout, narrowed: Inventory, per_node: int | None) -> Decision | Refused:
    """Place the layout of the spec, or give every Verdict of every kind of GPU."""
    gpus = question.build.gpus if question.build is not None else None
    builds_less = question.serving is None and gpus is not None and gpus < layout.world
    usable = _with_more_nodes(narrowed) if per_node is not None or builds_less else narrowed
    largest = per_node or max((counts[0] for kind in usable.kinds() if (counts := usable.counts(kind))), default=None)
    unplaced = replace(question, layout=layout, gpu=None, gpus_per_node=largest, pods=None, stamp=None, pod=None)
    general = refusals(judge(ENGINE_RULES, unplaced))
    search = Search(question, usable, MOST_ALTERNATIVES, layout, per_node)
    found = search.run() if not general else []
    if not found:
        return Refused(_verdicts(unplaced, general, usable, per_node), _other(question, narrowed))
    decision = _decision(plan_of(search, found), narrowed)
    if builds_less and per_node is None:
        lack = build_too_large(decision.build_pods, decision.build_gpus, narrowed, decision.gpu)
        if lack is not None:
            return Refused((lack,))
    return decision


def _decision(found: Plan, narrowed: Inventory) -> Decision:
    place, build = found.placement, found.question.build
    pods, gpus = build_pods(place.layout, place.nodes, place.gpus_per_node, build.gpus if build is not None else None)
    why = found.why
    there = sum(count >= place.gpus_per_node for count in narrowed.counts(place.gpu))
    if there < place.nodes and found.question.serving is not None:
        why = (*why, f"{there} of {place.nodes} nodes of {place.gpus_per_node} x {place.gpu.product} are there now")
    return Decision(
        layout=place.layout,
        gpu=place.gpu,
        nodes=place.nodes,
        gpus_per_node=place.gpus_per_node,
        build_pods=pods,
        build_gpus=gpus,
        memory=found.items(),
        why=why[:MOST_WHY],
        alternatives=tuple(map(str, found.alternatives[:MOST_ALTERNATIVES])),
        warnings=found.warnings,
        host=found.host,
        question=found.question,
    )


def _verdicts(
    question: EngineQuestion, general: tuple[Verdict, ...], usable: Inventory, per_node: int | None
) -> tuple[Verdict, ...]:
    """Verdicts that hold on every kind of GPU, then those of single kinds, the kind with the fewest first."""
    layout = question.layout
    known = {verdict.message for verdict in general}
    short: list[GpuKind] = []
    enough = False
    special: list[tuple[Verdict, ...]] = []
    for kind in usable.kinds():
        counts = usable.counts(kind)
        if not counts:
            continue
        each = min(layout.world, per_node or counts[0])
        nodes = nodes_for(layout.world, each)
        there = sum(count >= each for count in counts)
        asked = replace(question, gpu=kind, gpus_per_node=each, pods=nodes)
        against = tuple(item for item in refusals(judge(PLACE_RULES, asked)) if item.message not in known)
        enough = enough or there >= nodes
        if against:
            special.append(against)
        elif there < nodes:
            short.append(kind)
    engine_serves = question.serving is not None and question.runtime is EngineRuntime.TENSORRT
    few = None if general and enough else too_few(layout, usable, short, engine_serves)
    ordered = [*general, *([few] if few is not None else [])]
    ordered += [verdict for verdicts in sorted(special, key=len) for verdict in verdicts]
    return tuple({verdict.message: verdict for verdict in ordered}.values())


def _other(question: EngineQuestion, inventory: Inventory) -> tuple[str, ...]:
    """The layout that the planner would choose instead."""
    found = Search(replace(question, layout=ONE_RANK), inventory, 0).run()
    return tuple(f"another parallelism: {placement}" for placement in found)


def _no_layout(found: NoPlan) -> Verdict:
    fitting = " | ".join(found.would_fit[:MOST_FITTING])
    remedy = f"would fit: {fitting}" if fitting else "use larger GPUs, more of them, or a smaller precision"
    return refusal(Reason.NO_LAYOUT_FITS, "; ".join(found.why), remedy)


def _with_more_nodes(inventory: Inventory) -> Inventory:
    """The inventory with NEW_NODES more nodes of each kind, as an autoscaler could add them."""
    more = (
        GpuNode(f"new-{index}", kind, inventory.counts(kind)[0])
        for kind in inventory.kinds()
        if kind.whole and inventory.counts(kind)
        for index in range(NEW_NODES)
    )
    return Inventory((*inventory.nodes, *more))
