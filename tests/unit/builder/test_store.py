"""store.py: artifacts appear whole or not at all, and readers find what was changed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from trtllm_api.contract import ExitCode
from trtllm_api.digest import digest_of
from trtllm_api.manifest import ArtifactKind, Probe
from trtllm_api.reasons import Reason
from trtllm_builder import files
from trtllm_builder.store import Store, read_artifact

from .conftest import failure_of

_KIND = ArtifactKind.QUANTIZED_CHECKPOINT
_INPUTS = {"method": "FP8", "seed": 1}
_DIGEST = digest_of(_INPUTS)


def _publish(store: Store, content: str = "weights") -> Path:
    with store.publish(_INPUTS, _KIND) as draft:
        (draft.directory / "model.safetensors").write_text(content)
        (draft.directory / "nested").mkdir()
        (draft.directory / "nested" / "extra.json").write_text("{}")
    return store.directory(_DIGEST, _KIND)


def test_an_artifact_is_not_there_until_it_is_whole(store: Store) -> None:
    with store.publish(_INPUTS, _KIND) as draft:
        (draft.directory / "model.safetensors").write_text("weights")
        assert store.lookup(_DIGEST, _KIND) is None
        assert not store.directory(_DIGEST, _KIND).exists()
    artifact = store.lookup(_DIGEST, _KIND)
    assert artifact is not None
    assert artifact.bytes == len("weights")
    assert artifact.manifest.inputs == _INPUTS
    assert artifact.manifest.digest == _DIGEST


def test_a_manifest_names_files_in_directories_too_and_carries_the_probe(store: Store) -> None:
    probe = Probe(prompt="Hi", prompt_token_ids=(1,), answer_token_ids=(2, 3), answer="yes")
    with store.publish(_INPUTS, _KIND) as draft:
        (draft.directory / "nested").mkdir()
        (draft.directory / "nested" / "extra.json").write_text("{}")
        draft.probe = probe
    artifact = store.lookup(_DIGEST, _KIND)
    assert artifact is not None
    assert [file.path for file in artifact.manifest.files] == ["nested/extra.json"]
    assert artifact.manifest.probe == probe


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fails() -> None:
        with store.publish(_INPUTS, _KIND) as draft:
            (draft.directory / "model.safetensors").write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fails()
    assert list((store.root / "artifacts").iterdir()) == []


def test_of_two_writers_the_first_stays_and_the_second_leaves_nothing(store: Store) -> None:
    with store.publish(_INPUTS, _KIND) as slow:
        (slow.directory / "model.safetensors").write_text("second")
        winner = store.directory(_DIGEST, _KIND)
        other = slow.directory.with_name(".of-another-pod")
        slow.directory.rename(other)
        _publish(store, "first")
        other.rename(slow.directory)
    assert (winner / "model.safetensors").read_text() == "first"
    assert [path.name for path in winner.parent.iterdir()] == [winner.name]
    read_artifact(winner)


def test_a_directory_without_a_manifest_in_the_way_is_not_taken_for_an_artifact(store: Store) -> None:
    target = store.directory(_DIGEST, _KIND)
    target.mkdir(parents=True)
    (target / "something").write_text("x")
    with pytest.raises(OSError, match="not empty"):
        _publish(store)
    assert store.lookup(_DIGEST, _KIND) is None
    assert (target / "something").exists()


def test_abandoned_drafts_go_after_a_day_and_younger_ones_stay(store: Store) -> None:
    parent = store.root / "artifacts"
    old, young = parent / ".dead.pod-a.1", parent / ".alive.pod-b.1"
    for directory in (old, young):
        directory.mkdir(parents=True)
        (directory / "model.safetensors").write_text("half")
    past = time.time() - 25 * 3600
    os.utime(old, (past, past))
    _publish(store)
    assert not old.exists()
    assert young.exists()


def test_lookup_finds_a_file_of_another_size(store: Store) -> None:
    (_publish(store) / "model.safetensors").write_text("longer weights")
    failure = failure_of(lambda: store.lookup(_DIGEST, _KIND))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    assert "model.safetensors" in failure.message
    assert "has 14 bytes; its manifest has 7 bytes" in failure.message


def test_lookup_finds_a_missing_file(store: Store) -> None:
    (_publish(store) / "nested" / "extra.json").unlink()
    failure = failure_of(lambda: store.lookup(_DIGEST, _KIND))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "nested/extra.json" in failure.message
    assert "is missing" in failure.message


def test_a_file_of_the_same_size_and_other_content_is_found(store: Store) -> None:
    directory = _publish(store)
    (directory / "model.safetensors").write_text("WEIGHTS")
    failure = failure_of(lambda: read_artifact(directory))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "model.safetensors" in failure.message
    assert "has changed content" in failure.message


class _Reads(list[str]):
    """The files whose contents were read, by name."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Reads:
    """In a pod whose files have long settled, whose clock says so too."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    later = time.time_ns() + 10**11
    monkeypatch.setattr(time, "time_ns", lambda: later)
    seen = _Reads()
    real = files.sha256_of

    def counted(path: Path, hear: Callable[[int], object]) -> str:
        seen.append(path.name)
        return real(path, hear)

    monkeypatch.setattr(files, "sha256_of", counted)
    return seen


def test_a_pod_compares_an_artifact_once(store: Store, reads: _Reads) -> None:
    directory = _publish(store)
    tempfile.tempdir = str(Path(tempfile.gettempdir()).parent)
    reads.clear()
    read_artifact(directory)
    assert sorted(reads) == ["extra.json", "model.safetensors"]
    read_artifact(directory)
    assert len(reads) == 2


def test_what_a_pod_has_published_itself_it_has_compared(store: Store, reads: _Reads) -> None:
    directory = _publish(store)
    reads.clear()
    read_artifact(directory)
    assert reads == []


def test_a_file_with_another_time_is_compared_again_even_if_its_old_time_is_set(store: Store, reads: _Reads) -> None:
    directory = _publish(store)
    path = directory / "model.safetensors"
    before = path.stat()
    path.write_text("WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    reads.clear()
    assert "has changed content" in failure_of(lambda: read_artifact(directory)).message
    assert reads == ["model.safetensors"]


def test_another_file_in_a_files_place_is_compared(store: Store, reads: _Reads) -> None:
    path = _publish(store) / "model.safetensors"
    path.rename(path.with_name(".old"))
    path.write_text("weights")
    reads.clear()
    read_artifact(path.parent)
    assert reads == ["model.safetensors"]


def test_a_verdict_about_other_contents_is_no_verdict(store: Store, reads: _Reads) -> None:
    """Somebody changes the files, waits for a reader's verdict, and then the manifest."""
    directory = _publish(store)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"][0]["sha256"] = "0" * 64
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert "has changed content" in failure_of(lambda: read_artifact(directory)).message


