"""fetch/volume.py and fetch/uri.py, through run_fetch."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from trtllm_api.contract import ExitCode, FetchRequest, FetchResult
from trtllm_api.manifest import ArtifactKind
from trtllm_api.reasons import Reason
from trtllm_api.source import Source, UriSource, VolumeSource
from trtllm_builder.fetch import run_fetch
from trtllm_builder.store import Store, read_artifact

from .conftest import Log, failure_of, write_checkpoint

_DIGEST = "sha256:" + "cd" * 32


def _in_place(store: Store, log: Log, mount: Path, path: str) -> FetchResult:
    source = Source(persistent_volume_claim=VolumeSource(claim_name="models", path=path))
    return run_fetch(FetchRequest(source=source), store, log.progress, _DIGEST, mount)


def test_a_source_on_a_claim_stays_where_it_is_and_its_manifest_goes_to_the_store(
    tmp_path: Path, store: Store, log: Log
) -> None:
    model = write_checkpoint(tmp_path / "claim" / "llama" / "small")
    before = {path.name: path.stat().st_mtime_ns for path in model.iterdir()}
    result = _in_place(store, log, tmp_path / "claim", "llama/small")
    assert result.path == "llama/small"
    assert {path.name: path.stat().st_mtime_ns for path in model.iterdir()} == before
    directory = (store.root / result.manifest_path).parent
    assert [path.name for path in directory.iterdir()] == ["manifest.json"]
    assert read_artifact(directory, files_at=model).manifest.digest == result.digest


def test_the_root_of_a_claim_is_a_source_too(tmp_path: Path, store: Store, log: Log) -> None:
    write_checkpoint(tmp_path / "claim")
    assert _in_place(store, log, tmp_path / "claim", "").path == ""


def test_a_change_of_the_claim_after_the_fetch_is_found(tmp_path: Path, store: Store, log: Log) -> None:
    model = write_checkpoint(tmp_path / "claim" / "small")
    result = _in_place(store, log, tmp_path / "claim", "small")
    (model / "tokenizer.json").write_text("{}")
    failure = failure_of(lambda: read_artifact((store.root / result.manifest_path).parent, files_at=model))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "tokenizer.json" in failure.message


def test_a_path_that_the_claim_lacks_is_answered_with_what_is_there(tmp_path: Path, store: Store, log: Log) -> None:
    write_checkpoint(tmp_path / "claim" / "llama" / "small")
    failure = failure_of(lambda: _in_place(store, log, tmp_path / "claim", "llama/smal"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)
    assert failure.message == "The claim models has no directory llama/smal. Found in llama: small."
    deeper = failure_of(lambda: _in_place(store, log, tmp_path / "claim", "lama/small/deep"))
    assert "Found in its root: llama" in deeper.message


class _Files(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    status: ClassVar[int | None] = None
    short: ClassVar[bool] = False

    def do_GET(self) -> None:
        _Files.asked.append(self.path.rpartition("/")[2])
        if _Files.status is not None:
            self.send_error(_Files.status)
            return
        if _Files.short and self.path.endswith("model.safetensors"):
            # an honest-looking answer with half of the file: a cache or a proxy that lost the rest
            body = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) // 2))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Quiet."""


@dataclass(frozen=True)
class _Site:
    root: Path
    url: str
    files: type[_Files]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Site]:
    """A web server with directory listings, as nginx's autoindex, in a network that the installation allows."""
    monkeypatch.setenv("TRTLLM_SOURCE_NETWORKS", "127.0.0.0/8")
    root = tmp_path / "site"
    root.mkdir()
    _Files.asked, _Files.status, _Files.short = [], None, False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield _Site(root, f"http://127.0.0.1:{server.server_port}", _Files)
    server.shutdown()
    thread.join()
    server.server_close()


def _by_uri(store: Store, log: Log, uri: str) -> FetchResult:
    return run_fetch(FetchRequest(source=Source(uri=UriSource(uri=uri))), store, log.progress, _DIGEST)


