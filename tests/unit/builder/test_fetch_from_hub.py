"""fetch/hub.py against hack/hub_standin."""

from __future__ import annotations

import errno
import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import file_download

from trtllm_api.contract import ExitCode, FetchRequest, FetchResult
from trtllm_api.manifest import ArtifactKind
from trtllm_api.reasons import Reason
from trtllm_api.source import HuggingFaceSource, Source
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.fetch import hub as hub_module
from trtllm_builder.fetch import run_fetch
from trtllm_builder.store import Store

from .conftest import LLAMA, Hub, Log, failure_of, write_safetensors

_COMMIT = "1f" * 20
_DIGEST = "sha256:" + "ab" * 32


def _fetch(store: Store, log: Log, repo: str = "acme/small", revision: str = "main") -> FetchResult:
    source = Source(hugging_face=HuggingFaceSource(repo=repo, revision=revision))
    return run_fetch(FetchRequest(source=source), store, log.progress, _DIGEST)


def _nowhere() -> str:
    """An address that no one listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_branch_is_pinned_to_its_commit_and_the_files_are_published(hub: Hub, store: Store, log: Log) -> None:
    repository = hub.repository("acme/small", commit=_COMMIT)
    result = _fetch(store, log)
    assert result.revision == _COMMIT
    published = store.root / result.path
    assert (published / "model.safetensors").read_bytes() == (repository / "model.safetensors").read_bytes()
    assert store.root / result.manifest_path == published / "manifest.json"
    assert not (store.root / "work" / ("ab" * 16)).exists()
    artifact = store.lookup(result.digest, ArtifactKind.SOURCE)
    assert artifact is not None
    assert artifact.bytes == result.bytes == sum(path.stat().st_size for path in repository.glob("[!.]*"))


def test_a_tag_and_a_commit_are_revisions_too(hub: Hub, store: Store, log: Log) -> None:
    hub.repository("acme/small", commit=_COMMIT, revisions={"refs/pr/1": "2e" * 20, "v1": "3d" * 20})
    assert _fetch(store, log, revision="v1").revision == "3d" * 20
    assert _fetch(store, log, revision="3d" * 20).revision == "3d" * 20
    assert _fetch(store, log, revision="refs/pr/1").revision == "2e" * 20


def test_files_are_asked_for_by_commit_so_that_a_moving_branch_cannot_mix_them(
    hub: Hub, store: Store, log: Log
) -> None:
    hub.repository("acme/small", commit=_COMMIT)
    _fetch(store, log)
    resolved = [path for _, path, _ in hub.server.log if "/resolve/" in path]
    assert resolved
    assert all(f"/resolve/{_COMMIT}/" in path for path in resolved)


def test_second_copies_of_the_weights_and_subdirectories_are_not_downloaded(hub: Hub, store: Store, log: Log) -> None:
    repository = hub.repository("acme/small")
    (repository / "pytorch_model.bin").write_bytes(b"x" * 100)
    (repository / "original").mkdir()
    write_safetensors(repository / "original" / "model.safetensors", LLAMA)
    write_safetensors(repository / "consolidated.safetensors", LLAMA)
    _fetch(store, log)
    assert sorted(hub.downloads()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_repository_that_does_not_exist_is_named_with_its_hub(hub: Hub, store: Store, log: Log) -> None:
    failure = failure_of(lambda: _fetch(store, log, "acme/nothing"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)
    assert f"acme/nothing does not exist on {hub.server.url.removeprefix('http://')}" in failure.message
    assert "tokenSecretRef" in failure.remedy


def test_a_repository_that_does_not_exist_is_found_missing_with_a_good_token_too(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small", token="hf_good")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    failure = failure_of(lambda: _fetch(store, log, "acme/nothing"))
    assert failure.reason is Reason.SOURCE_NOT_FOUND
    assert "the token may not read it" in failure.message


def test_a_name_that_no_repository_can_have_is_not_tried_again(hub: Hub, store: Store, log: Log) -> None:
    failure = failure_of(lambda: _fetch(store, log, "acme/a--b"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)


def test_a_revision_that_does_not_exist_is_named(hub: Hub, store: Store, log: Log) -> None:
    hub.repository("acme/small")
    failure = failure_of(lambda: _fetch(store, log, revision="v9"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)
    assert "no revision v9" in failure.message


def test_a_gated_repository_without_a_token_asks_for_a_token_secret(hub: Hub, store: Store, log: Log) -> None:
    hub.repository("acme/gated", gated=True, token="hf_good")
    failure = failure_of(lambda: _fetch(store, log, "acme/gated"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert "has no tokenSecretRef" in failure.message


def test_a_gated_repository_with_another_accounts_token_asks_to_accept_the_licence(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/gated", gated=True, token="hf_good", other_tokens=["hf_other"])
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    failure = failure_of(lambda: _fetch(store, log, "acme/gated"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert "has no access" in failure.message
    assert "licence" in failure.remedy


def test_a_token_that_the_hub_does_not_know_is_said_to_be_refused(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/gated", gated=True, token="hf_good")
    monkeypatch.setenv("HF_TOKEN", "hf_revoked")
    failure = failure_of(lambda: _fetch(store, log, "acme/gated"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert "does not accept the token" in failure.message
    assert "hf_revoked" not in failure.message + failure.remedy


def test_a_gated_repository_is_fetched_with_the_right_token(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/gated", gated=True, token="hf_good")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert _fetch(store, log, "acme/gated").facts.architecture == "LlamaForCausalLM"


def test_a_private_repository_does_not_exist_without_its_token(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/private", private=True, token="hf_good", other_tokens=["hf_other"])
    assert failure_of(lambda: _fetch(store, log, "acme/private")).reason is Reason.SOURCE_NOT_FOUND
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert failure_of(lambda: _fetch(store, log, "acme/private")).reason is Reason.SOURCE_NOT_FOUND
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert _fetch(store, log, "acme/private").facts.model_type == "llama"


def test_a_cut_connection_is_taken_up_where_it_broke(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    monkeypatch.setattr(file_download.constants, "DOWNLOAD_CHUNK_SIZE", 16 * 1024)
    repository = hub.repository("acme/small", fail_after_bytes=50_000, times=2)
    result = _fetch(store, log)
    fetched = (store.root / result.path / "model.safetensors").read_bytes()
    assert fetched == (repository / "model.safetensors").read_bytes()
    ranges = [value for method, path, value in hub.server.log if method == "GET" and path.endswith(".safetensors")]
    chunks = 3 * 16 * 1024
    assert ranges == ["", f"bytes={chunks}-", f"bytes={2 * chunks}-"]
    downloading = [line for line in log.lines() if line.stage == "Downloading"]
    assert downloading[-1].done == downloading[-1].total == result.bytes


def test_what_a_broken_attempt_finished_is_not_downloaded_again(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    repository = hub.repository("acme/small", commit=_COMMIT, fail_after_bytes=10, times=10_000)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (repository / name).rename(repository / f"{name}.kept")
    (repository / "config.json").write_text("{}")
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)
    assert "config.json" in hub.downloads()
    (repository / ".hub.json").write_text(json.dumps({"commit": _COMMIT}))
    hub.server.log.clear()
    assert failure_of(lambda: _fetch(store, log)).reason is Reason.SOURCE_INCOMPLETE
    assert hub.downloads() == ["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer_config.json"])
def test_a_file_that_is_not_what_the_hub_says_is_fetched_again(hub: Hub, store: Store, log: Log, name: str) -> None:
    """The first in the hub's large file storage, the second in git."""
    repository = hub.repository("acme/small", commit=_COMMIT, spoil=[name])
    if name == "model.safetensors":
        # letters, so that the header stays what it was
        content = (repository / name).read_bytes()
        (repository / name).write_bytes(content.replace(b"\x01", b"a"))
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_CORRUPT)
    assert failure.message.startswith(f"The downloaded {name} (")
    hub.server.log.clear()
    result = _fetch(store, log)
    assert hub.downloads() == [name]
    assert (store.root / result.path / name).read_bytes() == (repository / name).read_bytes()


