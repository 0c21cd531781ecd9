"""A request that was finished before is found on the claim: a resource that is made again computes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trtllm_api.contract import ArtifactResult, QuantizeResult
from trtllm_api.manifest import ArtifactKind
from trtllm_api.quantization import Method
from trtllm_builder.quantize.finished import finished, keep
from trtllm_builder.quantize.reporting import report_directory
from trtllm_builder.store import Store, read_artifact

REQUEST = "sha256:" + "7" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store, kind = Store(tmp_path), ArtifactKind.QUANTIZED_CHECKPOINT
    with store.publish({"method": "INT8WeightOnly"}, kind) as draft:
        (draft.directory / "model.safetensors").write_bytes(b"weights" * 100)
    (manifest,) = store.manifests(kind)
    made = read_artifact(store.directory(manifest.digest, kind))
    report_directory(store, REQUEST).mkdir(parents=True)
    artifact = ArtifactResult(
        digest=made.manifest.digest,
        path=store.relative(made.directory),
        bytes=made.bytes,
        method=Method.INT8_WEIGHT_ONLY,
        report="reports/7/report.html",
    )
    keep(store, REQUEST, QuantizeResult(artifact=artifact))
    return store


def weights(store: Store) -> Path:
    return next(store.root.rglob("model.safetensors"))


def test_an_equal_request_gets_the_result_and_says_that_nothing_was_computed(store: Store) -> None:
    found = finished(store, REQUEST)
    assert found is not None
    assert found.artifact is not None
    assert found.artifact.reused
    assert (store.root / found.artifact.path / "model.safetensors").exists()


def test_another_request_gets_nothing(store: Store) -> None:
    assert finished(store, "sha256:" + "8" * 64) is None


def test_an_artifact_of_the_same_size_with_other_bytes_is_not_used(store: Store) -> None:
    weights(store).write_bytes(b"weightz" * 100)
    assert finished(store, REQUEST) is None


def test_an_artifact_that_is_gone_is_made_again(store: Store) -> None:
    weights(store).unlink()
    assert finished(store, REQUEST) is None


@pytest.mark.parametrize("text", ["{", "[]", "x" * (2 << 20), '{"artifact": {"path": 1}}'], ids=str.__len__)
def test_a_result_that_cannot_be_read_counts_as_none(store: Store, text: str) -> None:
    (report_directory(store, REQUEST) / "result.json").write_text(text, encoding="utf-8")
    assert finished(store, REQUEST) is None


def test_a_result_that_leads_out_of_the_claim_counts_as_none(store: Store, tmp_path: Path) -> None:
    path = report_directory(store, REQUEST) / "result.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"artifacts/', '"../outside/'), encoding="utf-8")
    shutil.copytree(store.root / "artifacts", tmp_path.parent / "outside", dirs_exist_ok=True)
    assert finished(store, REQUEST) is None
