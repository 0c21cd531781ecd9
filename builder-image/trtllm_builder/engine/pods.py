"""Ranks of each pod, and the pod's report about them in the work directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtllm_builder.engine.rank_driver import mark_of
from trtllm_builder.foreign_json import read_object
from trtllm_builder.store import write_json

_RANK = re.compile(r"rank[0-9]+\.engine")
ENGINE = "engine"
"""Name of the engine's directory inside the request's work directory."""


def ranks_of(pod: int, pods: int, world: int) -> range:
    """Ranks of the pod. Every rank belongs to exactly one pod."""
    each = -(-world // pods)
    return range(min(world, pod * each), min(world, (pod + 1) * each))


def engine_file(rank: int) -> str:
    """Name of the rank's file, as the runtime expects it."""
    return f"rank{rank}.engine"


def is_engine_file(path: str) -> bool:
    """True if the file belongs to one rank."""
    return _RANK.fullmatch(path) is not None


@dataclass(frozen=True)
class Stamp:
    """GPU and TensorRT-LLM version of a pod."""

    product: str
    compute_capability: str
    version: str

    def to_wire(self) -> dict[str, str]:
        """The stamp as marks and manifests have it."""
        return {"product": self.product, "computeCapability": self.compute_capability, "version": self.version}


@dataclass(frozen=True)
class PodReport:
    """A pod's report: its GPU and version, and the files of its ranks."""

    pod: int
    stamp: Stamp
    ranks: tuple[int, ...]
    files: dict[str, int]
    """Sizes of the files by path inside the engine's directory."""
    digests: dict[str, str]
    """sha256 of the files by the same path."""

    @staticmethod
    def path(directory: Path, pod: int) -> Path:
        """Path of the report. The name is hidden because it is not part of the engine."""
        return directory / f".pod-{pod}.json"

    def write(self, directory: Path) -> None:
        """Write the report atomically."""
        files = {"files": self.files, "sha256": self.digests}
        write_json(
            self.path(directory, self.pod), {"pod": self.pod, **self.stamp.to_wire(), "ranks": self.ranks, **files}
        )

    @classmethod
    def read(cls, directory: Path, pod: int) -> PodReport | None:
        """The pod's report; None if it is missing or not valid."""
        value = _object(cls.path(directory, pod))
        try:
            stamp = Stamp(value["product"], value["computeCapability"], value["version"])
            return cls(pod, stamp, tuple(map(int, value["ranks"])), dict(value["files"]), dict(value["sha256"]))
        except (KeyError, TypeError, ValueError):
            return None


def built_files(directory: Path, rank: int, stamp: Stamp) -> dict[str, int] | None:
    """Files and sizes of a complete rank that a pod with the same stamp built; None if the rank must be built."""
    mark = _object(mark_of(directory, rank))
    files = mark.get("files")
    if not isinstance(files, dict) or any(mark.get(key) != value for key, value in stamp.to_wire().items()):
        return None
    if not files.get(engine_file(rank)):
        return None
    return files if all(size_of(directory / name) == size for name, size in files.items()) else None


def size_of(path: Path) -> int | None:
    """Size of the file; None if it does not exist."""
    return path.stat().st_size if path.is_file() else None


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in the file; empty if there is none."""
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}
