"""Read and check the header of a safetensors file without its tensors: fetch verifies with it and reads facts."""

from __future__ import annotations

import json
import operator
import struct
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.contract import FailureReason
from trtllm_builder.failure import bad_model

_MAX_HEADER = 100 * 2**20
_POINTER = b"version https://git-lfs.github.com/spec/"
_REDOWNLOAD = "Fetch the file again, whole: with git, run `git lfs pull`; then set the annotation trtllm.dev/retry."


@dataclass(frozen=True)
class TensorHeader:
    """One tensor, as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


def is_lfs_pointer(path: Path) -> bool:
    """Whether git left a pointer where the file should be."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def refuse_lfs_pointer(path: Path) -> None:
    """Raise SourceCorrupt for a Git-LFS pointer."""
    if is_lfs_pointer(path):
        raise bad_model(
            FailureReason.SOURCE_CORRUPT,
            f"{path.name} is a Git-LFS pointer of {path.stat().st_size} bytes, not the file it points to.",
            _REDOWNLOAD,
        )


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Tensors by name; raises SourceCorrupt with both sizes for a file that is not what its header says."""
    refuse_lfs_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= _MAX_HEADER or 8 + length > size:
            raise bad_model(
                FailureReason.SOURCE_CORRUPT,
                f"{path.name} is not a safetensors file: {size} bytes, of which the header should be {length}.",
                _REDOWNLOAD,
            )
        try:
            header = json.loads(file.read(length))
            tensors = {
                name: TensorHeader(
                    str(entry["dtype"]),
                    tuple(map(operator.index, entry["shape"])),
                    entry["data_offsets"][1] - entry["data_offsets"][0],
                )
                for name, entry in header.items()
                if name != "__metadata__"
            }
            end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise bad_model(
                FailureReason.SOURCE_CORRUPT, f"The header of {path.name} is not what safetensors writes.", _REDOWNLOAD
            ) from error
    if 8 + length + end != size:
        what = "truncated" if size < 8 + length + end else "longer than it should be"
        raise bad_model(
            FailureReason.SOURCE_CORRUPT,
            f"{path.name} is {what}: it has {size} bytes, and its header describes {8 + length + end}.",
            _REDOWNLOAD,
        )
    return tensors