def test_a_file_that_was_written_a_moment_ago_is_compared_each_time(
    store: Store, reads: _Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time_ns", lambda: int(now * 10**9))
    directory = _publish(store)
    read_artifact(directory)
    read_artifact(directory)
    assert reads.count("model.safetensors") == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"model.safetensors": 5}'])
def test_verdicts_that_cannot_be_read_are_none(store: Store, reads: _Reads, content: bytes) -> None:
    directory = _publish(store)
    [kept] = Path(tempfile.gettempdir()).rglob("*.json")
    kept.write_bytes(content)
    reads.clear()
    read_artifact(directory)
    assert sorted(reads) == ["extra.json", "model.safetensors"]


def test_a_file_that_was_added_to_an_artifact_is_named(store: Store) -> None:
    directory = _publish(store)
    (directory / "adapter_config.json").write_text("{}")
    assert failure_of(lambda: read_artifact(directory)).message == (
        f"adapter_config.json was added to the artifact {directory.name[:10]} after it was published."
    )


def test_a_file_that_was_replaced_by_a_link_out_of_the_claim_is_refused(store: Store, tmp_path: Path) -> None:
    directory = _publish(store)
    (tmp_path / "outside").write_text("weights")
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors").symlink_to(tmp_path / "outside")
    assert "is a symbolic link to a file outside" in failure_of(lambda: read_artifact(directory)).message


