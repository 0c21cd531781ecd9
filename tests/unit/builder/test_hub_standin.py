"""hack/hub_standin refuses what the hub refuses: what it gets wrong, the tests of the builder would not notice."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import Hub, write_checkpoint

_STANDIN = Path(__file__).resolve().parents[3] / "hack" / "hub_standin" / "hub_standin.py"
_FILE = "/acme/small/resolve/main/model.safetensors"


def _ask(url: str, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), body


def test_a_file_has_the_headers_that_clients_check(hub: Hub) -> None:
    content = (hub.repository("acme/small", commit="1f" * 20) / "model.safetensors").read_bytes()
    status, headers, body = _ask(hub.server.url, "HEAD", _FILE)
    assert (status, body) == (200, b"")
    assert headers["X-Repo-Commit"] == "1f" * 20
    assert headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert headers["Content-Length"] == str(len(content))
    assert headers["Accept-Ranges"] == "bytes"
    assert _ask(hub.server.url, "GET", _FILE)[2] == content


def test_a_small_file_has_the_etag_of_its_git_blob(hub: Hub) -> None:
    (hub.repository("acme/small") / "config.json").write_text("{}")
    etag = _ask(hub.server.url, "HEAD", "/acme/small/resolve/main/config.json")[1]["ETag"]
    # printf '{}' | git hash-object --stdin
    assert etag == '"9e26dfeeb6e641a33dae4961196235bdb965b21b"'


def test_ranges_are_served_and_impossible_ones_refused(hub: Hub) -> None:
    content = (hub.repository("acme/small") / "model.safetensors").read_bytes()
    status, headers, body = _ask(hub.server.url, "GET", _FILE, Range="bytes=1000-")
    assert (status, body) == (206, content[1000:])
    assert headers["Content-Range"] == f"bytes 1000-{len(content) - 1}/{len(content)}"
    assert _ask(hub.server.url, "GET", _FILE, Range="bytes=2-5")[2] == content[2:6]
    assert _ask(hub.server.url, "GET", _FILE, Range=f"bytes={len(content)}-")[0] == 416


def test_a_description_has_sizes_only_when_they_are_asked_for(hub: Hub) -> None:
    directory = hub.repository("acme/small", commit="1f" * 20)
    without = json.loads(_ask(hub.server.url, "GET", "/api/models/acme/small")[2])
    assert without["sha"] == "1f" * 20
    assert {"rfilename": "config.json"} in without["siblings"]
    assert ".hub.json" not in {sibling["rfilename"] for sibling in without["siblings"]}
    described = json.loads(_ask(hub.server.url, "GET", "/api/models/acme/small?blobs=true")[2])
    sizes = {sibling["rfilename"]: sibling["size"] for sibling in described["siblings"]}
    assert sizes["model.safetensors"] == (directory / "model.safetensors").stat().st_size


def test_the_commit_changes_with_the_contents(hub: Hub) -> None:
    directory = hub.repository("acme/small")
    first = json.loads(_ask(hub.server.url, "GET", "/api/models/acme/small")[2])["sha"]
    (directory / "config.json").write_text("{}")
    second = json.loads(_ask(hub.server.url, "GET", "/api/models/acme/small")[2])["sha"]
    assert len(first) == len(second) == 40
    assert first != second


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/api/models/acme/none", None, 401, "RepoNotFound"),
        ("/api/models/acme/none", "hf_good", 404, "RepoNotFound"),
        ("/api/models/acme/gated", None, 200, None),
        ("/api/models/acme/gated", "hf_unknown", 401, None),
        ("/acme/gated/resolve/main/config.json", None, 401, "GatedRepo"),
        ("/acme/gated/resolve/main/config.json", "hf_other", 403, "GatedRepo"),
        ("/acme/gated/resolve/main/config.json", "hf_good", 200, None),
        ("/acme/gated/resolve/v9/config.json", "hf_good", 404, "RevisionNotFound"),
        ("/acme/gated/resolve/main/none.json", "hf_good", 404, "EntryNotFound"),
        ("/acme/gated/resolve/main/../../../secret", "hf_good", 404, "EntryNotFound"),
        ("/acme/gated/resolve/main/..%2F..%2F..%2Fsecret", "hf_good", 404, "EntryNotFound"),
        ("/acme/gated/resolve/main/.hub.json", "hf_good", 404, "EntryNotFound"),
        ("/acme/gated", "hf_good", 404, None),
    ],
)
def test_statuses_and_error_codes_are_the_hubs(
    hub: Hub, path: str, token: str | None, status: int, code: str | None
) -> None:
    hub.repository("acme/gated", gated=True, token="hf_good", other_tokens=["hf_other"])
    (hub.root.parent / "secret").write_text("secret")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for method in ("GET", "HEAD"):
        answered, found, _ = _ask(hub.server.url, method, path, **headers)
        assert (answered, found.get("X-Error-Code")) == (status, code)


def test_the_command_prints_its_port_and_serves(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "acme" / "small")
    command = [sys.executable, str(_STANDIN), "--root", str(tmp_path), "--print-port"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            assert _ask(f"http://127.0.0.1:{port}", "GET", "/api/models/acme/small")[0] == 200
        finally:
            process.terminate()
