"""Object stores and the rest that fsspec reads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from trtllm_api.reasons import Reason
from trtllm_api.source import UriSource
from trtllm_builder.checkpoint_files import is_wanted
from trtllm_builder.failure import BuilderFailure, input_missing, transient
from trtllm_builder.files import is_disk_full
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

_CLIENTS = {"aiohttp", "botocore", "aiobotocore", "gcsfs", "google"}
"""Libraries whose errors mean that the object store did not give what was asked for."""
_DENIED = {401, 403}


def fetch_from_uri(source: UriSource, store: Store, progress: Progress, request_digest: str) -> Path:
    """Directory with the files at the URI; files that are there with the right size are not fetched again."""
    directory = store.work(request_digest) / "download"
    directory.mkdir(exist_ok=True)
    try:
        _fetch(source.uri, store, progress, directory)
    except BuilderFailure:
        raise
    except Exception as error:
        failure = _failure(error, source.uri)
        if failure is None:
            raise
        raise failure from error
    return directory


def _fetch(uri: str, store: Store, progress: Progress, directory: Path) -> None:
    system, root = fsspec.core.url_to_fs(uri)
    entries = [
        (str(entry["name"]), _size(system, entry))
        for entry in system.ls(root, detail=True)
        if entry["type"] == "file" and is_wanted(PurePosixPath(entry["name"]).name)
    ]
    if not entries:
        raise FileNotFoundError(uri)
    names = {PurePosixPath(name).name for name, _ in entries}
    for path in directory.iterdir():
        if path.name not in names:
            path.unlink()
    present = sum(path.stat().st_size for path in directory.iterdir())
    total = sum(size or 0 for _, size in entries)
    store.require_space(max(0, total - present), uri)
    with progress.step("Downloading", total, "bytes") as step:
        for name, size in entries:
            target = directory / PurePosixPath(name).name
            step.advance(0, target.name)
            if not target.exists() or target.stat().st_size != size:
                _download(system, name, size, target)
            step.advance(size or 0)


def _size(system: Any, entry: dict[str, Any]) -> int | None:
    """Size in bytes; None where the server does not say. Over HTTP a list has none: each file is asked for its own."""
    size = entry.get("size")
    if size is None:
        size = system.info(entry["name"]).get("size")
    return None if size is None else int(size)


def _download(system: Any, name: str, size: int | None, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    system.get_file(name, str(unfinished))
    found = unfinished.stat().st_size
    if size is not None and found != size:
        unfinished.unlink()
        raise transient(
            Reason.SOURCE_UNREACHABLE,
            f"{target.name} ended after {found} of {size} bytes.",
            "It is tried again.",
        )
    unfinished.rename(target)


def _failure(error: Exception, uri: str) -> BuilderFailure | None:
    """What an error of fsspec means to the user; None for a fault of another kind."""
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        return input_missing(
            Reason.SOURCE_NOT_FOUND,
            f"There is nothing at {uri}.",
            "Correct spec.source.uri.uri: it names the directory that holds config.json.",
        )
    if isinstance(error, PermissionError) or status in _DENIED or type(error).__name__ == "NoCredentialsError":
        return input_missing(
            Reason.SOURCE_ACCESS_DENIED,
            f"{uri} may not be read with the credentials of spec.source.uri.secretRef.",
            "Put credentials that may list and read it into that Secret.",
        )
    if (isinstance(error, OSError) and not is_disk_full(error)) or type(error).__module__.partition(".")[0] in _CLIENTS:
        return transient(
            Reason.SOURCE_UNREACHABLE,
            f"{uri} cannot be read: {type(error).__name__}.",
            "Check the address and the credentials in spec.source.uri.secretRef. It is tried again.",
        )
    return None
