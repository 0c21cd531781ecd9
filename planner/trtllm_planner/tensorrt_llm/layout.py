"""Arithmetic of parallelism: ranks, nodes, heads, layers and experts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trtllm_api.facts import ModelFacts

MOST_TENSOR = 64
"""Largest tensor parallelism that is tried."""


@dataclass(frozen=True)
class Layout:
    """Division of an engine among ranks."""

    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    asked_moe_tensor: int | None = None
    asked_moe_expert: int | None = None

    @property
    def world(self) -> int:
        """Number of ranks; each has a GPU."""
        return self.tensor * self.pipeline * self.context

    @property
    def moe_expert(self) -> int:
        """Number of ranks that the experts are distributed over; by default what moe_tensor leaves."""
        if self.asked_moe_expert is not None:
            return self.asked_moe_expert
        return max(1, self.tensor // self.asked_moe_tensor) if self.asked_moe_tensor else 1

    @property
    def moe_tensor(self) -> int:
        """Number of ranks that each expert is cut for; by default what moe_expert leaves."""
        if self.asked_moe_tensor is not None:
            return self.asked_moe_tensor
        return max(1, self.tensor // self.asked_moe_expert) if self.asked_moe_expert else self.tensor

    def __str__(self) -> str:
        """The layout as text: `TP 4, PP 2`. Only TP is named if it is one."""
        parts = [f"TP {self.tensor}"]
        if self.pipeline > 1:
            parts.append(f"PP {self.pipeline}")
        if self.context > 1:
            parts.append(f"CP {self.context}")
        if self.moe_expert > 1:
            parts.append(f"EP {self.moe_expert}")
        return ", ".join(parts)


ONE_RANK = Layout()


def nodes_for(world: int, gpus_per_node: int) -> int:
    """Number of nodes, and so of pods: one pod per node takes the node's GPUs."""
    return -(-world // gpus_per_node)


def ranks_of(node: int, world: int, gpus_per_node: int) -> range:
    """Ranks that the node of this index runs or builds; the last node may have fewer."""
    return range(min(node * gpus_per_node, world), min((node + 1) * gpus_per_node, world))


def gpus_per_pod(world: int, gpus_per_node: int) -> int:
    """Number of GPUs that each pod of an engine requests."""
    return min(world, gpus_per_node)


def build_pods(layout: Layout, nodes: int, gpus_per_node: int, gpus: int | None) -> tuple[int, int]:
    """Number of pods that build, and of GPUs of each: as for serving, or fewer if build.gpus is less than the ranks."""
    if gpus is None or gpus >= layout.world:
        return nodes, gpus_per_node
    pods = nodes_for(gpus, gpus_per_node)
    return pods, nodes_for(gpus, pods)


def heads_divide(facts: ModelFacts, tensor: int, context: int = 1) -> bool:
    """Whether attention heads can be distributed over tensor x context ranks."""
    return facts.heads == 0 or facts.heads % (tensor * context) == 0


def key_values_divide(facts: ModelFacts, tensor: int) -> bool:
    """Whether key and value heads can be distributed, or each be copied to the same number of ranks."""
    heads = facts.key_value_heads
    return heads == 0 or heads % tensor == 0 or tensor % heads == 0


def valid_tensors(facts: ModelFacts, context: int = 1, most: int = MOST_TENSOR) -> tuple[int, ...]:
    """Tensor parallelisms that the heads allow, ascending."""
    upper = min(most, facts.heads or most)
    return tuple(
        tensor
        for tensor in range(1, upper + 1)
        if heads_divide(facts, tensor, context) and key_values_divide(facts, tensor)
    )


def divisors(number: int) -> tuple[int, ...]:
    """Divisors of a number, ascending."""
    return tuple(divisor for divisor in range(1, number + 1) if number % divisor == 0)


def moe_layouts(facts: ModelFacts, layout: Layout) -> Iterator[Layout]:
    """Divisions of the experts among the tensor-parallel ranks: first those that cut each expert, then whole experts.

    A dense model has one division, and so has a mixture whose division the user has chosen.
    """
    fixed = layout.asked_moe_tensor is not None or layout.asked_moe_expert is not None
    if fixed or facts.experts == 0 or layout.tensor == 1:
        yield layout
        return
    for expert in divisors(layout.tensor):
        if facts.experts % expert == 0:
            yield Layout(layout.tensor, layout.pipeline, layout.context, layout.tensor // expert, expert)
