"""Web servers that a source must not lead to, or that send what must not be written; fetch/web.py and addresses.py."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_api.source import UriSource
from trtllm_builder.addresses import Guard, guarded
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.fetch import web
from trtllm_builder.fetch.uri import fetch_from_uri
from trtllm_builder.installation import Installation
from trtllm_builder.store import Store

from .conftest import Log, failure_of

_DIGEST = "sha256:" + "cd" * 32


@dataclass
class Server:
    """Answers by path: status, headers and body; counts what it sent."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    endless: bool = False
    sent: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, *names: str) -> None:
        links = "".join(f'<a href="{name}">{name}</a>' for name in names)
        self.answers["/m/"] = (200, {"content-length": str(len(links))}, links.encode())

    def fetch(self, store: Store, log: Log, path: str = "/m/") -> Path:
        return fetch_from_uri(UriSource(uri=self.url + path), store, log.progress, _DIGEST)

    def refusal(self, store: Store, log: Log, path: str = "/m/") -> BuilderFailure:
        return failure_of(lambda: self.fetch(store, log, path))


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    """One that the source names, and one that it must not lead to; their network is allowed."""
    monkeypatch.setenv("TRTLLM_SOURCE_NETWORKS", "127.0.0.0/8")
    running = []
    made = (Server(), Server())
    for server in made:
        handler = type("Handler", (_Handler,), {"behaviour": server})
        httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.port = httpd.server_port
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((httpd, thread))
    yield made
    for httpd, thread in running:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Server

    def do_GET(self) -> None:
        self.behaviour.asked.append(self.path)
        status, headers, body = self.behaviour.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body)
        while self.behaviour.endless and body:
            try:
                self.behaviour.sent += self.wfile.write(b"a" * 2**16)
            except OSError:
                return

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_compressed_content_is_not_unpacked(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    bomb = gzip.compress(b"\0" * 2**24, 9)
    server.page("config.json")
    server.answers["/m/config.json"] = (
        200,
        {"content-encoding": "gzip", "content-length": str(len(bomb))},
        bomb,
    )
    failure = server.refusal(store, log)
    assert failure.message == "127.0.0.1 sends compressed content, which is not supported."
    assert sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file()) == 0


