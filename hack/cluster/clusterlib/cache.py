"""Cache of slow builds outside the repository, by a key of their inputs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from clusterlib.settings import cache_directory

_LOCKS: dict[Path, Lock] = {}
"""Lock for threads of this process that build the same thing."""


def key_of(*inputs: bytes | str | Path) -> str:
    """12 hex digits from texts and the contents of files and directories."""
    digest = hashlib.sha256()
    for item in inputs:
        for data in _contents(item):
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def _contents(item: bytes | str | Path) -> Iterable[bytes]:
    if isinstance(item, bytes):
        yield item
    elif isinstance(item, str):
        yield item.encode()
    elif item.is_dir():
        for path in sorted(item.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".pyc"):
                yield str(path.relative_to(item)).encode()
                yield path.read_bytes()
    else:
        yield item.read_bytes()


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Directory <cache>/<kind>-<key>. If it is missing, it is built under a temporary name and renamed."""
    target = cache_directory() / f"{kind}-{key}"
    with _LOCKS.setdefault(target, Lock()):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f"{target.name}.{os.getpid()}.unfinished")
            build(unfinished)
            try:
                unfinished.rename(target)
            except OSError:  # another process was first
                shutil.rmtree(unfinished, ignore_errors=True)
    return target
