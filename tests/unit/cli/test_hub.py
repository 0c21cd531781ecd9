"""Configurations from the hub, with huggingface_hub and without it, against hack/hub_standin."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from public_models import CONFIGS

from support.hub_server import served
from trtllm_cli.hub import HubFile, hub_file, stored_token
from trtllm_cli.models import facts_of_hub
from trtllm_cli.problem import Unreadable

TOKEN = "hf_secret"
CONFIG = json.dumps(CONFIGS["Llama-3-8B"])


@dataclass(frozen=True)
class Hub:
    """A directory that the stand-in serves."""

    root: Path
    server: Any

    def repository(self, name: str = "org/model", files: dict[str, str] | None = None, **settings: object) -> None:
        """A repository with these files."""
        directory = self.root / name
        directory.mkdir(parents=True)
        for file, content in ({"config.json": CONFIG} if files is None else files).items():
            (directory / file).write_text(content)
        (directory / ".hub.json").write_text(json.dumps(settings))

    def asked(self) -> list[tuple[str, str]]:
        """Method and path of every request."""
        return [(method, path) for method, path, _ in self.server.log]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    root = tmp_path / "hub"
    root.mkdir()
    with served(root) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
        yield Hub(root, server)


@pytest.fixture(params=["without huggingface_hub", "with huggingface_hub"])
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two; the library's constants are those of an environment with this HF_HOME."""
    if request.param == "with huggingface_hub":
        monkeypatch.setattr("trtllm_cli.hub.library_is_installed", lambda: True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface" / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "huggingface" / "token"))
    return str(request.param)


def log_in(home: Path, token: str = TOKEN) -> None:
    """What `hf auth login` leaves behind."""
    home.mkdir(parents=True)
    (home / "token").write_text(token)


def test_a_model_is_known_from_its_two_configuration_files(hub: Hub, client: str) -> None:
    quantized = json.dumps({"quantization": {"quant_algo": "FP8"}})
    hub.repository(files={"config.json": CONFIG, "hf_quant_config.json": quantized, "model.safetensors": "x" * 100})
    facts = facts_of_hub("org/model", "main")
    assert facts.architecture == "LlamaForCausalLM"
    assert facts.details.checkpoint is not None
    assert facts.details.checkpoint.algorithm == "FP8"
    assert {path.rpartition("/")[2] for _, path in hub.asked() if "/resolve/" in path} == {
        "config.json",
        "hf_quant_config.json",
    }


def test_a_revision_with_a_slash_is_one_part_of_the_address(hub: Hub, client: str) -> None:
    hub.repository(revisions={"refs/pr/1": "1f" * 20})
    assert hub_file("org/model", "refs/pr/1", "config.json") == CONFIG.encode()


def test_a_file_that_is_not_there_is_none(hub: Hub, client: str) -> None:
    hub.repository()
    assert hub_file("org/model", "main", "hf_quant_config.json") is None


@pytest.mark.parametrize("settings", [{"gated": True, "token": TOKEN}, {"private": True, "token": TOKEN}])
@pytest.mark.parametrize("given", ["by HF_TOKEN", "by hf auth login", "by both"])
def test_a_gated_or_private_model_is_read_with_the_users_token(
    hub: Hub, client: str, given: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository(**settings)
    if given != "by hf auth login":
        monkeypatch.setenv("HF_TOKEN", f" {TOKEN}\n")
    if given != "by HF_TOKEN":
        log_in(tmp_path / "huggingface", TOKEN if given == "by hf auth login" else "hf_old")
    assert hub_file("org/model", "main", "config.json") == CONFIG.encode()


def test_a_token_file_that_cannot_be_read_is_no_token(hub: Hub, client: str, tmp_path: Path) -> None:
    hub.repository()
    (tmp_path / "huggingface" / "token").mkdir(parents=True)
    assert hub_file("org/model", "main", "config.json") == CONFIG.encode()


@pytest.mark.parametrize("client", ["with huggingface_hub"], indirect=True)
def test_trusted_publishing_that_gives_no_token_is_one_sentence(
    hub: Hub, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository()
    monkeypatch.setenv("HF_OIDC_RESOURCE", "org/model")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with pytest.raises(Unreadable, match="HF_OIDC_RESOURCE is set, but no token could be obtained"):
        facts_of_hub("org/model", "main")


def test_without_a_token_the_sentence_says_how_to_log_in(hub: Hub, client: str) -> None:
    hub.repository(gated=True, token=TOKEN)
    with pytest.raises(
        Unreadable, match=r"org/model is private, gated or missing \(.* answered 401\)\. Log in with hf auth"
    ):
        facts_of_hub("org/model", "main")


def test_a_token_without_access_is_said_so(hub: Hub, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repository(gated=True, token=TOKEN, other_tokens=["hf_other"])
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(Unreadable, match=r"answered 403\)\. Use a token that may read it"):
        facts_of_hub("org/model", "main")


def test_a_revision_that_does_not_exist_is_one_sentence(hub: Hub, client: str) -> None:
    hub.repository()
    with pytest.raises(Unreadable, match=r"has no org/model at revision v9"):
        facts_of_hub("org/model", "v9")


def test_a_repository_without_config_is_one_sentence(hub: Hub, client: str) -> None:
    hub.repository(files={"README.md": "x"})
    with pytest.raises(Unreadable, match=r"no config\.json of org/model at revision main"):
        facts_of_hub("org/model", "main")


def test_a_file_larger_than_any_configuration_is_not_read(
    hub: Hub, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository()
    monkeypatch.setattr("trtllm_cli.hub.LARGEST", 10)
    monkeypatch.setattr("trtllm_cli.hublibrary.LARGEST", 10)
    with pytest.raises(Unreadable, match=r"org/model: config\.json is larger than"):
        facts_of_hub("org/model", "main")
    assert ("GET" in {method for method, _ in hub.asked()}) == (client == "without huggingface_hub")


def test_a_hub_that_cannot_be_reached_is_one_sentence(client: str) -> None:
    with pytest.raises(
        Unreadable, match=r"The hub http://127\.0\.0\.1:1 cannot be reached \(.*\)\. Name a local copy with"
    ):
        facts_of_hub("org/model", "main")


@pytest.mark.parametrize("endpoint", ["ftp://host", "huggingface.co", "http://"])
def test_an_endpoint_that_is_no_address_is_one_sentence(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(Unreadable, match="is not a URL"):
        facts_of_hub("org/model", "main")


@pytest.mark.parametrize("client", ["with huggingface_hub"], indirect=True)
def test_what_was_downloaded_before_is_read_without_the_hub(
    hub: Hub, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository()
    assert hub_file("org/model", "main", "config.json") is not None
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert hub_file("org/model", "main", "config.json") == CONFIG.encode()


@pytest.mark.parametrize("client", ["with huggingface_hub"], indirect=True)
def test_a_name_that_no_repository_has_is_one_sentence(hub: Hub, client: str) -> None:
    with pytest.raises(Unreadable, match="a--b is not a valid repository name"):
        facts_of_hub("a--b", "main")


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HF_TOKEN_PATH": "{}/mine", "HF_HOME": "{}/home"}, "mine"),
        ({"HF_HOME": "{}/home", "XDG_CACHE_HOME": "{}/cache"}, "home/token"),
        ({"HF_HOME": "$HOME/home"}, "home/token"),
        ({"XDG_CACHE_HOME": "{}/cache"}, "cache/huggingface/token"),
        ({}, ".cache/huggingface/token"),
    ],
)
def test_the_stored_token_is_found_where_hf_auth_login_stores_it(
    variables: dict[str, str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert stored_token() is None
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(f"{TOKEN}\n")
    assert stored_token() == TOKEN


@dataclass
class Redirecting:
    """A hub that answers from another host."""

    endpoint: str
    tokens: list[tuple[str, str | None]]


@pytest.fixture
def redirecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redirecting]:
    """The stand-in never redirects: this one does."""
    tokens: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append((self.path, self.headers.get("Authorization")))
            there = self.path == "/elsewhere"
            self.send_response(200 if there else 302)
            self.send_header("Location", f"http://localhost:{server.server_port}/elsewhere")
            self.end_headers()
            self.wfile.write(b"{}" if there else b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield Redirecting(f"http://127.0.0.1:{server.server_port}", tokens)
    server.shutdown()
    server.server_close()


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    redirecting: Redirecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hub_file("a/b", "main", "config.json") == b"{}"
    assert redirecting.tokens == [("/a/b/resolve/main/config.json", f"Bearer {TOKEN}"), ("/elsewhere", None)]


def test_no_token_goes_over_http_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not HubFile("http://hub.example", "a/b", "main", "config.json").takes_token
    assert HubFile("https://hub.example", "a/b", "main", "config.json").takes_token
    assert HubFile("http://localhost:8080", "a/b", "main", "config.json").takes_token
