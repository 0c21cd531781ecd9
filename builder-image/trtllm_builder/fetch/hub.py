"""The Hugging Face hub, or the one that HF_ENDPOINT names: pin the commit, then download what a model needs."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from trtllm_api.contract import HF_TOKEN_ENV, ExitCode, FailureReason
from trtllm_api.quantizedmodel import HuggingFaceSource
from trtllm_builder.checkpoint_files import UNWANTED, WANTED
from trtllm_builder.failure import BuilderFailure, input_missing, transient
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

_ROOM_PERCENT = 105
"""The download and a little room for file systems that round up."""


def fetch_from_hub(
    source: HuggingFaceSource, store: Store, progress: Progress, request_digest: str
) -> tuple[Path, str]:
    """Directory with the downloaded files, and the commit that they are of. A killed download is taken up again."""
    token = os.environ.get(HF_TOKEN_ENV) or None
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        info = HfApi().model_info(source.repo, revision=source.revision, files_metadata=True, token=token)
        commit = str(info.sha)
        wanted = [
            (sibling.rfilename, sibling.size or 0)
            for sibling in info.siblings or ()
            if any(fnmatch(sibling.rfilename, pattern) for pattern in WANTED)
            and not any(fnmatch(sibling.rfilename, pattern) for pattern in UNWANTED)
        ]
        total = sum(size for _, size in wanted)
        directory = store.work(request_digest) / "download"
        present = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        store.require_space(max(0, total * _ROOM_PERCENT // 100 - present), f"{source.repo} at {commit[:12]}")
        with progress.step("Downloading", total, "bytes") as step:
            for name, size in wanted:
                step.advance(0, name)
                hf_hub_download(source.repo, name, revision=commit, local_dir=directory, token=token)
                step.advance(size)
    except BuilderFailure:
        raise
    except GatedRepoError as error:
        raise _denied(source, bool(token)) from error
    except RevisionNotFoundError as error:
        raise input_missing(
            FailureReason.SOURCE_NOT_FOUND,
            f"{source.repo} has no revision {source.revision} on {endpoint}.",
            "Correct spec.source.huggingFace.revision: a branch, a tag or a commit.",
        ) from error
    except RepositoryNotFoundError as error:
        hint = "" if token else ", or it is private and there is no token"
        raise input_missing(
            FailureReason.SOURCE_NOT_FOUND,
            f"There is no repository {source.repo} on {endpoint}{hint}.",
            "Correct spec.source.huggingFace.repo; for a private one name a token in tokenSecretRef.",
        ) from error
    except EntryNotFoundError as error:
        raise transient(
            FailureReason.SOURCE_NOT_FOUND,
            f"A file of {source.repo} vanished while it was fetched.",
            "It is tried again.",
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in {401, 403}:
            raise _denied(source, bool(token)) from error
        raise transient(
            FailureReason.SOURCE_UNREACHABLE, f"{endpoint} answered {status} for {source.repo}.", "It is tried again."
        ) from error
    except OSError as error:
        raise transient(
            FailureReason.SOURCE_UNREACHABLE,
            f"{endpoint} cannot be reached for {source.repo}: {type(error).__name__}.",
            "Check the pods' way to the hub; HF_ENDPOINT in spec.podTemplate.env names a mirror. It is tried again.",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2", "httpcore", "httpcore2", "requests"}:
            raise
        raise transient(
            FailureReason.SOURCE_UNREACHABLE,
            f"{endpoint} cannot be reached for {source.repo}: {type(error).__name__}.",
            "Check the pods' way to the hub; HF_ENDPOINT in spec.podTemplate.env names a mirror. It is tried again.",
        ) from error
    return directory, commit


def _denied(source: HuggingFaceSource, with_token: bool) -> BuilderFailure:
    if with_token:
        message = f"{source.repo} is gated, and the account of the token in tokenSecretRef has not been granted access."
        remedy = "Accept the model's licence with that account on the hub, or use a token of an account that has."
    else:
        message = f"{source.repo} is gated or private, and spec.source.huggingFace has no tokenSecretRef."
        remedy = "Accept the licence on the hub, put an access token into a Secret, and name it in tokenSecretRef."
    return BuilderFailure(ExitCode.INPUT_MISSING, FailureReason.SOURCE_ACCESS_DENIED, message, remedy)