def test_a_file_without_an_end_is_cut_off_and_leaves_nothing(
    servers: tuple[Server, Server], store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    monkeypatch.setattr(web, "MAX_SMALL", 2**20)
    server.page("config.json")
    server.answers["/m/config.json"] = (200, {}, b"{")
    server.endless = True
    server.answers["/m/"] = (200, {"content-length": "30"}, b'<a href="config.json">x</a>   ')
    failure = server.refusal(store, log)
    assert failure.message == "config.json of 127.0.0.1 has more than 1048576 bytes, the limit."
    assert list((store.root / "work").rglob("*.unfinished")) == []


def test_an_index_page_without_an_end_is_not_read(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    server.answers["/m/"] = (200, {}, b"<html>")
    server.endless = True
    assert "The index page of 127.0.0.1 has more than 4194304 bytes" in server.refusal(store, log).message


def test_a_file_too_large_for_what_it_is_is_refused_before_it_is_fetched(
    servers: tuple[Server, Server], store: Store, log: Log
) -> None:
    server, _ = servers
    server.page("config.json")
    server.answers["/m/config.json"] = (200, {"content-length": str(2**40)}, b"{")
    assert server.refusal(store, log).message == (
        "config.json on 127.0.0.1 has 1099511627776 bytes, more than the limit of 268435456."
    )


def test_a_model_larger_than_the_installation_allows_is_refused(
    servers: tuple[Server, Server], store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    monkeypatch.setenv("TRTLLM_SOURCE_MAX_BYTES", "1000")
    server.page("model.safetensors")
    server.answers["/m/model.safetensors"] = (200, {"content-length": "1001"}, b"x" * 1001)
    failure = server.refusal(store, log)
    assert failure.message == "The model on 127.0.0.1 has 1001 bytes, more than the limit of 1000."
    assert "TRTLLM_SOURCE_MAX_BYTES" in failure.remedy


def test_a_redirect_to_another_server_of_a_private_network_is_not_followed(
    servers: tuple[Server, Server], store: Store, log: Log
) -> None:
    server, other = servers
    server.page("config.json")
    other.answers["/latest/meta-data/iam"] = (200, {"content-length": "2"}, b"{}")
    server.answers["/m/config.json"] = (302, {"location": f"{other.url}/latest/meta-data/iam"}, b"")
    failure = server.refusal(store, log)
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert other.asked == []


def test_a_redirect_within_the_server_is_followed(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    server.page("config.json")
    server.answers["/m/config.json"] = (307, {"location": "/elsewhere"}, b"")
    server.answers["/elsewhere"] = (200, {"content-length": "2"}, b"{}")
    assert (server.fetch(store, log) / "config.json").read_bytes() == b"{}"


def test_redirects_without_an_end_are_not_followed(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    server.answers["/m/"] = (302, {"location": "/m/"}, b"")
    assert server.refusal(store, log).message == "127.0.0.1 redirects more than 5 times."
    assert len(server.asked) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "http://[", "//"])
def test_a_redirect_to_another_scheme_is_refused(
    servers: tuple[Server, Server], store: Store, log: Log, location: str
) -> None:
    server, _ = servers
    server.answers["/m/"] = (302, {"location": location}, b"")
    assert server.refusal(store, log).exit_code == ExitCode.INPUT_MISSING


@pytest.mark.parametrize(
    "link",
    [
        "../config.json",
        "/config.json",
        "sub/config.json",
        "http://127.0.0.1:9/m/config.json",
        "%2e%2e%2fconfig.json",
        ".config.json",
        "a%2fconfig.json",
    ],
)
def test_only_files_of_the_directory_itself_are_fetched(
    servers: tuple[Server, Server], store: Store, log: Log, link: str
) -> None:
    server, _ = servers
    server.page(link)
    assert (
        server.refusal(store, log).message == "spec.source.uri.uri does not exist on 127.0.0.1, or contains no model."
    )
    assert server.asked == ["/m/"]


def test_a_page_with_thousands_of_links_is_refused(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    server.page(*(f"{number}.json" for number in range(5000)))
    assert "links to 5000 files, more than the limit of 4096" in server.refusal(store, log).message


def test_a_password_in_the_address_is_refused_and_not_repeated(store: Store, log: Log) -> None:
    source = UriSource(uri="https://user:s3cr3t@127.0.0.1/m/?token=s3cr3t")
    failure = failure_of(lambda: fetch_from_uri(source, store, log.progress, _DIGEST))
    assert failure.message == "The address on 127.0.0.1 contains a user name or a password."


def test_a_query_is_sent_and_not_repeated(servers: tuple[Server, Server], store: Store, log: Log) -> None:
    server, _ = servers
    failure = server.refusal(store, log, "/m/?signature=s3cr3t")
    assert server.asked == ["/m/?signature=s3cr3t"]
    assert "s3cr3t" not in failure.message + failure.remedy + log.stream.getvalue()


def test_a_server_that_is_too_slow_is_given_up(
    servers: tuple[Server, Server], store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    monkeypatch.setattr(web, "_PATIENCE_SECONDS", -1.0)
    server.page("config.json")
    failure = server.refusal(store, log)
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.1"),
        *("192.0.0.192", "168.63.129.16", "224.0.0.1", "255.255.255.255"),
        *("::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::"),
        "localhost",
    ],
)
def test_an_address_that_is_not_public_is_refused_by_default(address: str) -> None:
    assert not Guard(()).allows(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert Guard(()).allows(address)


def test_a_network_that_the_installation_names_is_allowed() -> None:
    networks = Installation.read({"TRTLLM_SOURCE_NETWORKS": "10.0.0.0/8, fd00::/8"}).networks
    guard = Guard(networks)
    assert all(map(guard.allows, ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1")))
    assert not guard.allows("192.168.0.1")


def test_every_way_to_connect_is_guarded_and_only_meanwhile() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: Any = listener.getsockname()
        with guarded(()) as guard:
            for connect in (socket.create_connection, lambda to: socket.socket().connect_ex(to)):
                with pytest.raises(PermissionError):
                    connect(address)
        assert guard.refused
        socket.create_connection(address).close()


def test_a_token_may_go_to_the_hub_over_https_alone_by_default() -> None:
    installation = Installation.read({})
    assert installation.trusts("https://huggingface.co")
    assert installation.trusts("https://huggingface.co:443/")
    for other in (
        "http://huggingface.co",
        "https://huggingface.co.evil.example",
        "https://evil.example",
        "x",
        "http://[",
    ):
        assert not installation.trusts(other)
