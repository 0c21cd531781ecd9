"""Compares files with the sha256 of their manifest: once in each pod, and again when a file is another one than then.

A verdict is kept in the pod's own temporary directory, which outlives a restart of its container. Nothing on the claim
is believed: whoever can change an artifact there could change a verdict beside it, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from trtllm_api.manifest import ManifestFile
from trtllm_builder.files import describe

_SETTLED_NANOSECONDS: Final = 2 * 10**9
"""A file that changed so recently may change once more with the same time: its verdict is not kept."""
_Stat = list[int]


def first_changed(
    directory: Path, files: Iterable[ManifestFile], seen: Callable[[int], object] = lambda _: None
) -> ManifestFile | None:
    """First file whose sha256 is not its manifest's; `seen` gets the bytes of every chunk that was read."""
    wanted = {file.path: file for file in files}
    known = _load(directory)
    unread = [path for path, file in wanted.items() if known.get(path) != _verdict(directory / path, file)]
    found = describe(directory, [directory / path for path in unread], seen)
    good = [file for file in found if file == wanted[file.path]]
    remember(directory, good)
    return next((wanted[file.path] for file in found if file != wanted[file.path]), None)


def remember(directory: Path, files: Iterable[ManifestFile]) -> None:
    """Keep the verdict that these files are as described, for later readers in this pod."""
    known = _load(directory)
    for file in files:
        path = directory / file.path
        stat = path.stat()
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NANOSECONDS:
            known[file.path] = _verdict(path, file)
    place = _place(directory)
    unfinished = place.with_name(f"{place.name}.{os.getpid()}")
    # without a writable temporary directory every reader compares for itself
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished.write_text(json.dumps(known))
        unfinished.rename(place)


def _load(directory: Path) -> dict[str, list[str | _Stat]]:
    try:
        known = json.loads(_place(directory).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _verdict(path: Path, file: ManifestFile) -> list[str | _Stat]:
    """All that changes when somebody writes to the file or puts another in its place, and what it was found to be."""
    stat = path.stat()
    return [file.sha256, [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]]


def _place(directory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:32]
    return Path(tempfile.gettempdir()) / "trtllm-verified" / f"{name}.json"
