"""Which ranks a pod builds, and what it leaves about them in the work directory; ranks.py writes, publish.py reads."""

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
"""Below the request's work directory."""


def ranks_of(pod: int, pods: int, world: int) -> range:
    """The pod's ranks: every rank belongs to exactly one pod."""
    each = -(-world // pods)
    return range(min(world, pod * each), min(world, (pod + 1) * each))


def engine_file(rank: int) -> str:
    """The rank's file, as the runtime looks for it."""
    return f"rank{rank}.engine"


def is_engine_file(path: str) -> bool:
    """Whether a file of an engine is one rank's own."""
    return _RANK.fullmatch(path) is not None


@dataclass(frozen=True)
class Stamp:
    """What a pod saw of itself."""

    product: str
    compute_capability: str
    version: str

    def to_wire(self) -> dict[str, str]:
        """As marks and manifests have it."""
        return {"product": self.product, "computeCapability": self.compute_capability, "version": self.version}


@dataclass(frozen=True)
class PodReport:
    """A pod's last word: what it saw of itself and the files of its ranks."""

    pod: int
    stamp: Stamp
    ranks: tuple[int, ...]
    files: dict[str, int]
    """Sizes by path below the engine's directory."""
    digests: dict[str, str]
    """Their sha256."""

    @staticmethod
    def path(directory: Path, pod: int) -> Path:
        """Hidden: it is no part of the engine."""
        return directory / f".pod-{pod}.json"

    def write(self, directory: Path) -> None:
        """Whole or not at all."""
        files = {"files": self.files, "sha256": self.digests}
        write_json(
            self.path(directory, self.pod), {"pod": self.pod, **self.stamp.to_wire(), "ranks": self.ranks, **files}
        )

    @classmethod
    def read(cls, directory: Path, pod: int) -> PodReport | None:
        """None when the pod has not written it, or it is not one."""
        value = _object(cls.path(directory, pod))
        try:
            stamp = Stamp(value["product"], value["computeCapability"], value["version"])
            return cls(pod, stamp, tuple(map(int, value["ranks"])), dict(value["files"]), dict(value["sha256"]))
        except (KeyError, TypeError, ValueError):
            return None


def built_files(directory: Path, rank: int, stamp: Stamp) -> dict[str, int] | None:
    """Files of a rank that is whole and was built by a pod like this one, with their sizes; None: build it."""
    mark = _object(mark_of(directory, rank))
    files = mark.get("files")
    if not isinstance(files, dict) or any(mark.get(key) != value for key, value in stamp.to_wire().items()):
        return None
    if not files.get(engine_file(rank)):
        return None
    return files if all(size_of(directory / name) == size for name, size in files.items()) else None


def size_of(path: Path) -> int | None:
    """None when there is no such file."""
    return path.stat().st_size if path.is_file() else None


def _object(path: Path) -> dict[str, Any]:
    """A JSON object, empty when there is none."""
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}
