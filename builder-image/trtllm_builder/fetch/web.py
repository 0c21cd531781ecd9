"""Fetches a model from a directory of a web server: an index page with links. Every file has limits."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.addresses import guarded
from trtllm_builder.checkpoint_files import is_wanted
from trtllm_builder.failure import BuilderFailure, input_missing, shown, transient

MAX_SMALL: Final = 256 * 2**20
"""Most bytes of a file without weights, and of a file whose size the server does not announce."""
MAX_FILES: Final = 4096
_MAX_PAGE: Final = 4 * 2**20
_MAX_REDIRECTS: Final = 5
_TIMEOUT_SECONDS: Final = 60.0
"""Time limit of one read from the socket."""
_PATIENCE_SECONDS: Final = 300.0
_SLOWEST: Final = 64 * 2**10
"""Least bytes per second. A slower download is given up after _PATIENCE_SECONDS."""
_CHUNK: Final = 1 << 20
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_DENIED: Final = {401, 403}
_KNOWN: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True)
class WebFile:
    """A file of the directory."""

    name: str
    url: str
    size: int | None
    """Bytes; None if the server does not announce them."""


def listed(uri: str) -> list[WebFile]:
    """Files of a model that the index page links to."""
    with closing(_opened("GET", uri)) as answer:
        page = b"".join(_body(answer, _MAX_PAGE, "The index page")).decode("utf-8", "replace")
        base = answer.url if answer.url.endswith("/") else f"{answer.url}/"
    links = _Links()
    links.feed(page)
    names: dict[str, str] = {}
    for href in links.found:
        url = _joined(base, href).partition("#")[0].partition("?")[0]
        parent, _, last = url.rpartition("/")
        name = unquote(last)
        if f"{parent}/" == base and is_wanted(name):
            names[name] = url
    if len(names) > MAX_FILES:
        raise _refused(f"The index page has links to {len(names)} files, more than the limit of {MAX_FILES}.")
    return [WebFile(name, url, _size(url)) for name, url in sorted(names.items())]


def download(file: WebFile, target: Path) -> None:
    """Write the file, at most its announced size or the limit."""
    most = MAX_SMALL if file.size is None else file.size
    with closing(_opened("GET", file.url)) as answer, target.open("wb") as opened:
        for chunk in _body(answer, most, file.name):
            opened.write(chunk)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


class _Answer:
    """Answer of a server, and its address after all redirects."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, url: str) -> None:
        self._connection, self.response, self.url = connection, response, url

    @property
    def size(self) -> int | None:
        """Announced size of the body in bytes; None if there is none."""
        text = self.response.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None

    def close(self) -> None:
        """Close the answer and its connection."""
        self.response.close()
        self._connection.close()


def _size(url: str) -> int | None:
    try:
        with closing(_opened("HEAD", url)) as answer:
            return answer.size
    except _Status as error:
        # the server may not support HEAD; the download reports other errors
        if error.status in _DENIED:
            raise
        return None


class _Status(OSError):
    """Answer with a status that is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


def _opened(method: str, uri: str) -> _Answer:
    """Follow redirects and return the answer. Raises OSError, with `status` if the server answered."""
    url, first = uri, _parts(uri)
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _parts(url)
        if first.scheme == "https" and parts.scheme != "https":
            raise _refused(f"An https address redirects to http on {host_of(url)}.")
        if _origin(parts) == _origin(first):
            answer = _asked(method, parts)
        else:
            # an allowed server in a private network must not redirect to other private addresses
            with guarded(()) as guard:
                try:
                    answer = _asked(method, parts)
                except OSError as error:
                    raise (guard.failure(host_of(uri)) if guard.refused else error) from error
        response = answer.response
        if response.status in _REDIRECTS and response.headers.get("location"):
            url = _joined(url, response.headers["location"])
            answer.close()
            continue
        if response.status != http.client.OK:
            answer.close()
            raise _Status(response.status)
        if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            answer.close()
            raise _refused(f"{host_of(url)} sends compressed content, which is not supported.")
        return answer
    raise _refused(f"{host_of(url)} redirects more than {_MAX_REDIRECTS} times.")


def _asked(method: str, parts: SplitResult) -> _Answer:
    connection = _KNOWN[parts.scheme](parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    try:
        connection.request(method, path, headers={"accept-encoding": "identity", "user-agent": "trtllm-builder"})
        return _Answer(connection, connection.getresponse(), parts.geturl())
    except (http.client.HTTPException, ValueError) as error:
        connection.close()
        raise ConnectionError(type(error).__name__) from error
    except BaseException:
        connection.close()
        raise


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _body(answer: _Answer, most: int, what: str) -> Iterator[bytes]:
    """Chunks of the body. Raises BuilderFailure above the limit, or if the server is too slow."""
    began, read = time.monotonic(), 0
    while chunk := _read(answer.response):
        read += len(chunk)
        if read > most:
            raise _refused(f"{shown(what)} of {host_of(answer.url)} has more than {most} bytes, the limit.")
        if time.monotonic() - began > _PATIENCE_SECONDS + read / _SLOWEST:
            raise transient(
                Reason.SOURCE_UNREACHABLE,
                f"{host_of(answer.url)} is too slow: it sent {read} bytes of {shown(what)} in more than "
                f"{_PATIENCE_SECONDS:.0f} s.",
                "The Job is retried.",
            )
        yield chunk


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except http.client.HTTPException as error:
        raise ConnectionError(type(error).__name__) from error


def _joined(base: str, reference: str) -> str:
    """Address that a page or an answer refers to; empty if it is not valid."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return ""


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _KNOWN and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or not url.isascii() or any(map(str.isspace, url)):
        raise _refused("An address is not an http or https URL.")
    if "@" in parts.netloc:
        raise _refused(f"The address on {host_of(url)} contains a user name or a password.")
    return parts


def host_of(url: str) -> str:
    """Host of a URL. Messages show nothing else of it, because its path and query may contain a secret."""
    try:
        return shown(urlsplit(url).hostname or "the server")
    except ValueError:
        return "the server"


def _refused(message: str) -> BuilderFailure:
    return BuilderFailure(
        ExitCode.INPUT_MISSING,
        Reason.SOURCE_NOT_FOUND,
        message,
        "Set spec.source.uri.uri to a directory that serves the model's files unchanged, with an index page.",
    )


def not_found(host: str) -> BuilderFailure:
    """Failure because the directory does not exist or is empty."""
    return input_missing(
        Reason.SOURCE_NOT_FOUND,
        f"spec.source.uri.uri does not exist on {host}, or contains no model.",
        "Set spec.source.uri.uri to the directory with config.json.",
    )
