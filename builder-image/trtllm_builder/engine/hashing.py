"""Sizes and digests of large files, several at once: hashlib lets other threads run; publish.py calls it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trtllm_api.manifest import ManifestFile
from trtllm_builder.files import describe

_MOST = 8
"""More readers than this slow network file systems down."""


def describe_at_once(
    directory: Path, paths: list[Path], seen: Callable[[int], object] = lambda _: None
) -> tuple[ManifestFile, ...]:
    """As `describe`, in the same order; `seen` is called by one thread at a time."""
    lock = threading.Lock()

    def counted(size: int) -> None:
        with lock:
            seen(size)

    with ThreadPoolExecutor(max(1, min(_MOST, os.cpu_count() or 1, len(paths)))) as pool:
        found = pool.map(lambda path: describe(directory, [path], counted), paths)
        return tuple(file for files in found for file in files)
