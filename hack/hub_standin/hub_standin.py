"""A stand-in for the Hugging Face hub's HTTP API over a directory of models; tests and demonstrations run it.

It answers what huggingface_hub asks for `model_info` and `hf_hub_download`, with the hub's status codes and error
headers, and refuses what the hub refuses. See README.md for the layout of the directory.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

SETTINGS = ".hub.json"
_CHUNK = 64 * 1024
_LFS_SUFFIXES = (".safetensors", ".bin", ".model", ".parquet")
_API = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>.+))?$")
_RESOLVE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)$")
_RANGE = re.compile(r"^bytes=(?P<first>\d+)-(?P<last>\d*)$")
_LICENCE = "Access to model {} is restricted and you are not in the authorized list. Visit its page to ask for access."
_LOG_IN = "Access to model {} is restricted. You must have access to it and be authenticated. Please log in."


class Refusal(Exception):
    """An error answer, with the hub's message."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


_NO_PAGE = Refusal(HTTPStatus.NOT_FOUND, "", "Sorry, we can't find the page you are looking for.")


@dataclass(frozen=True)
class Repository:
    """A directory `<org>/<name>`, with the settings in its .hub.json."""

    name: str
    directory: Path
    settings: dict[str, Any]

    @property
    def gated(self) -> bool:
        """True if files, but not the description, need an account with access."""
        return bool(self.settings.get("gated"))

    @property
    def private(self) -> bool:
        """True if the repository does not exist for accounts without access."""
        return bool(self.settings.get("private"))

    def files(self) -> list[Path]:
        """Files of the repository, without its settings."""
        found = (path for path in self.directory.rglob("*") if path.is_file() and path.name != SETTINGS)
        return sorted(found)

    def commit(self) -> str:
        """Commit of main: from the settings, or a hash of names and contents."""
        if "commit" in self.settings:
            return str(self.settings["commit"])
        names = [f"{path.relative_to(self.directory)} {etag_of(path)}" for path in self.files()]
        return hashlib.sha1("\n".join(names).encode(), usedforsecurity=False).hexdigest()

    def resolve(self, revision: str) -> str:
        """Commit of a branch, a tag or a commit."""
        commit = self.commit()
        revisions = {"main": commit, **self.settings.get("revisions", {})}
        if revision in revisions:
            return str(revisions[revision])
        if revision in revisions.values() or revision == commit:
            return revision
        raise Refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")


