"""Reads a file of the hub through huggingface_hub, if that is installed."""

from __future__ import annotations

import logging
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OIDCError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from trtllm_cli.hub import SECONDS, HubFile
from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import LARGEST, read_bytes


def library_file(file: HubFile) -> bytes | None:
    """Content of the file; None if the repository does not have it."""
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    token = _token() if file.takes_token else None
    try:
        return _read(file, token or False)
    except EntryNotFoundError:
        return None
    except RevisionNotFoundError:
        raise file.no_revision() from None
    except HFValidationError as error:
        raise Unreadable(f"{file.repo} is not a valid repository name: {error}") from None
    except HfHubHTTPError as error:
        raise file.refused(error.response.status_code, with_token=token is not None) from None


def _token() -> str | None:
    """The token of HF_TOKEN or of `hf auth login`, renewed if it expires."""
    try:
        return get_token()
    except OIDCError as error:
        raise Unreadable(f"HF_OIDC_RESOURCE is set, but no token could be obtained: {error}") from None
    except OSError:
        return None


def _read(file: HubFile, token: str | bool) -> bytes:
    url = hf_hub_url(file.repo, file.name, revision=file.revision, endpoint=file.endpoint)
    try:
        size = get_hf_file_metadata(url, token=token, timeout=SECONDS, endpoint=file.endpoint).size
    except (HfHubHTTPError, HFValidationError):
        raise
    except Exception as error:  # huggingface_hub does not wrap the errors of its HTTP library
        return _cached(file, error)
    if size is not None and size > LARGEST:
        raise file.too_large()
    found = hf_hub_download(
        file.repo, file.name, revision=file.revision, endpoint=file.endpoint, token=token, etag_timeout=SECONDS
    )
    return read_bytes(Path(found))


def _cached(file: HubFile, cause: Exception) -> bytes:
    """The file from huggingface_hub's cache, because the hub does not answer."""
    try:
        found = hf_hub_download(file.repo, file.name, revision=file.revision, local_files_only=True)
    except LocalEntryNotFoundError:
        raise file.not_reached(cause) from None
    return read_bytes(Path(found))
