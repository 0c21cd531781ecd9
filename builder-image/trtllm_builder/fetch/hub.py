"""Fetches a model from the Hugging Face hub or the hub of HF_ENDPOINT: pins the commit, then downloads the files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from trtllm_api.contract import HF_TOKEN_ENV, ExitCode
from trtllm_api.manifest import ManifestFile
from trtllm_api.reasons import Reason
from trtllm_api.source import HuggingFaceSource
from trtllm_builder.addresses import guarded
from trtllm_builder.checkpoint_files import is_wanted
from trtllm_builder.failure import BuilderFailure, first_line, input_missing, shown, transient
from trtllm_builder.files import is_disk_full
from trtllm_builder.hub import Hub, hub_of
from trtllm_builder.installation import SOURCE_MAX_BYTES
from trtllm_builder.progress import Progress, Step
from trtllm_builder.store import Store

_ROOM_PERCENT = 105
"""Space for the download, with a reserve for file systems that round up."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256_DIGITS = 64
_CLIENTS = {"httpx", "httpx2", "httpcore", "httpcore2", "requests"}
"""Libraries whose errors mean that the hub cannot be reached."""


@dataclass(frozen=True)
class Download:
    """Downloaded files of a repository."""

    directory: Path
    commit: str
    digests: dict[str, str]
    """The hub's digests by file name: sha256 for files in its large file storage, otherwise git's sha1."""

    def check(self, files: tuple[ManifestFile, ...]) -> None:
        """Compare the files with the hub's digests. Raises SourceCorrupt, and removes the file that differs."""
        for file in files:
            digest, path = self.digests.get(file.path), self.directory / file.path
            if digest is None or digest == (file.sha256 if len(digest) == _SHA256_DIGITS else _git_digest(path)):
                continue
            path.unlink()
            raise transient(
                Reason.SOURCE_CORRUPT,
                f"The downloaded {shown(file.path)} ({file.bytes} bytes) does not have the hub's digest {digest[:12]}.",
                "The Job is retried. If it fails again, check whether a proxy changes the files.",
            )


def fetch_from_hub(source: HuggingFaceSource, store: Store, progress: Progress, request_digest: str) -> Download:
    """Download the model's files, pinned to a commit.

    Complete files of an earlier pod are not fetched again, and an interrupted file continues where it stopped.
    """
    hub = hub_of(os.environ)
    token = hub.token(HF_TOKEN_ENV, "spec.source.huggingFace.tokenSecretRef")
    with guarded(hub.installation.networks) as guard:
        try:
            return _fetch(source, store, progress, store.work(request_digest), hub, token or False)
        except BuilderFailure:
            raise
        except Exception as error:
            failure = guard.failure(hub.name) if guard.refused else _failure(error, source, hub.name, token is not None)
            if failure is None:
                raise
            raise failure from error


