"""Checks a TensorRT-LLM checkpoint on disk: config.json and a file for each rank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtllm_builder.failure import BuilderFailure
from trtllm_builder.foreign_json import read_object
from trtllm_builder.safetensors_header import read_header

CONFIG = "config.json"
_MAX_RANKS = 1 << 16


@dataclass(frozen=True)
class Mapping:
    """Parallelism of a checkpoint or an engine."""

    tensor: int
    pipeline: int
    context: int

    @property
    def world(self) -> int:
        """Number of ranks."""
        return self.tensor * self.pipeline * self.context

    @property
    def files(self) -> int:
        """Number of a checkpoint's files: ranks of context parallelism share a file."""
        return self.tensor * self.pipeline

    def __str__(self) -> str:
        """The mapping as text for messages."""
        return f"tensor {self.tensor}, pipeline {self.pipeline}, context {self.context}"


class Unusable(Exception):
    """Fault of a directory. Its text is a clause for a message."""


def read_config(directory: Path) -> dict[str, Any]:
    """Content of config.json; raises Unusable."""
    path = directory / CONFIG
    try:
        return read_object(path)
    except FileNotFoundError as error:
        raise Unusable(f"there is no {CONFIG}") from error
    except ValueError as error:
        raise Unusable(f"{CONFIG} ({path.stat().st_size} bytes) cannot be used: {error}") from error


def mapping_of(config: dict[str, Any]) -> Mapping:
    """The mapping in a checkpoint's config.json or an engine's pretrained_config; raises Unusable."""
    found = config.get("mapping")
    if not isinstance(found, dict):
        raise Unusable(f"{CONFIG} has no mapping")
    sizes = [found.get(name, 1) for name in ("tp_size", "pp_size", "cp_size")]
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        raise Unusable(f"{CONFIG} has a mapping without valid sizes")
    mapping = Mapping(*sizes)
    if max(*sizes, mapping.world) > _MAX_RANKS:
        raise Unusable(f"{CONFIG} has a mapping of more than {_MAX_RANKS} ranks")
    world = found.get("world_size", mapping.world)
    if world != mapping.world:
        raise Unusable(f"{CONFIG} has world_size {world}, but its mapping ({mapping}) has {mapping.world} ranks")
    return mapping


def check_checkpoint(directory: Path, wanted: Mapping | None = None) -> Mapping:
    """Mapping of the checkpoint; raises Unusable if a file is missing or broken."""
    mapping = mapping_of(read_config(directory))
    if wanted is not None and mapping != wanted:
        raise Unusable(f"its parallelism is {mapping}, but {wanted} was requested")
    names = [f"rank{rank}.safetensors" for rank in range(mapping.files)]
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise Unusable(f"{len(missing)} of {len(names)} rank files are missing, the first one is {missing[0]}")
    for name in names:
        try:
            tensors = read_header(directory / name)
        except BuilderFailure as failure:
            raise Unusable(failure.message.removesuffix(".")) from failure
        if not tensors:
            raise Unusable(f"{name} contains no tensors")
    return mapping
