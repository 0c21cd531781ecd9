"""Arithmetic of parallelism: ranks, nodes, heads, layers and experts; used by rules, planner and children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trtllm_api.facts import ModelFacts

MOST_TENSOR = 64
"""The largest tensor parallelism that is looked for."""


@dataclass(frozen=True)
class Layout:
    """How an engine is divided among ranks."""

    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    asked_moe_tensor: int | None = None
    asked_moe_expert: int | None = None

    @property
    def world(self) -> int:
        """Ranks, each with a GPU."""
        return self.tensor * self.pipeline * self.context

    @property
    def moe_expert(self) -> int:
        """Ranks among which the experts are distributed; what one of the two leaves is the other."""
        if self.asked_moe_expert is not None:
            return self.asked_moe_expert
        return max(1, self.tensor // self.asked_moe_tensor) if self.asked_moe_tensor else 1

    @property
    def moe_tensor(self) -> int:
        """Ranks among which each expert is cut."""
        if self.asked_moe_tensor is not None:
            return self.asked_moe_tensor
        return max(1, self.tensor // self.asked_moe_expert) if self.asked_moe_expert else self.tensor

    def __str__(self) -> str:
        """`TP 4, PP 2`: only what is more than one, but always TP."""
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
    """Nodes, and so pods: one pod per node holds all its GPUs."""
    return -(-world // gpus_per_node)


def ranks_of(node: int, world: int, gpus_per_node: int) -> range:
    """Ranks that the node of this index runs or builds; the last one may have fewer."""
    return range(min(node * gpus_per_node, world), min((node + 1) * gpus_per_node, world))


def gpus_per_pod(world: int, gpus_per_node: int) -> int:
    """GPUs that each of an engine's pods asks for."""
    return min(world, gpus_per_node)


def build_pods(layout: Layout, nodes: int, gpus_per_node: int, gpus: int | None) -> tuple[int, int]:
    """Pods that build and the GPUs of each: as those that serve, or fewer where build.gpus are fewer than ranks."""
    if gpus is None or gpus >= layout.world:
        return nodes, gpus_per_node
    pods = nodes_for(gpus, gpus_per_node)
    return pods, nodes_for(gpus, pods)


def heads_divide(facts: ModelFacts, tensor: int, context: int = 1) -> bool:
    """Attention heads can be dealt out to this many ranks."""
    return facts.heads == 0 or facts.heads % (tensor * context) == 0


def key_values_divide(facts: ModelFacts, tensor: int) -> bool:
    """Key and value heads can be dealt out, or each be copied to the same number of ranks."""
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
    """Ascending."""
    return tuple(divisor for divisor in range(1, number + 1) if number % divisor == 0)


def moe_layouts(facts: ModelFacts, layout: Layout) -> Iterator[Layout]:
    """The ways to deal out a mixture's experts over the tensor-parallel ranks: each expert cut first, then whole ones.

    A dense model has one way, and so has a mixture whose ways the user has chosen.
    """
    fixed = layout.asked_moe_tensor is not None or layout.asked_moe_expert is not None
    if fixed or facts.experts == 0 or layout.tensor == 1:
        yield layout
        return
    for expert in divisors(layout.tensor):
        if facts.experts % expert == 0:
            yield Layout(layout.tensor, layout.pipeline, layout.context, layout.tensor // expert, expert)