def _fetch(
    source: HuggingFaceSource, store: Store, progress: Progress, work: Path, hub: Hub, token: str | bool
) -> Download:
    api = HfApi(endpoint=hub.endpoint)
    info = api.model_info(source.repo, revision=source.revision, files_metadata=True, token=token)
    commit = str(info.sha)
    if _COMMIT.fullmatch(commit) is None:
        raise transient(
            Reason.SOURCE_UNREACHABLE,
            f"The hub returned {shown(commit)!r} for {source.repo}, which is not a commit.",
            "The Job is retried. Check that HF_ENDPOINT names a Hugging Face hub.",
        )
    files = [sibling for sibling in info.siblings or () if is_wanted(sibling.rfilename)]
    digests = {file.rfilename: file.lfs.sha256 if file.lfs else str(file.blob_id or "") for file in files}
    wanted = [(file.rfilename, max(0, file.size or 0)) for file in files]
    total = sum(size for _, size in wanted)
    if total > hub.installation.max_bytes:
        raise input_missing(
            Reason.SOURCE_NOT_FOUND,
            f"{source.repo} has {total} bytes, more than the limit of {hub.installation.max_bytes}.",
            f"Ask the cluster's administrator to raise {SOURCE_MAX_BYTES} of the builder pods.",
        )
    directory = work / f"download-{commit}"
    _tidy(work, directory)
    present = sum((directory / name).stat().st_size for name, _ in wanted if (directory / name).is_file())
    store.require_space(max(0, total * _ROOM_PERCENT // 100 - present), f"{source.repo} at {commit[:12]}")
    with progress.step("Downloading", total, "bytes") as step:
        done = 0
        for name, size in wanted:
            step.reach(done, name)
            hf_hub_download(
                source.repo,
                name,
                revision=commit,
                local_dir=directory,
                endpoint=hub.endpoint,
                token=token,
                tqdm_class=_bar(step),
            )
            done += size
        step.reach(done)
    return Download(directory, commit, {name: digest for name, digest in digests.items() if digest})


def _git_digest(path: Path) -> str:
    """sha1 that git computes for the file."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _tidy(work: Path, directory: Path) -> None:
    """Keep the complete files of this commit, and remove all other downloads."""
    for other in work.glob("download*"):
        if other != directory:
            shutil.rmtree(other, ignore_errors=True)
    for unfinished in directory.glob(".cache/huggingface/download/*.incomplete"):
        unfinished.unlink(missing_ok=True)
    directory.mkdir(exist_ok=True)


def _bar(step: Step) -> type[tqdm]:
    """Progress bar for huggingface_hub that prints nothing and advances the step."""

    class Bar(tqdm):  # type: ignore[misc, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call, unused-ignore]

        def update(self, n: float | None = 1) -> None:
            step.advance(n or 0)

        def update_transfer(self, n: float) -> None:
            """Do nothing: for files in Xet storage, `update` counts bytes on disk, and this bytes on the network."""

        def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None:
            """Print nothing."""

    return Bar


def _failure(error: Exception, source: HuggingFaceSource, hub: str, with_token: bool) -> BuilderFailure | None:
    """Failure for an error of huggingface_hub; None for another kind of error."""
    if isinstance(error, GatedRepoError):
        return _denied(source, with_token=with_token)
    if isinstance(error, RevisionNotFoundError):
        return input_missing(
            Reason.SOURCE_NOT_FOUND,
            f"{source.repo} has no revision {source.revision} on {hub}.",
            "Correct spec.source.huggingFace.revision: a branch, a tag or a commit.",
        )
    if isinstance(error, RepositoryNotFoundError):
        hint = ", or the token may not read it" if with_token else ", or it is private and no token is set"
        return input_missing(
            Reason.SOURCE_NOT_FOUND,
            f"{source.repo} does not exist on {hub}{hint}.",
            "Correct spec.source.huggingFace.repo. For a private repository, set tokenSecretRef.",
        )
    if isinstance(error, HFValidationError):
        return input_missing(
            Reason.SOURCE_NOT_FOUND,
            f"{source.repo} is not a valid repository name: {first_line(error)}",
            "Correct spec.source.huggingFace.repo.",
        )
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return transient(
            Reason.SOURCE_NOT_FOUND,
            f"A file of {source.repo} was removed from the hub during the download.",
            "The Job is retried.",
        )
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in {401, 403}:
            return _refused(source, hub, status) if with_token else _denied(source, with_token=False)
        return transient(
            Reason.SOURCE_UNREACHABLE, f"{hub} answered {status} for {source.repo}.", "The Job is retried."
        )
    if (isinstance(error, OSError) and not is_disk_full(error)) or type(error).__module__.partition(".")[0] in _CLIENTS:
        return transient(
            Reason.SOURCE_UNREACHABLE,
            f"{hub} cannot be reached for {source.repo}: {type(error).__name__}.",
            "The Job is retried. Check the pods' network access; HF_ENDPOINT in spec.podTemplate.env sets a mirror.",
        )
    return None


def _refused(source: HuggingFaceSource, hub: str, status: int) -> BuilderFailure:
    return input_missing(
        Reason.SOURCE_ACCESS_DENIED,
        f"{hub} does not accept the token in tokenSecretRef for {source.repo}: it answered {status}.",
        "Store a valid token in that Secret that may read the repository.",
    )


def _denied(source: HuggingFaceSource, *, with_token: bool) -> BuilderFailure:
    if with_token:
        message = f"{source.repo} is gated, and the account of the token in tokenSecretRef has no access."
        remedy = "Accept the model's licence with that account on the hub, or use a token of an account with access."
    else:
        message = f"{source.repo} is gated or private, and spec.source.huggingFace has no tokenSecretRef."
        remedy = "Accept the licence on the hub, store an access token in a Secret, and set tokenSecretRef."
    return BuilderFailure(ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED, message, remedy)
