"""Search over all layouts of a model on an inventory, cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trtllm_api.verdict import Need, Verdict, judge, refusals
from trtllm_planner.inventory import GpuKind, Inventory
from trtllm_planner.memory import MIB, MemoryEstimate, estimate, weight_bytes
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules import ENGINE_RULES, PLACE_RULES
from trtllm_planner.rules.capacity import shortage
from trtllm_planner.rules.shape import misfits_of
from trtllm_planner.tensorrt_llm.layout import ONE_RANK, Layout, moe_layouts, nodes_for, valid_tensors
from trtllm_planner.tensorrt_llm.versions import Algorithm

ALTERNATIVES = 3
KIND_RULES = tuple(rule for rule in PLACE_RULES if Need.LAYOUT not in rule.needs)
"""Rules whose answer the kind of GPU alone decides."""


@dataclass(frozen=True)
class Placement:
    """A layout on GPUs of one kind, and the memory that it takes there."""

    layout: Layout
    gpu: GpuKind
    nodes: int
    gpus_per_node: int
    """GPUs of each pod."""
    memory: MemoryEstimate

    def __str__(self) -> str:
        """`TP 2 on 2 x NVIDIA-L4`, with the nodes if there are several."""
        place = f"{self.layout} on {self.layout.world} x {self.gpu.product}"
        return place + (f" ({self.nodes} nodes of {self.gpus_per_node})" if self.nodes > 1 else "")


def settle(question: EngineQuestion, placement: Placement) -> EngineQuestion:
    """The question with a placement filled in, for an engine and pods that do not exist yet."""
    return replace(
        question,
        layout=placement.layout,
        gpu=placement.gpu,
        gpus_per_node=placement.gpus_per_node,
        pods=placement.nodes,
        stamp=None,
        pod=None,
    )


@dataclass(frozen=True)
class _Candidate:
    """A number of ranks on GPUs of one kind, before the model is considered."""

    gpu: GpuKind
    tensor: int
    pipeline: int
    nodes: int
    per_node: int
    context: int = 1

    @property
    def cost(self) -> tuple[bool, int, int, int, tuple[int, int], str]:
        """Sort key: tensor parallelism inside a node, then smallest, then fastest, then the product's name."""
        world = self.tensor * self.pipeline * self.context
        major, minor = self.gpu.capability
        splits = self.nodes > 1 and self.per_node % self.tensor != 0
        return splits, world * self.gpu.usable_mib, world, self.pipeline, (-major, -minor), self.gpu.product


