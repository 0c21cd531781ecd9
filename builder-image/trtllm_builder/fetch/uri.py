"""Object stores and the rest that fsspec reads."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import fsspec

from trtllm_api.contract import ExitCode, FailureReason
from trtllm_api.quantizedmodel import UriSource
from trtllm_builder.checkpoint_files import WANTED
from trtllm_builder.failure import BuilderFailure, input_missing, transient
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store


def fetch_from_uri(source: UriSource, store: Store, progress: Progress, request_digest: str) -> Path:
    """Directory with the files at the URI; files that are there with the right size are not fetched again."""
    directory = store.work(request_digest) / "download"
    directory.mkdir(exist_ok=True)
    try:
        system, root = fsspec.core.url_to_fs(source.uri)
        entries = [
            (str(entry["name"]), int(entry.get("size") or 0))
            for entry in system.ls(root, detail=True)
            if entry["type"] == "file" and any(fnmatch(PurePosixPath(entry["name"]).name, name) for name in WANTED)
        ]
        if not entries:
            raise FileNotFoundError(source.uri)
        store.require_space(sum(size for _, size in entries), source.uri)
        with progress.step("Downloading", sum(size for _, size in entries), "bytes") as step:
            for name, size in entries:
                target = directory / PurePosixPath(name).name
                step.advance(0, target.name)
                if not (target.exists() and target.stat().st_size == size):
                    unfinished = target.with_name(f".{target.name}.unfinished")
                    system.get_file(name, str(unfinished))
                    unfinished.rename(target)
                step.advance(size)
    except FileNotFoundError as error:
        raise input_missing(
            FailureReason.SOURCE_NOT_FOUND,
            f"There is nothing at {source.uri}.",
            "Correct spec.source.uri.uri: it names the directory that holds config.json.",
        ) from error
    except PermissionError as error:
        raise BuilderFailure(
            ExitCode.INPUT_MISSING,
            FailureReason.SOURCE_ACCESS_DENIED,
            f"{source.uri} may not be read with the credentials of spec.source.uri.secretRef.",
            "Put credentials that may list and read it into that Secret.",
        ) from error
    except OSError as error:
        raise transient(
            FailureReason.SOURCE_UNREACHABLE,
            f"{source.uri} cannot be read: {type(error).__name__}.",
            "Check the address and the credentials in spec.source.uri.secretRef. It is tried again.",
        ) from error
    return directory
