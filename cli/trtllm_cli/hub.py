"""Two small files of a model on the Hugging Face hub: `hub_file`, called by models.py.

HF_ENDPOINT names another hub, HF_TOKEN is sent to it, and to no other host: a redirect leaves it behind.
"""

from __future__ import annotations

import os
from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import LARGEST

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_SECONDS: Final = 20
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if found is not None and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            found.remove_header("Authorization")
        return found


def hub_file(repo: str, revision: str, name: str) -> bytes | None:
    """A small file; None where the repository does not have it."""
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Unreadable(f"HF_ENDPOINT {endpoint} is no address: write https://HOST")
    url = f"{endpoint}/{quote(repo)}/resolve/{quote(revision, safe='')}/{quote(name)}"
    request = Request(url, headers={"User-Agent": "trtllm-cli"})  # noqa: S310 - https, or http as asked for
    token = os.environ.get("HF_TOKEN")
    if token and (parts.scheme == "https" or parts.hostname in _LOCAL):
        request.add_header("Authorization", f"Bearer {token.strip()}")
    try:
        with build_opener(HTTPSHandler, _Redirects).open(request, timeout=_SECONDS) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        if error.code == 404 and error.headers.get("X-Error-Code") in {None, "EntryNotFound"}:
            return None
        raise Unreadable(_refused(error, repo, revision, endpoint, token)) from None
    except (URLError, HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        raise Unreadable(f"the hub {endpoint} cannot be reached ({cause}): name the model with --model") from None
    if len(content) > LARGEST:
        raise Unreadable(f"{repo}: {name} is larger than {LARGEST >> 20} MiB, which no configuration is")
    return content


def _refused(error: HTTPError, repo: str, revision: str, endpoint: str, token: str | None) -> str:
    if error.code in {401, 403}:
        how = "HF_TOKEN may not read it" if token else "set HF_TOKEN to a token that may read it"
        return f"{repo} is private, gated or not there ({error.code} of {endpoint}): {how}, or name it with --model"
    if error.code == 404:
        return f"{endpoint} has no {repo} at revision {revision}"
    return f"{endpoint} answered {error.code} for {repo}: try again, or name the model with --model"
