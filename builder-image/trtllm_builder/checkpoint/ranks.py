"""Merges the ranks of a TensorRT-LLM checkpoint, or divides tensors into ranks.

It supports decoder-only models with fused attention.qkv and gated mlp. Rank = stage * tensor + position; layers are
numbered within a stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, bad_model

Tensors = dict[str, Tensor]
COLUMN = ("attention.qkv", "mlp.fc", "mlp.gate", "lm_head")
"""Layers that are divided by output: each rank computes a part of the output."""
ROW = ("attention.dense", "mlp.proj")
"""Layers that are divided by input: the outputs of the ranks are added."""
EMBEDDING = "transformer.vocab_embedding.weight"
LAYERS = "transformer.layers."
TRANSPOSED = frozenset({"W8A16", "W4A16"})
"""Algorithms with packed weights [in, out]: the weight-only formats of convert_checkpoint.py."""


@dataclass(frozen=True)
class Layout:
    """Heads and ranks in config.json."""

    tensor: int
    pipeline: int
    context: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    embedding_axis: int | None
    """Axis along which the embedding is divided; None if every rank of the first stage has all of it."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Layout:
        """Read the layout. Raises ArtifactCorrupt if config.json is not that of a TensorRT-LLM checkpoint."""
        try:
            mapping = config["mapping"]
            heads = int(config["num_attention_heads"])
            return cls(
                tensor=int(mapping["tp_size"]),
                pipeline=int(mapping["pp_size"]),
                context=int(mapping.get("cp_size", 1)),
                heads=heads,
                key_value_heads=int(config.get("num_key_value_heads") or heads),
                head_size=int(config.get("head_size") or int(config["hidden_size"]) // heads),
                vocabulary=int(config["vocab_size"]),
                embedding_axis=int(config.get("embedding_sharding_dim", 0))
                if config.get("use_parallel_embedding")
                else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise corrupt(
                f"The checkpoint's config.json does not describe ranks: {error!r} is missing or wrong"
            ) from error

    @property
    def copies(self) -> int:
        """Number of ranks with the same key and value heads."""
        return max(1, self.tensor // self.key_value_heads)

    def parts(self, ranks: int) -> tuple[int, int, int]:
        """Number of heads of queries, keys and values in one of `ranks` ranks."""
        kept = self.key_value_heads if ranks == 1 else max(1, self.key_value_heads // ranks)
        return self.heads // ranks, kept, kept


def corrupt(message: str) -> BuilderFailure:
    """Failure because the checkpoint is incomplete or was changed."""
    return bad_model(
        Reason.ARTIFACT_CORRUPT,
        f"{message}.",
        "The export is incomplete: set the annotation trtllm.dev/retry on the QuantizedModel.",
    )


def module_of(name: str) -> tuple[str, str]:
    """Module and part of a tensor's name. The module has its name in COLUMN or ROW if it is one of them."""
    module, _, part = name.rpartition(".")
    for known in (*COLUMN, *ROW):
        if module == known or module.endswith(f".{known}"):
            return known, part
    return module, part


def cut_axis(name: str, tensor: Tensor, layout: Layout, *, transposed: bool) -> int | None:
    """Axis along which tensor parallelism divides this tensor; None if every rank of the stage has all of it."""
    if name == EMBEDDING:
        return layout.embedding_axis
    module, part = module_of(name)
    if module not in COLUMN and module not in ROW:
        return None
    column = module in COLUMN
    if part == "weight":
        return 0 if column != transposed else 1
    if part in {"weights_scaling_factor", "zero"} and tensor.dim() == 2:
        return 0 if column else 1
    if part in {"weights_scaling_factor", "per_channel_scale", "bias"} and tensor.numel() > 1:
        return 0 if column else None
    return 0 if part == "prequant_scaling_factor" and not column else None


def is_transposed(name: str, tensors: Mapping[str, Tensor], algorithm: str) -> bool:
    """True for a packed weight of shape [in, out]."""
    return (
        algorithm in TRANSPOSED
        and name.endswith(".weight")
        and tensors[name].dtype is torch.int8
        and name.removesuffix("weight") + "per_channel_scale" in tensors
    )


def merge(ranks: Sequence[Mapping[str, Tensor]], config: Mapping[str, Any]) -> Tensors:
    """Merge the ranks to the tensors that an export without parallelism writes.

    `ranks` are in order, with or without those of context parallelism. Raises ArtifactCorrupt.
    """
    layout = Layout.of(config)
    algorithm = str((config.get("quantization") or {}).get("quant_algo"))
    expected = layout.tensor * layout.pipeline
    if layout.context > 1 and len(ranks) == expected * layout.context:
        first = range(layout.tensor)
        step = layout.tensor * layout.context
        ranks = [ranks[stage * step + position] for stage in range(layout.pipeline) for position in first]
    if len(ranks) != expected:
        raise corrupt(f"config.json has {expected} ranks, but there are {len(ranks)}")
    merged: Tensors = {}
    layers = 0
    for stage in range(layout.pipeline):
        group = ranks[stage * layout.tensor : (stage + 1) * layout.tensor]
        names = set(group[0])
        if any(set(rank) != names for rank in group):
            other = min(set[str]().union(*(set(rank) ^ names for rank in group)))
            raise corrupt(f"{other} is in some ranks of stage {stage}, but not in all")
        for name in sorted(names):
            transposed = is_transposed(name, group[0], algorithm)
            merged[_global_name(name, layers)] = _join(name, [rank[name] for rank in group], layout, transposed)
        layers += layer_count(names)
    expected_layers = config.get("num_hidden_layers")
    if layers != expected_layers:
        raise corrupt(f"config.json has {expected_layers} layers, but the ranks have {layers}")
    return merged


def layer_count(names: set[str] | Mapping[str, Tensor]) -> int:
    """Number of layers of these tensors."""
    return len({name.removeprefix(LAYERS).partition(".")[0] for name in names if name.startswith(LAYERS)})


def cut(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> list[Tensors]:
    """Divide tensors into ranks of tensor and pipeline parallelism. The first stages take a remainder."""
    layout = Layout.of(config)
    algorithm = str((config.get("quantization") or {}).get("quant_algo"))
    total = layer_count(tensors)
    ranks: list[Tensors] = []
    layers = stages(total, layout.pipeline)
    for stage in range(layout.pipeline):
        kept = stage_of(tensors, layers, stage)
        ranks.extend(
            {
                name: _piece(name, tensor, layout, position, is_transposed(name, kept, algorithm)).contiguous()
                for name, tensor in kept.items()
            }
            for position in range(layout.tensor)
        )
    return ranks


def stages(layers: int, pipeline: int) -> list[range]:
    """Layers of each stage. The first stages take a remainder."""
    each, more = divmod(layers, pipeline)
    starts = [stage * each + min(stage, more) for stage in range(pipeline + 1)]
    return [range(start, end) for start, end in pairwise(starts)]


def stage_of(tensors: Mapping[str, Tensor], layers: Sequence[range], stage: int) -> Tensors:
    """Tensors of one stage, by their names within the stage."""
    first, last, own = stage == 0, stage == len(layers) - 1, layers[stage]
    return {
        _global_name(name, -own.start): tensor
        for name, tensor in tensors.items()
        if _stage_holds(name, own, first=first, last=last)
    }


def local_name(name: str, layers: int, pipeline: int) -> str:
    """The name within its stage, which exclude_modules and quantized_layers use."""
    if not name.startswith(LAYERS):
        return name
    number = int(name.removeprefix(LAYERS).partition(".")[0])
    return next(_global_name(name, -stage.start) for stage in stages(layers, pipeline) if number in stage)


def _stage_holds(name: str, layers: range, *, first: bool, last: bool) -> bool:
    if name.startswith(LAYERS):
        return int(name.removeprefix(LAYERS).partition(".")[0]) in layers
    return first if name == EMBEDDING else last


def _global_name(name: str, before: int) -> str:
    if not name.startswith(LAYERS):
        return name
    number, _, rest = name.removeprefix(LAYERS).partition(".")
    return f"{LAYERS}{int(number) + before}.{rest}"


def _join(name: str, pieces: Sequence[Tensor], layout: Layout, transposed: bool) -> Tensor:
    axis = cut_axis(name, pieces[0], layout, transposed=transposed)
    if len(pieces) == 1:
        return _unpadded(name, pieces[0], layout)
    if axis is None:
        if not all(_same(piece, pieces[0]) for piece in pieces):
            raise corrupt(f"{name} differs between ranks in which it should be equal")
        return pieces[0]
    if module_of(name)[0] != "attention.qkv":
        return _unpadded(name, _cat(pieces, axis), layout)
    split = [heads_of(piece, axis, layout.parts(layout.tensor)) for piece in pieces]
    for first in range(0, len(split), layout.copies):
        for copy in split[first : first + layout.copies]:
            if not all(_same(copy[index], split[first][index]) for index in (1, 2)):
                raise corrupt(f"The keys and values of {name} differ between ranks in which they should be equal")
    queries = [part[0] for part in split]
    others = [[part[index] for part in split[:: layout.copies]] for index in (1, 2)]
    return _cat([*queries, *others[0], *others[1]], axis)


def _piece(name: str, tensor: Tensor, layout: Layout, position: int, transposed: bool) -> Tensor:
    axis = cut_axis(name, tensor, layout, transposed=transposed)
    if axis is None or layout.tensor == 1:
        return tensor
    if module_of(name)[0] != "attention.qkv":
        size = -(-tensor.shape[axis] // layout.tensor)
        start = min(position * size, tensor.shape[axis])
        piece = tensor.narrow(axis, start, min(size, tensor.shape[axis] - start))
        lacking = size - piece.shape[axis]
        if lacking:
            shape = [*tensor.shape]
            shape[axis] = lacking
            piece = _cat([piece, torch.zeros(shape, dtype=tensor.dtype)], axis)
        return piece
    queries, keys, values = heads_of(tensor, axis, layout.parts(1))
    own = queries.chunk(layout.tensor, dim=axis)[position]
    groups = layout.tensor // layout.copies
    return _cat([own, *(part.chunk(groups, dim=axis)[position // layout.copies] for part in (keys, values))], axis)


def heads_of(tensor: Tensor, axis: int, parts: tuple[int, int, int]) -> tuple[Tensor, ...]:
    """Queries, keys and values of a fused tensor, whose rows may share a byte."""
    unit = tensor.shape[axis] / sum(parts)
    if unit != int(unit):
        raise corrupt(f"An attention.qkv tensor of {tensor.shape[axis]} cannot be divided into {sum(parts)} heads")
    return torch.split(tensor, [int(unit) * part for part in parts], dim=axis)


def _unpadded(name: str, tensor: Tensor, layout: Layout) -> Tensor:
    if name in {EMBEDDING, "lm_head.weight", "lm_head.bias"}:
        return tensor.narrow(0, 0, min(layout.vocabulary, tensor.shape[0]))
    return tensor


def _cat(pieces: Sequence[Tensor], axis: int) -> Tensor:
    """torch.cat that also supports float8."""
    return torch.cat([_bytes(piece) for piece in pieces], dim=axis).view(pieces[0].dtype)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype is other.dtype and torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: Tensor) -> Tensor:
    """The tensor as bytes if it is float8, which torch cannot concatenate or compare."""
    return tensor.view(torch.uint8) if tensor.dtype is torch.float8_e4m3fn else tensor
