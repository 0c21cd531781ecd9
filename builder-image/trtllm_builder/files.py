"""Small file helpers that fetch, quantize and publish share."""

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
"""More readers than this slow network file systems down."""


def sha256_of(path: Path, seen: Callable[[int], object] = lambda _: None) -> str:
    """Hex digest; `seen` gets the number of bytes of every chunk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            seen(len(chunk))
    return digest.hexdigest()


def files_below(directory: Path) -> Iterator[Path]:
    """Every regular file in a stable order, hidden ones and the manifest left out; refuses links out of the claim."""
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if any(part.startswith(".") for part in relative.parts) or str(relative) == MANIFEST or path.is_dir():
            continue
        require_inside(path, claim_of(directory))
        yield path


def claim_of(path: Path) -> Path:
    """Mount point of the claim that a path of a pod is on; the path itself outside of claims."""
    return next((Path(mount) for mount in (STORE_PATH, SOURCE_PATH) if path.is_relative_to(mount)), path)


def require_inside(path: Path, claim: Path) -> None:
    """Refuse what is not a regular file of the claim: a link to the pod's own files would copy them to an artifact."""
    if not path.resolve().is_relative_to(claim.resolve()):
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(path.name)} is a symbolic link to a place outside the volume that holds the model.",
            "Replace the link with the file itself; then set the annotation trtllm.dev/retry.",
        )
    if not path.is_file():
        what = "a symbolic link to a file that does not exist" if path.is_symlink() else "not a regular file"
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(path.name)} is {what}.",
            "Put the file itself there, or remove it; then set the annotation trtllm.dev/retry.",
        )


def describe(
    directory: Path, paths: list[Path], seen: Callable[[int], object] = lambda _: None
) -> tuple[ManifestFile, ...]:
    """Size and digest of every file, by its path relative to the directory; several files are read at the same time.

    `seen` is called by one thread at a time.
    """
    lock = threading.Lock()

    def counted(size: int) -> None:
        with lock:
            seen(size)

    def described(path: Path) -> ManifestFile:
        digest = sha256_of(path, counted)
        return ManifestFile(path=str(path.relative_to(directory)), bytes=path.stat().st_size, sha256=digest)

    # hashlib lets other threads run meanwhile
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
    """Whether the volume or its quota is full: no fault of where the bytes came from."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
