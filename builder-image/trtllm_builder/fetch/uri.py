"""Fetches a directory at a URI: from a web server (web.py), or from an object store through fsspec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_api.source import UriSource
from trtllm_builder.addresses import guarded
from trtllm_builder.checkpoint_files import is_wanted
from trtllm_builder.failure import BuilderFailure, input_missing, transient
from trtllm_builder.fetch import web
from trtllm_builder.fetch.web import host_of
from trtllm_builder.files import is_disk_full
from trtllm_builder.installation import SOURCE_MAX_BYTES, Installation
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

_CLIENTS = {"aiohttp", "botocore", "aiobotocore", "gcsfs", "google"}
"""Libraries whose errors mean that the object store could not be read."""
_DENIED = {401, 403}


@dataclass(frozen=True)
class _Remote:
    """A file of the source."""

    name: str
    size: int | None
    """Bytes; None if the server does not announce them."""
    write: Callable[[Path], object]
    """Downloads the file to a path."""


def fetch_from_uri(source: UriSource, store: Store, progress: Progress, request_digest: str) -> Path:
    """Download the files at the URI. Files that already have the right size are not fetched again."""
    directory = store.work(request_digest) / "download"
    directory.mkdir(exist_ok=True)
    installation, host = Installation.read(), host_of(source.uri)
    with guarded(installation.networks) as guard:
        try:
            files = _web(source.uri) if source.uri.startswith(("http://", "https://")) else _object_store(source.uri)
            _check(files, host, installation.max_bytes)
            _download(files, host, store, progress, directory)
        except BuilderFailure:
            raise
        except Exception as error:
            failure = guard.failure(host) if guard.refused else _failure(error, host)
            if failure is None:
                raise
            raise failure from error
    return directory


def _web(uri: str) -> list[_Remote]:
    return [_Remote(file.name, file.size, partial(web.download, file)) for file in web.listed(uri)]


def _object_store(uri: str) -> list[_Remote]:
    system, root = fsspec.core.url_to_fs(uri)
    return [
        _Remote(
            PurePosixPath(entry["name"]).name,
            _size(system, entry),
            partial(system.get_file, str(entry["name"])),
        )
        for entry in system.ls(root, detail=True)
        if entry["type"] == "file" and is_wanted(PurePosixPath(entry["name"]).name)
    ]


def _size(system: Any, entry: dict[str, Any]) -> int | None:
    size = entry.get("size")
    if size is None:
        size = system.info(entry["name"]).get("size")
    return None if size is None else int(size)


def _check(files: list[_Remote], host: str, most: int) -> None:
    if not files:
        raise web.not_found(host)
    total = sum(file.size or 0 for file in files)
    large = [file for file in files if (file.size or 0) > web.MAX_SMALL and not file.name.endswith(".safetensors")]
    if total <= most and not large:
        return
    what = f"{large[0].name} on {host} has {large[0].size}" if large else f"The model on {host} has {total}"
    limit = web.MAX_SMALL if large else most
    raise BuilderFailure(
        ExitCode.INPUT_MISSING,
        Reason.SOURCE_NOT_FOUND,
        f"{what} bytes, more than the limit of {limit}.",
        "Correct spec.source.uri.uri."
        if large
        else f"Correct spec.source.uri.uri, or ask the cluster's administrator to raise {SOURCE_MAX_BYTES}.",
    )


def _download(files: list[_Remote], host: str, store: Store, progress: Progress, directory: Path) -> None:
    names = {file.name for file in files}
    for path in directory.iterdir():
        if path.name not in names:
            path.unlink()
    present = sum(path.stat().st_size for path in directory.iterdir())
    total = sum(file.size or 0 for file in files)
    store.require_space(max(0, total - present), f"The model on {host}")
    with progress.step("Downloading", total, "bytes") as step:
        for file in files:
            target = directory / file.name
            step.advance(0, file.name)
            if not target.exists() or target.stat().st_size != file.size:
                _fetch(file, target)
            step.advance(file.size or 0)


def _fetch(file: _Remote, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        file.write(unfinished)
        found = unfinished.stat().st_size
        if file.size is not None and found != file.size:
            raise transient(
                Reason.SOURCE_UNREACHABLE,
                f"{target.name} ended after {found} of {file.size} bytes.",
                "The Job is retried.",
            )
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _failure(error: Exception, host: str) -> BuilderFailure | None:
    """Failure for an error of the transfer; None for another kind of error."""
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        return web.not_found(host)
    if isinstance(error, PermissionError) or status in _DENIED or type(error).__name__ == "NoCredentialsError":
        return input_missing(
            Reason.SOURCE_ACCESS_DENIED,
            f"The credentials in spec.source.uri.secretRef may not read spec.source.uri.uri on {host}.",
            "Store credentials in that Secret that may list and read it.",
        )
    if (isinstance(error, OSError) and not is_disk_full(error)) or type(error).__module__.partition(".")[0] in _CLIENTS:
        return transient(
            Reason.SOURCE_UNREACHABLE,
            f"{host} cannot be read: {type(error).__name__ if status is None else f'it answered {status}'}.",
            "The Job is retried. Check spec.source.uri.uri and the credentials in spec.source.uri.secretRef.",
        )
    return None