def test_a_revision_that_is_not_a_commit_is_no_path(hub: Hub, store: Store, log: Log) -> None:
    hub.repository("acme/small", commit="../../../sources")
    assert "which is not a commit" in failure_of(lambda: _fetch(store, log)).message


def test_files_of_another_commit_do_not_mix_with_this_ones(hub: Hub, store: Store, log: Log) -> None:
    repository = hub.repository("acme/small", commit=_COMMIT)
    (repository / "tokenizer.json").unlink()
    (repository / "notes.txt").write_text("of the first commit")
    assert failure_of(lambda: _fetch(store, log)).reason is Reason.SOURCE_INCOMPLETE
    (repository / "notes.txt").unlink()
    hub.repository("acme/small", commit="2e" * 20)
    result = _fetch(store, log)
    assert result.revision == "2e" * 20
    assert not (store.root / result.path / "notes.txt").exists()


def test_an_endpoint_that_no_one_listens_at_is_tried_again(
    store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = _nowhere()
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("TRTLLM_SOURCE_NETWORKS", "127.0.0.0/8")
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)
    assert failure.message.startswith("the hub of HF_ENDPOINT cannot be reached for acme/small: ")
    assert "HF_ENDPOINT" in failure.remedy


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9/s3cr3t", "http://s3cr3t.invalid", "s3cr3t", "http://["])
def test_a_secret_that_was_put_into_the_endpoint_is_not_in_the_message(
    store: Store, log: Log, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    failure = failure_of(lambda: _fetch(store, log))
    assert "s3cr3t" not in failure.message + failure.remedy + log.stream.getvalue()


def test_a_hub_inside_a_private_network_is_not_asked_unless_the_installation_allows_it(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small")
    monkeypatch.delenv("TRTLLM_SOURCE_NETWORKS")
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert "TRTLLM_SOURCE_NETWORKS" in failure.remedy
    assert hub.server.log == []


@pytest.mark.parametrize("origins", [None, "https://huggingface.co", "127.0.0.1", "http://127.0.0.1:1"])
def test_a_token_goes_only_to_the_origins_that_the_installation_lists(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch, origins: str | None
) -> None:
    hub.repository("acme/small")
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    if origins is None:
        monkeypatch.delenv("TRTLLM_TOKEN_ORIGINS")
    else:
        monkeypatch.setenv("TRTLLM_TOKEN_ORIGINS", origins)
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
    assert failure.message == (
        "The token of spec.source.huggingFace.tokenSecretRef is not sent to the hub of HF_ENDPOINT: "
        "TRTLLM_TOKEN_ORIGINS does not list its origin."
    )
    assert hub.server.log == []


def test_a_model_larger_than_the_installation_allows_is_refused_before_the_download(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small")
    monkeypatch.setenv("TRTLLM_SOURCE_MAX_BYTES", "1000")
    failure = failure_of(lambda: _fetch(store, log))
    assert "more than the limit of 1000" in failure.message
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TRTLLM_SOURCE_NETWORKS", "10.0.0.1/8"), ("TRTLLM_TOKEN_ORIGINS", "ftp://x"), ("TRTLLM_SOURCE_MAX_BYTES", "1G")],
)
def test_a_limit_that_cannot_be_read_is_no_limit_that_is_ignored(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_REQUEST, Reason.BAD_REQUEST)
    assert variable in failure.message


def test_a_hub_that_goes_away_between_two_files_is_unreachable_and_no_file_vanished(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small")
    download: Any = file_download.hf_hub_download
    nowhere = _nowhere()

    def away(*args: object, **kwargs: object) -> object:
        return download(*args, **{**kwargs, "endpoint": nowhere})

    monkeypatch.setattr(hub_module, "hf_hub_download", away)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.SOURCE_UNREACHABLE)


def test_a_volume_that_is_too_small_is_found_out_before_the_download_with_both_sizes(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small", commit=_COMMIT)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**30, used=2**30, free=1024))
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.STORAGE_FULL)
    assert failure.message == "acme/small at 1f1f1f1f1f1f needs 204 KiB, but the store's volume has 1 KiB free."
    assert hub.downloads() == []


def test_a_volume_that_fills_up_is_not_blamed_on_the_hub(
    hub: Hub, store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repository("acme/small")

    def full(*args: object, **kwargs: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub_module, "hf_hub_download", full)
    with pytest.raises(OSError, match="No space left") as caught:
        _fetch(store, log)
    assert not isinstance(caught.value, BuilderFailure)


def test_progress_counts_the_bytes_of_the_download_and_then_of_the_verification(
    hub: Hub, store: Store, log: Log
) -> None:
    repository = hub.repository("acme/small")
    size = sum(path.stat().st_size for path in repository.iterdir())
    _fetch(store, log)
    last = {line.stage: line for line in log.lines()}
    assert list(last) == ["Downloading", "Verifying"]
    assert all(line.done == line.total == size and line.unit == "bytes" for line in last.values())


def test_a_repository_without_config_json_is_incomplete(hub: Hub, store: Store, log: Log) -> None:
    (hub.repository("acme/small") / "config.json").unlink()
    failure = failure_of(lambda: _fetch(store, log))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_INCOMPLETE)


def test_the_same_content_from_two_repositories_is_stored_once(hub: Hub, store: Store, log: Log) -> None:
    hub.repository("acme/small")
    hub.repository("other/copy")
    first, second = _fetch(store, log), _fetch(store, log, "other/copy")
    assert first.path == second.path
    assert [path.name for path in (store.root / "sources").iterdir()] == [Path(first.path).name]