class Search:
    """One search over all layouts of a model on an inventory, cheapest first. It records why others do not fit."""

    def __init__(
        self,
        question: EngineQuestion,
        inventory: Inventory,
        alternatives: int = ALTERNATIVES,
        layout: Layout | None = None,
        per_node: int | None = None,
    ) -> None:
        self.question = question
        self.layout = layout
        """Layout of the spec or a checkpoint; if it is set, only GPUs for it are searched."""
        self._per_node = per_node
        """GPUs that such a layout takes of each node; None for a number that leaves no GPU idle."""
        self.refused: dict[GpuKind, Verdict] = {}
        """Kinds of GPU that cannot execute this, whatever the layout."""
        self.rejected: Verdict | None = None
        """Refusal by preflight of a layout that has room."""
        self.most_tokens = 0
        """The largest KV cache of all layouts, in tokens of one sequence."""
        self.smaller: str | None = None
        """Reason why the next cheaper layout does not fit."""
        self._alternatives = alternatives
        self._short: tuple[Layout, GpuKind] | None = None
        self._lack: int | None = None
        self._tensors = _usable_tensors(question)
        self._weights: dict[Layout, int] = {}
        self._shapes: dict[int, tuple[Layout, ...]] = {}
        self._inventory = inventory

    def run(self) -> list[Placement]:
        """The best placement and alternatives; empty where nothing fits."""
        found: list[Placement] = []
        least = weight_bytes(replace(self.question, layout=ONE_RANK))
        for candidate in sorted(self._candidates(), key=lambda item: item.cost):
            if found and not self._is_alternative(candidate, found):
                continue
            placement = self._place(candidate, least)
            if placement is None:
                continue
            if not found:
                self.smaller = self.shortage()
            found.append(placement)
            if len(found) > self._alternatives:
                break
        return found

    def _is_alternative(self, candidate: _Candidate, found: list[Placement]) -> bool:
        """Whether it is on another kind of GPU, or is the one faster layout on the best kind."""
        same = [item for item in found if item.gpu == candidate.gpu]
        if not same:
            return True
        first = found[0]
        return candidate.gpu == first.gpu and len(same) == 1 and candidate.tensor > first.layout.tensor

    def _candidates(self) -> Iterator[_Candidate]:
        for gpu in self._inventory.kinds():
            asked = replace(self.question, gpu=gpu, layout=ONE_RANK)
            verdicts = refusals(judge(KIND_RULES, asked))
            if verdicts:
                self.refused[gpu] = verdicts[0]
                continue
            yield from self._on_kind(gpu)

    def _on_kind(self, gpu: GpuKind) -> Iterator[_Candidate]:
        counts = self._inventory.counts(gpu)
        if not counts:
            return
        if self.layout is not None:
            yield from self._places(gpu, counts, self.layout)
            return
        layers = max(1, self.question.facts.layers)
        inside = [
            tensor for tensor in self._tensors if tensor <= (counts[0] if gpu.whole else 1) and self._layouts(tensor)
        ]
        for tensor in inside:
            yield _Candidate(gpu, tensor, 1, 1, tensor)
        if gpu.whole and inside:  # stages inside a node only where more tensor parallelism is impossible
            for pipeline in range(2, min(layers, counts[0] // inside[-1]) + 1):
                yield _Candidate(gpu, inside[-1], pipeline, 1, inside[-1] * pipeline)
        if not gpu.whole:
            return
        for per_node in sorted(set(counts)):
            nodes_with = sum(count >= per_node for count in counts)
            for tensor in self._tensors:
                if per_node % tensor:
                    continue
                for nodes in range(2, nodes_with + 1):
                    if nodes * per_node // tensor > layers:
                        break
                    yield _Candidate(gpu, tensor, nodes * per_node // tensor, nodes, per_node)

    def _places(self, gpu: GpuKind, counts: tuple[int, ...], layout: Layout) -> Iterator[_Candidate]:
        """Place a layout on one node if one is large enough, else on several, with idle GPUs and split groups last."""
        tensor, pipeline, context = layout.tensor, layout.pipeline, layout.context
        if layout.world <= (counts[0] if gpu.whole else 1):
            yield _Candidate(gpu, tensor, pipeline, 1, layout.world, context)
            return
        if not gpu.whole:
            return
        ways = []
        for per_node in range(1, counts[0] + 1) if self._per_node is None else (self._per_node,):
            nodes = nodes_for(layout.world, per_node)
            if nodes <= sum(count >= per_node for count in counts):
                splits = per_node % tensor != 0 and tensor % per_node != 0  # a tensor-parallel group across two nodes
                ways.append((splits, nodes * per_node - layout.world, nodes, per_node))
        if ways:
            _, _, nodes, per_node = min(ways)
            yield _Candidate(gpu, tensor, pipeline, nodes, per_node, context)

    def shortage(self) -> str | None:
        """Message of what the layout lacks that came nearest to fitting; None if room was not the reason."""
        if self._short is None:
            return None
        layout, gpu = self._short
        question = replace(self.question, layout=layout)
        return shortage(question, gpu, estimate(question, gpu, self._weights_of(question)))

    def _place(self, candidate: _Candidate, least: int) -> Placement | None:
        room = candidate.tensor * candidate.pipeline * candidate.context * candidate.gpu.usable_mib * MIB
        for shape in self._layouts(candidate.tensor):
            layout = replace(shape, pipeline=candidate.pipeline, context=candidate.context)
            if least > room:  # all these GPUs together are smaller than the model
                self._too_small(layout, candidate.gpu, least - room)
                return None
            question = replace(self.question, layout=layout)
            memory = estimate(question, candidate.gpu, self._weights_of(question))
            if not memory.fits:
                missing = (memory.needed_tokens - memory.tokens) * memory.kv_bytes_per_token
                self._too_small(layout, candidate.gpu, missing - min(0, memory.free))
                sequences = question.limits.sequences * question.limits.max_beam_width
                self.most_tokens = max(self.most_tokens, memory.tokens // sequences)
                continue
            placement = Placement(layout, candidate.gpu, candidate.nodes, candidate.per_node, memory)
            against = refusals(judge(ENGINE_RULES, settle(self.question, placement)))
            if not against:
                return placement
            self.rejected = against[0]
        return None

    def _too_small(self, layout: Layout, gpu: GpuKind, lack: int) -> None:
        if self._lack is None or lack < self._lack:
            self._short, self._lack = (layout, gpu), lack

    def _layouts(self, tensor: int) -> tuple[Layout, ...]:
        """Layouts whose shards the kernels accept: one per division of the experts; at most one for a dense model."""
        if self.layout is not None:
            return (self.layout,)
        if tensor not in self._shapes:
            question = self.question
            facts, asked = question.facts, question.layout
            base = Layout(tensor, 1, 1, asked.asked_moe_tensor, asked.asked_moe_expert)
            self._shapes[tensor] = tuple(
                layout for layout in moe_layouts(facts, base) if next(iter(misfits_of(question, layout)), None) is None
            )
        return self._shapes[tensor]

    def _weights_of(self, question: EngineQuestion) -> int:
        if question.layout not in self._weights:
            self._weights[question.layout] = weight_bytes(question)
        return self._weights[question.layout]


def _usable_tensors(question: EngineQuestion) -> tuple[int, ...]:
    tensors = valid_tensors(question.facts)
    if question.algorithm is Algorithm.SMOOTH_QUANT and question.facts.key_value_heads:
        return tuple(item for item in tensors if item <= question.facts.key_value_heads)
    return tensors
