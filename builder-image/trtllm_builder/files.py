"""Helpers for files, shared by fetch, quantize and publish."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trtllm_api.contract import SOURCE_PATH, STORE_PATH
from trtllm_api.manifest import MANIFEST, ManifestFile
from trtllm_api.reasons import Reason
from trtllm_builder.failure import bad_model, shown

_CHUNK = 8 * 2**20
_READERS = 8
"""Most files that are read at the same time. More readers make network file systems slower."""


def sha256_of(path: Path, seen: Callable[[int], object] = lambda _: None) -> str:
    """sha256 of the file in hex. `seen` is called with the size of every chunk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            seen(len(chunk))
    return digest.hexdigest()


def files_below(directory: Path) -> Iterator[Path]:
    """Regular files in a stable order, without hidden files and the manifest. Links out of the claim are refused."""
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if any(part.startswith(".") for part in relative.parts) or str(relative) == MANIFEST or path.is_dir():
            continue
        require_inside(path, claim_of(directory))
        yield path


def claim_of(path: Path) -> Path:
    """Mount point of the claim that contains the path; the path itself if it is on no claim."""
    return next((Path(mount) for mount in (STORE_PATH, SOURCE_PATH) if path.is_relative_to(mount)), path)


def require_inside(path: Path, claim: Path) -> None:
    """Refuse a path that is not a regular file of the claim: a link could copy the pod's own files to an artifact."""
    if not path.resolve().is_relative_to(claim.resolve()):
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(path.name)} is a symbolic link to a file outside the volume of the model.",
            "Replace the link with the file itself; then set the annotation trtllm.dev/retry.",
        )
    if not path.is_file():
        what = "a symbolic link to a file that does not exist" if path.is_symlink() else "not a regular file"
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(path.name)} is {what}.",
            "Replace it with a regular file, or remove it; then set the annotation trtllm.dev/retry.",
        )


def describe(
    directory: Path, paths: list[Path], seen: Callable[[int], object] = lambda _: None
) -> tuple[ManifestFile, ...]:
    """Path relative to the directory, size and digest of every file. Several files are read at the same time.

    `seen` is called by one thread at a time.
    """
    lock = threading.Lock()

    def counted(size: int) -> None:
        with lock:
            seen(size)

    def described(path: Path) -> ManifestFile:
        digest = sha256_of(path, counted)
        return ManifestFile(path=str(path.relative_to(directory)), bytes=path.stat().st_size, sha256=digest)

    # hashlib releases the GIL
    with ThreadPoolExecutor(max(1, min(_READERS, os.cpu_count() or 1, len(paths)))) as pool:
        return tuple(pool.map(described, paths))


def sync_directory(directory: Path) -> None:
    """Make a rename inside the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_disk_full(error: BaseException) -> bool:
    """True if the volume or its quota is full."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
