"""Reads small files of a model on the Hugging Face hub.

If huggingface_hub is installed, it reads them: it has a cache, and renews the token of `hf auth login`. Otherwise the
standard library does. HF_ENDPOINT names another hub. A token is sent to the hub only: redirects to other hosts drop it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import LARGEST

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
SECONDS: Final = 20
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST_TOKEN: Final = 4096


@dataclass(frozen=True)
class HubFile:
    """A file on a hub."""

    endpoint: str
    repo: str
    revision: str
    name: str

    @property
    def takes_token(self) -> bool:
        """True if a token may be sent: the hub uses https or is this machine."""
        parts = urlsplit(self.endpoint)
        return parts.scheme == "https" or parts.hostname in _LOCAL

    def refused(self, code: int, *, with_token: bool) -> Unreadable:
        """The hub refused the file."""
        if code in {401, 403}:
            how = "use a token that may read it" if with_token else "log in with hf auth login, or set HF_TOKEN"
            cause = f"{self.repo} is private, gated or missing ({self.endpoint} answered {code})"
            return Unreadable(cause, f"{how}; or name a local copy with --model")
        return Unreadable(
            f"{self.endpoint} answered {code} for {self.repo}", "try again, or name a local copy with --model"
        )

    def no_revision(self) -> Unreadable:
        """The repository or the revision does not exist."""
        return Unreadable(f"{self.endpoint} has no {self.repo} at revision {self.revision}")

    def not_reached(self, cause: object) -> Unreadable:
        """The hub did not answer."""
        return Unreadable(f"the hub {self.endpoint} cannot be reached ({cause})", "name a local copy with --model")

    def too_large(self) -> Unreadable:
        """The file is too large for a configuration file."""
        return Unreadable(
            f"{self.repo}: {self.name} is larger than {LARGEST >> 20} MiB, the limit of a configuration file"
        )


def hub_file(repo: str, revision: str, name: str) -> bytes | None:
    """Content of a small file; None if the repository does not have it."""
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise Unreadable(f"HF_ENDPOINT {endpoint} is not a URL", "write https://HOST")
    file = HubFile(endpoint, repo, revision, name)
    if library_is_installed():
        from trtllm_cli.hublibrary import library_file  # its import takes half a second

        return library_file(file)
    return _plain_file(file)


def library_is_installed() -> bool:
    """Whether huggingface_hub can be imported."""
    return find_spec("huggingface_hub") is not None


def stored_token() -> str | None:
    """The token of HF_TOKEN, or the one that `hf auth login` has stored."""
    given = os.environ.get("HF_TOKEN")
    if given and given.strip():
        return given.strip()
    home = os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    path = Path(os.path.expandvars(os.environ.get("HF_TOKEN_PATH") or f"{home}/token")).expanduser()
    try:
        with path.open(encoding="utf-8") as opened:
            return opened.read(_LONGEST_TOKEN).strip() or None
    except (OSError, UnicodeDecodeError):
        return None


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        found = super().redirect_request(req, fp, code, msg, headers, newurl)
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if found is not None and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            found.remove_header("Authorization")
        return found


def _plain_file(file: HubFile) -> bytes | None:
    url = f"{file.endpoint}/{quote(file.repo)}/resolve/{quote(file.revision, safe='')}/{quote(file.name)}"
    request = Request(url, headers={"User-Agent": "trtllm-cli"})  # noqa: S310 - https, or http as HF_ENDPOINT says
    token = stored_token() if file.takes_token else None
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with build_opener(HTTPSHandler, _Redirects).open(request, timeout=SECONDS) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        if error.code == 404:
            if error.headers.get("X-Error-Code") in {None, "EntryNotFound"}:
                return None
            raise file.no_revision() from None
        raise file.refused(error.code, with_token=token is not None) from None
    except (URLError, HTTPException, OSError) as error:
        raise file.not_reached(error.reason if isinstance(error, URLError) else error) from None
    if len(content) > LARGEST:
        raise file.too_large()
    return content
