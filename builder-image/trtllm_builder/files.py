"""Small file helpers that fetch, quantize and publish share."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from trtllm_api.manifest import MANIFEST, ManifestFile

_CHUNK = 8 * 2**20


def sha256_of(path: Path, seen: Callable[[int], object] = lambda _: None) -> str:
    """Hex digest; `seen` hears the number of bytes of every chunk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            seen(len(chunk))
    return digest.hexdigest()


def files_below(directory: Path) -> Iterator[Path]:
    """Every regular file in a stable order, hidden ones and the manifest left out."""
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts) and str(relative) != MANIFEST:
            yield path


def describe(
    directory: Path, paths: list[Path], seen: Callable[[int], object] = lambda _: None
) -> tuple[ManifestFile, ...]:
    """Size and digest of every file, by its path relative to the directory."""
    return tuple(
        ManifestFile(path=str(path.relative_to(directory)), bytes=path.stat().st_size, sha256=sha256_of(path, seen))
        for path in paths
    )


def sync_directory(directory: Path) -> None:
    """Make a rename inside the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_disk_full(error: BaseException) -> bool:
    """Whether the volume or its quota is full: no fault of where the bytes came from."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
