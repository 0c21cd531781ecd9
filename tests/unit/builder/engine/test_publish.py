"""publish.py: an engine appears under its digest when every rank is whole and all pods saw the same, never else."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trtllm_api.contract import ExitCode
from trtllm_api.digest import digest_of
from trtllm_api.enginestatus import EngineLimits
from trtllm_api.manifest import ArtifactKind, Manifest, Probe
from trtllm_api.reasons import Reason
from trtllm_builder.engine import publish as publish_module
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import describe, files_below
from trtllm_builder.store import Store, read_artifact

from .conftest import PRODUCT, Claim, failure_of, write_ranks

_SEEN = {"product": PRODUCT, "computeCapability": "9.0", "version": "1.2.1"}


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def _refused(claim: Claim, **changes: object) -> BuilderFailure:
    failure = failure_of(lambda: claim.publish(**changes))
    assert not list((claim.store.root).glob("engines/*"))
    assert failure.remedy
    assert failure.message.endswith(".")
    return failure


def test_a_whole_engine_is_published_with_what_it_is_bound_to(built: Claim) -> None:
    result = built.publish()
    digest = digest_of({"model": "m", **_SEEN})
    assert (result.digest, result.path) == (digest, f"engines/{digest[7:39]}")
    assert (result.version, result.product, result.compute_capability) == ("1.2.1", PRODUCT, "9.0")
    assert (result.world, result.reused) == (4, False)
    assert result.limits == EngineLimits(
        max_batch_size=8, max_input_length=1024, max_sequence_length=2048, max_tokens=8192, max_beam_width=1
    )
    artifact = read_artifact(built.store.root / result.path)
    assert artifact.manifest.kind is ArtifactKind.ENGINE
    assert artifact.manifest.inputs == {"model": "m", **_SEEN}
    assert result.bytes == artifact.bytes
    ranks = [f"rank{rank}" for rank in range(4)]
    assert {file.path for file in artifact.manifest.files} == {
        *("config.json", "lora/0/adapter_config.json"),
        *(f"{rank}.engine" for rank in ranks),
        *(f"{rank}_managed_weights.safetensors" for rank in ranks),
    }
    assert not any(path.name.startswith(".") for path in artifact.directory.iterdir())


def test_the_work_directory_is_gone_afterwards(built: Claim) -> None:
    built.publish()
    assert list((built.store.root / "work").iterdir()) == []


def test_the_engine_carries_the_models_probe(built: Claim) -> None:
    probe = Probe(prompt="Hi", prompt_token_ids=(1,), answer_token_ids=(2, 3), answer="yes")
    manifest = Manifest(kind=ArtifactKind.SOURCE, digest=digest_of({}), inputs={}, files=(), probe=probe)
    (built.root / "model.json").write_text(json.dumps(manifest.to_wire()))
    result = built.publish(probe_manifest=str(built.root / "model.json"))
    assert read_artifact(built.store.root / result.path).manifest.probe == probe


def test_a_model_manifest_that_cannot_be_read_is_named(built: Claim) -> None:
    failure = _refused(built, probe_manifest=str(built.root / "none.json"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.ARTIFACT_CORRUPT)
    assert "none.json" in failure.message
    assert built.publish().reused is False


def test_an_engine_of_the_same_digest_is_used_again(built: Claim) -> None:
    first = built.publish()
    write_ranks(built.work / "checkpoint", 2, 2)
    built.ranks(0)
    built.ranks(1)
    second = built.publish()
    assert second == first.model_copy(update={"reused": True})


def test_a_pod_that_died_after_publishing_is_followed_by_one_that_finds_the_engine(built: Claim) -> None:
    first = built.publish()
    assert built.publish() == first.model_copy(update={"reused": True})
    failure = failure_of(lambda: built.publish(inputs={"model": "another"}))
    assert failure.reason is Reason.ENGINE_BUILD_FAILED


def test_a_pod_that_died_between_publishing_and_cleaning_loses_nothing(
    built: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Store, digest: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            built.publish()
    assert built.publish().reused
    assert list((built.store.root / "work").iterdir()) == []


def test_a_pod_that_died_while_publishing_loses_no_rank(built: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    link, links = os.link, []

    def dies(source: Path, target: Path) -> None:
        links.append(source)
        if len(links) == 3:
            raise KeyboardInterrupt
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(publish_module.os, "link", dies)
        with pytest.raises(KeyboardInterrupt):
            built.publish()
    assert list((built.store.root / "engines").iterdir()) == []
    assert built.publish().reused is False


def test_a_file_system_without_hard_links_will_do(built: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(publish_module.os, "link", refuses)
    result = built.publish()
    assert read_artifact(built.store.root / result.path).bytes == result.bytes


@pytest.mark.parametrize("rank", [0, 3])
def test_a_missing_rank_is_named_with_its_pod(built: Claim, rank: int) -> None:
    (built.engine / f"rank{rank}.engine").unlink()
    failure = _refused(built)
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.ENGINE_BUILD_FAILED)
    assert failure.message.startswith(f"rank{rank}.engine of pod {rank // 2} of 2 is missing")


def test_a_truncated_rank_is_named_with_both_sizes(built: Claim) -> None:
    path = built.engine / "rank2.engine"
    path.write_bytes(path.read_bytes()[:7])
    failure = _refused(built)
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    assert failure.message == (
        "rank2.engine of pod 1 of 2 has 7 bytes; the pod wrote 18 bytes: the engine of 4 ranks is incomplete."
    )


def test_an_empty_rank_is_named(built: Claim) -> None:
    (built.engine / "rank1.engine").write_bytes(b"")
    failure = _refused(built)
    assert failure.message.startswith("rank1.engine of pod 0 of 2 is empty")


def test_managed_weights_belong_to_a_rank_too(built: Claim) -> None:
    (built.engine / "rank1_managed_weights.safetensors").unlink()
    assert "rank1_managed_weights.safetensors of pod 0 of 2 is missing" in _refused(built).message


def test_a_pod_that_never_ended_is_named_with_what_it_owes(built: Claim) -> None:
    (built.engine / ".pod-1.json").unlink()
    failure = _refused(built)
    assert failure.message == "Pod 1 of 2 has not reported its ranks 2 to 3 as complete."
    (built.engine / "rank3.engine").unlink()
    assert _refused(built).message.startswith("rank3.engine of pod 1 of 2 is missing")


@pytest.mark.parametrize("content", ["", "[]", '{"product": 1}'])
def test_a_report_that_is_none_counts_as_absent(built: Claim, content: str) -> None:
    (built.engine / ".pod-0.json").write_text(content)
    assert "Pod 0 of 2" in _refused(built).message


def test_pods_of_two_versions_are_refused_with_both(built: Claim) -> None:
    _edit(built.engine / ".pod-1.json", lambda value: value.update(version="1.2.0"))
    failure = _refused(built)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH)
    assert failure.message == "Pod 0 built with TensorRT-LLM 1.2.1, pod 1 with 1.2.0."


@pytest.mark.parametrize("change", [{"product": "NVIDIA-L4"}, {"computeCapability": "8.9"}])
def test_pods_on_two_gpus_are_refused_with_both(built: Claim, change: dict[str, str]) -> None:
    _edit(built.engine / ".pod-1.json", lambda value: value.update(change))
    failure = _refused(built)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.GPU_MISMATCH)
    other = {"product": PRODUCT, "computeCapability": "9.0", **change}
    assert failure.message == (
        f"Pod 0 built on {PRODUCT} (compute capability 9.0) and pod 1 on {other['product']} "
        f"(compute capability {other['computeCapability']})."
    )


def test_an_engine_of_another_version_than_its_pods_is_refused(built: Claim) -> None:
    _edit(built.engine / "config.json", lambda value: value.update(version="0.20.0"))
    _edit(
        built.engine / ".pod-0.json",
        lambda value: value["files"].update({"config.json": (built.engine / "config.json").stat().st_size}),
    )
    failure = _refused(built)
    assert failure.reason is Reason.IMAGE_MISMATCH
    assert failure.message == "The engine's config.json names TensorRT-LLM 0.20.0, but its pods ran 1.2.1."


def _with_config(claim: Claim, change: Callable[[dict[str, Any]], object]) -> None:
    _edit(claim.engine / "config.json", change)
    size = (claim.engine / "config.json").stat().st_size
    _edit(claim.engine / ".pod-0.json", lambda value: value["files"].update({"config.json": size}))


def test_an_engine_split_otherwise_than_asked_for_is_refused(built: Claim) -> None:
    failure = _refused(built, tensor=4, pipeline=1)
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ENGINE_BUILD_FAILED)
    assert "tensor 2, pipeline 2, context 1 (4 ranks), but tensor 4, pipeline 1, context 1 (4 ranks)" in failure.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda value: value["pretrained_config"].pop("mapping"), "config.json has no mapping"),
        (lambda value: value.pop("pretrained_config"), "config.json has no mapping"),
        (lambda value: value["build_config"].pop("max_seq_len"), "no valid build_config.max_seq_len"),
        (lambda value: value.pop("build_config"), "no valid build_config.max_batch_size"),
        (lambda value: value["build_config"].update(max_batch_size="8"), "its value is '8'"),
        (lambda value: value.pop("version"), "names TensorRT-LLM None"),
    ],
)
def test_a_config_that_lacks_something_is_refused_by_name(
    built: Claim, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    _with_config(built, change)
    assert says in _refused(built).message


def test_a_missing_config_is_named(built: Claim) -> None:
    (built.engine / "config.json").unlink()
    assert "config.json of pod 0 of 2 is missing" in _refused(built).message


def test_an_engine_that_was_truncated_after_publishing_is_corrupt_and_named(built: Claim) -> None:
    result = built.publish()
    path = built.store.root / result.path / "rank1.engine"
    path.write_bytes(path.read_bytes()[:-1])
    failure = failure_of(lambda: read_artifact(path.parent))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "rank1.engine" in failure.message
    assert "11 bytes; its manifest has 12 bytes" in failure.message


def test_files_read_at_the_same_time_are_described_in_order(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / f"{index:02d}").write_bytes(os.urandom(1000 * index))
    paths, sizes = list(files_below(tmp_path)), list[int]()
    described = describe(tmp_path, paths, sizes.append)
    assert [file.path for file in described] == [f"{index:02d}" for index in range(20)]
    assert [file.sha256 for file in described] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert sum(sizes) == sum(path.stat().st_size for path in paths)
    assert describe(tmp_path, []) == ()


def test_a_rank_that_another_program_changed_before_publishing_is_corrupt_and_named(built: Claim) -> None:
    path = built.engine / "rank1.engine"
    path.write_bytes(path.read_bytes().swapcase())
    failure = failure_of(built.publish)
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert failure.message.startswith(
        "The content of rank1.engine of pod 0 of 2 changed after the pod wrote it: sha256 "
    )
