"""Reads and checks the header of a safetensors file, without its tensors."""

from __future__ import annotations

import math
import operator
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trtllm_api.reasons import Reason
from trtllm_builder.failure import bad_model, shown
from trtllm_builder.foreign_json import parse_object

_MAX_HEADER = 100 * 2**20
_BITS: Final = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of one number, by safetensors' name of its type."""
_READABLE: Final = 1 << 63
"""Limit of numbers that fit 64 bits."""
_MAX_DIMENSIONS: Final = 16
_POINTER = b"version https://git-lfs.github.com/spec/"
_REDOWNLOAD = "Download the whole file again (with git: `git lfs pull`); then set the annotation trtllm.dev/retry."


@dataclass(frozen=True)
class TensorHeader:
    """Description of one tensor in the header."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


def is_lfs_pointer(path: Path) -> bool:
    """True if the file is a Git-LFS pointer instead of the file itself."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def refuse_lfs_pointer(path: Path) -> None:
    """Raise SourceCorrupt for a Git-LFS pointer."""
    if is_lfs_pointer(path):
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{path.name} is a Git-LFS pointer of {path.stat().st_size} bytes, not the file it points to.",
            _REDOWNLOAD,
        )


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Tensors by name. Raises SourceCorrupt if the file does not match its header."""
    refuse_lfs_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= _MAX_HEADER or 8 + length > size:
            raise bad_model(
                Reason.SOURCE_CORRUPT,
                f"{path.name} is not a safetensors file: it has {size} bytes, and its header should have {length}.",
                _REDOWNLOAD,
            )
        text = file.read(length)
    try:
        spans = {name: _span(entry) for name, entry in parse_object(text).items() if name != "__metadata__"}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise bad_model(
            Reason.SOURCE_CORRUPT, f"The header of {path.name} is not a valid safetensors header.", _REDOWNLOAD
        ) from error
    end = max((end for _, _, end in spans.values()), default=0)
    if 8 + length + end != size:
        what = "truncated" if size < 8 + length + end else "too long"
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{path.name} is {what}: it has {size} bytes, but its header describes {8 + length + end}.",
            _REDOWNLOAD,
        )
    _check_spans(path, spans)
    return {name: tensor for name, (tensor, _, _) in spans.items()}


_Span = tuple[TensorHeader, int, int]
"""A tensor, and the positions of its first byte and after its last one."""


def _span(entry: Any) -> _Span:
    """Span of a header's entry. Raises ValueError or TypeError if it is not valid."""
    begin, end = map(operator.index, entry["data_offsets"])
    shape = tuple(map(operator.index, entry["shape"]))
    if not isinstance(entry["dtype"], str) or not 0 <= begin <= end:
        raise ValueError
    if len(shape) > _MAX_DIMENSIONS or not all(0 <= extent < _READABLE for extent in shape):
        raise ValueError
    return TensorHeader(entry["dtype"], shape, end - begin), begin, end


def _check_spans(path: Path, spans: dict[str, _Span]) -> None:
    """Check that tensors have no gaps between them, and that each has the size of its shape and type."""
    at = 0
    for name, (tensor, begin, end) in sorted(spans.items(), key=lambda item: item[1][1:]):
        if begin != at:
            raise bad_model(
                Reason.SOURCE_CORRUPT,
                f"In {path.name} the tensor {shown(name)} begins at byte {begin}, but the one before it ends at {at}.",
                _REDOWNLOAD,
            )
        at = end
        bits = _BITS.get(tensor.dtype)
        if bits is None:
            raise bad_model(
                Reason.SOURCE_CORRUPT,
                f"In {path.name} the tensor {shown(name)} has the type {shown(tensor.dtype)}, which safetensors "
                "does not define.",
                "Save the model again with save_pretrained.",
            )
        if math.prod(tensor.shape) * bits != 8 * tensor.bytes:
            raise bad_model(
                Reason.SOURCE_CORRUPT,
                f"In {path.name} the tensor {shown(name)} has {tensor.bytes} bytes, but its shape "
                f"{shown(str(list(tensor.shape)))} of {tensor.dtype} takes {_bytes_of(tensor.shape, bits)}.",
                _REDOWNLOAD,
            )


def _bytes_of(shape: tuple[int, ...], bits: int) -> str:
    number = -(-math.prod(shape) * bits // 8)
    return str(number) if number < _READABLE else "more than 2**63"
