"""Compares files with the sha256 of their manifest: once in each pod, and again if a file has changed since.

Results are stored in the pod's temporary directory, which outlives a restart of its container. They are not stored on
the claim: somebody who can change an artifact there could change its result as well.
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
"""Age below which a file could change again with the same time, so that its result is not stored."""
_Stat = list[int]


def first_changed(
    directory: Path, files: Iterable[ManifestFile], seen: Callable[[int], object] = lambda _: None
) -> ManifestFile | None:
    """First file whose sha256 differs from its manifest. `seen` is called with the size of every chunk that is read."""
    wanted = {file.path: file for file in files}
    known = _load(directory)
    unread = [path for path, file in wanted.items() if known.get(path) != _verdict(directory / path, file)]
    found = describe(directory, [directory / path for path in unread], seen)
    good = [file for file in found if file == wanted[file.path]]
    remember(directory, good)
    return next((wanted[file.path] for file in found if file != wanted[file.path]), None)


def remember(directory: Path, files: Iterable[ManifestFile]) -> None:
    """Store that these files are as described, for later readers in this pod."""
    known = _load(directory)
    for file in files:
        path = directory / file.path
        stat = path.stat()
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NANOSECONDS:
            known[file.path] = _verdict(path, file)
    place = _place(directory)
    unfinished = place.with_name(f"{place.name}.{os.getpid()}")
    # without a writable temporary directory every reader compares the files itself
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
    """Digest of the file, with the properties that change if the file is written or replaced."""
    stat = path.stat()
    return [file.sha256, [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]]


def _place(directory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:32]
    return Path(tempfile.gettempdir()) / "trtllm-verified" / f"{name}.json"