@dataclass
class Catalogue:
    """Directory of repositories, with the known tokens and the failures that remain to be injected."""

    root: Path
    cuts: dict[str, int] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def repositories(self) -> Iterator[Repository]:
        """Every `<org>/<name>`. It is read each time, so that a test may change the files."""
        for directory in sorted(self.root.glob("*/*")):
            if directory.is_dir():
                name = str(directory.relative_to(self.root))
                path = directory / SETTINGS
                settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
                yield Repository(name, directory, settings)

    def authorize(self, name: str, token: str | None, *, for_files: bool) -> Repository:
        """The repository, if the token may read it. Raises Refusal as the hub does."""
        repositories = {repository.name: repository for repository in self.repositories()}
        known = {
            one
            for repository in repositories.values()
            for one in (repository.settings.get("token"), *repository.settings.get("other_tokens", ()))
            if one
        }
        if token is not None and token not in known:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
        repository = repositories.get(name)
        granted = repository is not None and token is not None and token == repository.settings.get("token")
        if repository is None or (repository.private and not granted):
            if token is None:
                raise Refusal(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
            raise Refusal(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")
        if for_files and repository.gated and not granted:
            if token is None:
                raise Refusal(HTTPStatus.UNAUTHORIZED, "GatedRepo", _LOG_IN.format(name))
            raise Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", _LICENCE.format(name))
        return repository

    def take_cut(self, repository: Repository, length: int) -> int | None:
        """Bytes of an answer after which the connection is cut; None for a complete answer."""
        after = repository.settings.get("fail_after_bytes")
        if after is None or length <= int(after):
            return None
        with self.lock:
            left = self.cuts.setdefault(repository.name, int(repository.settings.get("times", 1)))
            if left <= 0:
                return None
            self.cuts[repository.name] = left - 1
        return int(after)

    def take_spoil(self, repository: Repository, name: str) -> bool:
        """True if a file is sent with changed content, as by a broken proxy: only the first time."""
        with self.lock:
            key = f"{repository.name}/{name}"
            if name not in repository.settings.get("spoil", ()) or key in self.spoilt:
                return False
            self.spoilt.add(key)
        return True


class HubServer(ThreadingHTTPServer):
    """Serves a catalogue; `log` has every request as (method, path, Range header)."""

    daemon_threads = True

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.catalogue = Catalogue(root)
        self.log: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        """Value for HF_ENDPOINT."""
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"


class Handler(BaseHTTPRequestHandler):
    """Handler of one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "hub_standin"
    server: HubServer

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Log one line per request to stderr; stdout has the port only."""
        sys.stderr.write(f"{self.address_string()} {format % args}\n")

    def _answer(self, *, with_body: bool) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.server.log.append((self.command, path, self.headers.get("Range", "")))
        try:
            api, resolve = _API.match(path), _RESOLVE.match(self.path.partition("?")[0])
            if api is not None:
                self._describe(api["repo"], api["revision"] or "main", parse_qs(parts.query), with_body=with_body)
            elif resolve is not None:
                self._file(*(unquote(part) for part in resolve.group("repo", "revision", "file")), with_body=with_body)
            else:
                self._refuse(_NO_PAGE, with_body=with_body)
        except Refusal as refusal:
            self._refuse(refusal, with_body=with_body)

    def _token(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" and token else None

    def _describe(self, name: str, revision: str, query: dict[str, list[str]], *, with_body: bool) -> None:
        repository = self.server.catalogue.authorize(name, self._token(), for_files=False)
        commit = repository.resolve(revision)
        blobs = query.get("blobs", ["false"])[0].lower() in {"true", "1"}
        body = json.dumps(
            {
                "_id": hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:24],
                "id": name,
                "modelId": name,
                "sha": commit,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [_sibling(repository, path, blobs=blobs) for path in repository.files()],
            }
        ).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _file(self, name: str, revision: str, file: str, *, with_body: bool) -> None:
        repository = self.server.catalogue.authorize(name, self._token(), for_files=True)
        commit = repository.resolve(revision)
        path = repository.directory / file
        if path not in repository.files():
            raise Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
        size = path.stat().st_size
        first, last, partial = self._range(size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{etag_of(path)}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Disposition", f'inline; filename="{path.name}";')
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if with_body:
            length = last - first + 1
            cut = self.server.catalogue.take_cut(repository, length)
            with path.open("rb") as opened:
                opened.seek(first)
                if self.server.catalogue.take_spoil(repository, path.name):
                    self._send(io.BytesIO(opened.read(length).swapcase()), length)
                else:
                    self._send(opened, length if cut is None else cut)
            if cut is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

    def _range(self, size: int) -> tuple[int, int, bool]:
        """First byte, last byte, and True for a part. A malformed header is ignored, as in RFC 9110."""
        match = _RANGE.match(self.headers.get("Range", ""))
        if match is None:
            return 0, size - 1, False
        first = int(match["first"])
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        if first >= size or last < first:
            raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "", f"The file has {size} bytes")
        return first, last, True

    def _send(self, opened: BinaryIO, length: int) -> None:
        while length > 0 and (chunk := opened.read(min(_CHUNK, length))):
            self.wfile.write(chunk)
            length -= len(chunk)
        self.wfile.flush()

    def _refuse(self, refusal: Refusal, *, with_body: bool) -> None:
        body = json.dumps({"error": refusal.message}).encode()
        self.send_response(refusal.status)
        if refusal.code:
            self.send_header("X-Error-Code", refusal.code)
        self.send_header("X-Error-Message", refusal.message)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


_etags: dict[tuple[Path, int, int], str] = {}


def etag_of(path: Path) -> str:
    """The hub's digest of a file: sha256 in LFS, otherwise the sha1 of the git blob."""
    state = path.stat()
    key = (path, state.st_size, state.st_mtime_ns)
    if key not in _etags:
        if path.name.endswith(_LFS_SUFFIXES):
            digest = hashlib.sha256()
        else:
            digest = hashlib.sha1(f"blob {state.st_size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
        _etags[key] = digest.hexdigest()
    return _etags[key]


def _sibling(repository: Repository, path: Path, *, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": str(path.relative_to(repository.directory))}
    if blobs:
        size, etag = path.stat().st_size, etag_of(path)
        sibling |= {"size": size, "blobId": etag[:40]}
        if path.name.endswith(_LFS_SUFFIXES):
            sibling["lfs"] = {"sha256": etag, "size": size, "pointerSize": 134}
    return sibling


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="hub_standin", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="directory of <org>/<name> directories")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--print-port", action="store_true", help="write the port on stdout once it is open")
    arguments = parser.parse_args(argv)
    if not arguments.root.is_dir():
        parser.error(f"{arguments.root} is not a directory")
    with HubServer(arguments.root, arguments.host, arguments.port) as server:
        if arguments.print_port:
            sys.stdout.write(f"{server.server_port}\n")
            sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
