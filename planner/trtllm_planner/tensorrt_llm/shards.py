"""Shards: how tensor and expert parallelism cut each linear layer, by its name and shape."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import INT4, INT8, Algorithm

KEPT_BY_DEFAULT = (
    "*lm_head*",
    "*output_layer*",
    "*router*",
    "*.gate",
    "*shared_expert_gate*",
    "*conv1d*",
)
"""Modules that ModelOpt's configurations leave in full precision: the head, routers and convolutions."""


class Cut(Enum):
    """Part of a linear layer that one rank of a tensor-parallel group holds."""

    COLUMN = "column"
    """A part of the outputs."""
    ROW = "row"
    """A part of the inputs."""
    KEY_VALUE = "key and value"
    """A part of the outputs, or a whole head if there are more ranks than heads."""
    QKV = "fused query, key and value"
    GATE_UP = "fused gate and up"
    HEAD = "head"
    WHOLE = "whole"


_LAST: dict[str, Cut] = {
    **dict.fromkeys(
        (
            *("o_proj", "down_proj", "out_proj", "dense", "dense_4h_to_h", "c_proj", "fc2", "w2", "wo", "fc_out"),
            *("o_b_proj", "output_linear", "linear_out"),
        ),
        Cut.ROW,
    ),
    **dict.fromkeys(("k_proj", "v_proj"), Cut.KEY_VALUE),
    **dict.fromkeys(("qkv_proj", "query_key_value", "c_attn", "W_pack", "Wqkv", "wqkv"), Cut.QKV),
    "gate_up_proj": Cut.GATE_UP,
    **dict.fromkeys(("lm_head", "output_layer", "embed_out"), Cut.HEAD),
    **dict.fromkeys(
        (
            *("q_a_proj", "kv_a_proj_with_mqa", "kv_a_proj", "gate", "router", "shared_expert_gate", "x_proj"),
            *("kv_proj", "weights_proj", "wq_b", "wk", "f_a_proj", "g_a_proj", "fc1_latent_proj", "fc2_latent_proj"),
        ),
        Cut.WHOLE,
    ),
}


@lru_cache(maxsize=4096)
def cut_of(name: str) -> Cut:
    """Cut of a module, by the last part of its name; unknown ones are cut by columns, as most layers are."""
    return _LAST.get(name.rpartition(".")[2], Cut.COLUMN)


@lru_cache(maxsize=4096)
def is_expert(name: str) -> bool:
    """Whether the layer belongs to a routed expert."""
    return ".experts." in name


@lru_cache(maxsize=4096)
def is_kept(name: str, excluded: tuple[str, ...]) -> bool:
    """Whether every layer of the name stays in full precision; a `*` in the name stands for numbers."""
    return any(fnmatchcase(name, pattern) for pattern in KEPT_BY_DEFAULT) or bool(_matcher(excluded).fullmatch(name))


@lru_cache(maxsize=256)
def _matcher(excluded: tuple[str, ...]) -> re.Pattern[str]:
    """Pattern of modules with these names and of all below them, at any depth: what the builder gives to ModelOpt."""
    wanted = [f"{start}{pattern}{end}" for pattern in excluded for start in ("", "*.") for end in ("", ".*")]
    return re.compile("|".join(map(translate, wanted)) or r"(?!)")


def is_quantized(name: str, algorithm: Algorithm, excluded: tuple[str, ...] = ()) -> bool:
    """Whether the layer's weights are in the algorithm's format."""
    return algorithm is not Algorithm.NONE and not is_kept(name, excluded)


@lru_cache(maxsize=4096)
def excluded_layers(name: str, layers: int, excluded: tuple[str, ...]) -> int:
    """Number of decoder layers whose linear layer of this name is excluded by the number of the layer."""
    if not excluded or "*" not in name:
        return 0
    return sum(bool(_matcher(excluded).fullmatch(name.replace("*", str(number), 1))) for number in range(layers))


@dataclass(frozen=True)
class Shard:
    """One rank's part of a linear layer; a width that does not divide is rounded up."""

    linear: LinearShape
    inputs: int
    outputs: int
    divides: bool
    parts: int
    """Number of ranks that the cut dimension is divided among."""
    cut: Cut

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.inputs * self.outputs


def shard(linear: LinearShape, facts: ModelFacts, layout: Layout) -> Shard:
    """The fullest rank's part of a linear layer."""
    cut = cut_of(linear.name)
    tensor = layout.moe_tensor if is_expert(linear.name) else layout.tensor
    inner, out = linear.in_features, linear.out_features
    if cut is Cut.WHOLE:
        return Shard(linear, inner, out, True, 1, cut)
    if cut is Cut.ROW:
        return Shard(linear, math.ceil(inner / tensor), out, inner % tensor == 0, tensor, cut)
    if cut is Cut.HEAD:  # the vocabulary is padded
        return Shard(linear, inner, math.ceil(out / tensor), True, tensor, cut)
    if cut is Cut.KEY_VALUE:
        parts = min(tensor, facts.key_value_heads or tensor)
        return Shard(linear, inner, math.ceil(out / parts), out % parts == 0, parts, cut)
    if cut is Cut.QKV:
        return _fused_qkv(linear, facts, tensor)
    halves = 2 if cut is Cut.GATE_UP else 1
    return Shard(linear, inner, math.ceil(out / tensor), out % (halves * tensor) == 0, tensor, cut)