def test_a_uri_is_fetched_into_the_store_with_the_sizes_of_its_files(site: _Site, store: Store, log: Log) -> None:
    model = write_checkpoint(site.root / "small")
    result = _by_uri(store, log, f"{site.url}/small/")
    published = store.root / result.path
    assert (published / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert result.revision is None
    assert store.lookup(result.digest, ArtifactKind.SOURCE) is not None
    size = sum(path.stat().st_size for path in model.iterdir())
    assert {line.stage: line.total for line in log.lines()} == {"Downloading": size, "Verifying": size}


def test_files_that_an_earlier_attempt_brought_are_not_fetched_again(site: _Site, store: Store, log: Log) -> None:
    model = write_checkpoint(site.root / "small")
    (model / "tokenizer.json").unlink()
    assert failure_of(lambda: _by_uri(store, log, f"{site.url}/small/")).reason is Reason.SOURCE_INCOMPLETE
    write_checkpoint(site.root / "small")
    site.files.asked.clear()
    _by_uri(store, log, f"{site.url}/small/")
    assert site.files.asked.count("tokenizer.json") == 1
    assert "model.safetensors" not in site.files.asked


def test_a_file_that_left_the_uri_between_two_attempts_is_not_published(site: _Site, store: Store, log: Log) -> None:
    model = write_checkpoint(site.root / "small")
    (model / "tokenizer.json").rename(model / "notes.txt")
    assert failure_of(lambda: _by_uri(store, log, f"{site.url}/small/")).reason is Reason.SOURCE_INCOMPLETE
    (model / "notes.txt").rename(model / "tokenizer.json")
    result = _by_uri(store, log, f"{site.url}/small/")
    assert not (store.root / result.path / "notes.txt").exists()


def test_a_file_that_ends_early_is_tried_again_and_named_with_both_sizes(site: _Site, store: Store, log: Log) -> None:
    model = write_checkpoint(site.root / "small")
    site.files.short = True
    size = (model / "model.safetensors").stat().st_size
    failure = failure_of(lambda: _by_uri(store, log, f"{site.url}/small/"))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)
    assert f"model.safetensors ended after {size // 2} of {size} bytes" in failure.message


def test_a_uri_with_nothing_behind_it_is_not_found(site: _Site, store: Store, log: Log) -> None:
    (site.root / "empty").mkdir()
    for path in ("nothing/", "empty/"):
        failure = failure_of(lambda path=path: _by_uri(store, log, f"{site.url}/{path}"))  # type: ignore[misc]
        assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED),
        (401, ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED),
        (503, ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE),
    ],
)
def test_what_a_server_answers_decides_whether_it_is_tried_again(
    site: _Site, store: Store, log: Log, status: int, code: ExitCode, reason: Reason
) -> None:
    site.files.status = status
    failure = failure_of(lambda: _by_uri(store, log, f"{site.url}/small/"))
    assert (failure.exit_code, failure.reason) == (code, reason)


def test_a_server_that_does_not_answer_is_tried_again(site: _Site, store: Store, log: Log) -> None:
    failure = failure_of(lambda: _by_uri(store, log, "http://127.0.0.1:9/small/"))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)


def test_a_source_that_was_read_in_place_first_is_still_brought_whole_by_a_later_fetch(
    tmp_path: Path, site: _Site, store: Store, log: Log
) -> None:
    write_checkpoint(tmp_path / "claim" / "small")
    write_checkpoint(site.root / "small")
    first = _in_place(store, log, tmp_path / "claim", "small")
    second = _by_uri(store, log, f"{site.url}/small/")
    assert first.digest == second.digest
    read_artifact((store.root / second.manifest_path).parent)
    read_artifact((store.root / first.manifest_path).parent, files_at=tmp_path / "claim" / "small")


def test_a_request_without_a_source_is_a_bad_request(store: Store, log: Log) -> None:
    empty: Any = Source.model_construct(hugging_face=None, persistent_volume_claim=None, uri=None)
    failure = failure_of(lambda: run_fetch(FetchRequest.model_construct(source=empty), store, log.progress, _DIGEST))
    assert failure.exit_code == ExitCode.BAD_REQUEST