def test_an_artifact_in_the_place_of_another_is_not_taken_for_it(store: Store) -> None:
    directory = _publish(store)
    with store.publish({"other": 1}, _KIND) as draft:
        (draft.directory / "model.safetensors").write_text("weights")
    shutil.rmtree(directory)
    store.directory(digest_of({"other": 1}), _KIND).rename(directory)
    assert "belongs to the artifact" in failure_of(lambda: store.lookup(_DIGEST, _KIND)).message


@pytest.mark.parametrize("path", ["../../sources/other", "/etc/passwd", "nested/../../x"])
def test_a_manifest_names_only_files_of_its_own_directory(store: Store, path: str) -> None:
    directory = _publish(store)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"][0]["path"] = path
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert f"names a file outside that directory: {path}" in failure_of(lambda: read_artifact(directory)).message


def test_a_manifest_whose_digest_is_not_its_inputs_is_corrupt(store: Store) -> None:
    directory = _publish(store)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["inputs"]["seed"] = 2
    (directory / "manifest.json").write_text(json.dumps(manifest))
    assert "is not the digest of its inputs" in failure_of(lambda: read_artifact(directory)).message


@pytest.mark.parametrize("content", ["", "{", '{"kind": "Source"}'])
def test_a_manifest_that_is_not_one_is_a_corrupt_artifact(store: Store, content: str) -> None:
    directory = _publish(store)
    (directory / "manifest.json").write_text(content)
    failure = failure_of(lambda: read_artifact(directory))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)


def test_a_directory_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    failure = failure_of(lambda: read_artifact(tmp_path))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "has no manifest.json" in failure.message


def test_the_same_inputs_in_another_order_are_the_same_artifact(store: Store) -> None:
    directory = _publish(store)
    with store.publish(dict(reversed(_INPUTS.items())), _KIND) as draft:
        (draft.directory / "other").write_text("x")
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


def test_too_little_room_is_named_with_both_numbers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**30))
    store.require_space(3 * 2**30, "The model")
    failure = failure_of(lambda: store.require_space(16 * 2**30, "The model"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.STORAGE_FULL)
    assert failure.message == "The model needs 16.0 GiB, but the store's volume has 3.0 GiB free."


def test_scratch_outlives_a_pod_until_the_request_is_finished(store: Store) -> None:
    (store.work(_DIGEST) / "half").write_text("x")
    assert (Store(store.root).work(_DIGEST) / "half").exists()
    store.finish(_DIGEST)
    store.finish(_DIGEST)
    assert list((store.root / "work").iterdir()) == []


def test_engines_have_a_directory_of_their_own_and_are_listed_newest_first(store: Store) -> None:
    for index, when in ((1, 100), (2, 300), (3, 200)):
        with store.publish({"index": index}, ArtifactKind.ENGINE) as draft:
            (draft.directory / "rank0.engine").write_text("engine")
        os.utime(store.directory(digest_of({"index": index}), ArtifactKind.ENGINE) / "manifest.json", (when, when))
    assert {path.parent.name for path in store.root.glob("*/*")} == {"engines"}
    assert [item.inputs["index"] for item in store.manifests(ArtifactKind.ENGINE)] == [2, 3, 1]
    (store.directory(digest_of({"index": 3}), ArtifactKind.ENGINE) / "manifest.json").write_text("{}")
    assert [item.inputs["index"] for item in store.manifests(ArtifactKind.ENGINE)] == [2, 1]


def test_a_timing_cache_belongs_to_a_version_and_a_product_and_its_name_is_no_path(store: Store) -> None:
    assert store.timing_cache("1.2.1", "NVIDIA-L4") == store.root / "timing-caches" / "1.2.1-NVIDIA-L4.cache"
    assert store.timing_cache("../1", "a/b c").parent == store.root / "timing-caches"


def test_a_finished_request_leaves_nothing_and_may_be_finished_twice(store: Store) -> None:
    (store.work(_DIGEST) / "checkpoint").mkdir()
    store.finish(_DIGEST)
    store.finish(_DIGEST)
    assert list((store.root / "work").iterdir()) == []