def _fused_qkv(linear: LinearShape, facts: ModelFacts, tensor: int) -> Shard:
    keys = facts.key_value_heads * facts.head_dim
    queries = linear.out_features - 2 * keys
    if queries != facts.heads * facts.head_dim:  # not laid out as expected: cut evenly
        out = linear.out_features
        return Shard(linear, linear.in_features, math.ceil(out / tensor), out % tensor == 0, tensor, Cut.COLUMN)
    parts = min(tensor, facts.key_value_heads)
    out = math.ceil(queries / tensor) + 2 * math.ceil(keys / parts)
    return Shard(linear, linear.in_features, out, queries % tensor == 0 and keys % parts == 0, tensor, Cut.QKV)


@dataclass(frozen=True)
class Alignment:
    """Multiples that the sides of one rank's shard must have."""

    inputs: int = 1
    outputs: int = 1
    why: str = ""
    cut_only: bool = False
    """Whether only the dimension that is cut must be aligned, because the layer's last block may be partial."""


def alignment(algorithm: Algorithm, group_size: int) -> Alignment:
    """Requirements of the kernels (trtllm mapping rules): tiles of packed integers, groups, blocks, 16-byte rows."""
    if algorithm is Algorithm.W4A8_AWQ:
        return Alignment(math.lcm(128, group_size), 64, f"group {group_size}, and 128 inputs of W4A8")
    if algorithm in {Algorithm.W4A16_AWQ, Algorithm.W4A16_GPTQ, Algorithm.W8A16_GPTQ}:
        return Alignment(math.lcm(64, group_size), 64 if algorithm in INT4 else 32, f"group {group_size}")
    if algorithm in INT4:
        return Alignment(64, 64, "tiles of INT4 kernels")
    if algorithm in INT8:
        return Alignment(64, 32, "tiles of INT8 kernels")
    if algorithm is Algorithm.FP8_BLOCK:
        return Alignment(128, 128, "blocks of 128 x 128", cut_only=True)
    if algorithm is Algorithm.NVFP4:
        return Alignment(16, 1, "blocks of 16")
    if algorithm is Algorithm.MXFP4:
        return Alignment(32, 1, "blocks of 32")
    if algorithm in {Algorithm.FP8, Algorithm.FP8_ROWWISE}:
        return Alignment(16, 16, "16-byte rows of FP8 matrix products")
    return Alignment()


@dataclass(frozen=True)
class Misfit:
    """A shard that a kernel cannot take."""

    linear: LinearShape
    side: str
    """K (inputs) or N (outputs)."""
    full: int
    parts: int
    multiple: int
    why: str

    def sentence(self) -> str:
        """The problem as a clause: `down_proj K=29568/8=3696 is not a multiple of 128 (group 128)`."""
        name = self.linear.name.rpartition(".")[2]
        if self.full % self.parts:
            return f"{name} {self.side}={self.full} does not divide by {self.parts}"
        size = f"{self.full}/{self.parts}={self.full // self.parts}" if self.parts > 1 else f"{self.full}"
        return f"{name} {self.side}={size} is not a multiple of {self.multiple} ({self.why})"


def misfits(
    facts: ModelFacts, layout: Layout, formats: Callable[[LinearShape], Algorithm | None], group_size: int
) -> Iterable[Misfit]:
    """Quantized layers whose shards the kernels of their formats refuse at this layout."""
    for linear in facts.linears:
        algorithm = formats(linear)
        if algorithm is None or algorithm is Algorithm.NONE:
            continue
        needs = alignment(algorithm, group_size)
        part = shard(linear, facts, layout)
        if needs.cut_only and not (is_expert(linear.name) or ".mlp." in linear.name or "shared_expert" in linear.name):
            continue
        row = part.cut is Cut.ROW
        if row or not needs.cut_only:
            parts = part.parts if row else 1
            if linear.in_features % (parts * needs.inputs):
                yield Misfit(linear, "K", linear.in_features, parts, needs.inputs, needs.why)
                continue
        if not row or not needs.cut_only:
            parts = 1 if row else part.parts
            halves = 2 if part.cut is Cut.GATE_UP else 1
            full = linear.out_features // halves
            if part.cut is Cut.QKV:
                if not part.divides or part.outputs % needs.outputs:
                    yield Misfit(linear, "N", linear.out_features, parts, needs.outputs, needs.why)
            elif full % (parts * needs.outputs):
                yield Misfit(linear, "N", full, parts, needs.outputs, needs.why)
