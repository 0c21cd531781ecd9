"""Publish: checks every rank and config.json, and moves the engine to its digest's directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trtllm_api.contract import EngineResult, ExitCode, PublishRequest
from trtllm_api.digest import digest_of, short
from trtllm_api.enginestatus import EngineLimits
from trtllm_api.manifest import ArtifactKind, Manifest, ManifestFile, Probe
from trtllm_api.reasons import Reason
from trtllm_builder.engine.checkpoint import CONFIG, Mapping, Unusable, mapping_of, read_config
from trtllm_builder.engine.identity import numbers, same_version
from trtllm_builder.engine.pods import ENGINE, PodReport, Stamp, engine_file, ranks_of, size_of
from trtllm_builder.engine.tokenizer import copy_tokenizer
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import describe, files_below
from trtllm_builder.progress import Progress
from trtllm_builder.store import Artifact, Store

_KIND = ArtifactKind.ENGINE
_LIMITS = {
    "max_batch_size": "max_batch_size",
    "max_input_length": "max_input_len",
    "max_sequence_length": "max_seq_len",
    "max_tokens": "max_num_tokens",
    "max_beam_width": "max_beam_width",
}
"""Names in TensorRT-LLM's build_config by the names in status."""
_MOST_SHOWN = 60
_REBUILD = "Set the annotation trtllm.dev/retry to build the missing ranks again."
_ALIKE = "Name one product in spec.gpu.product, or use one node pool; then set the annotation trtllm.dev/retry."


def run_publish(request: PublishRequest, store: Store, progress: Progress, request_digest: str) -> EngineResult:
    """Publish the engine. Raises BuilderFailure if a rank is missing or the pods' reports differ.

    The ranks stay in the work directory until the engine is published: if the pod dies, another pod can continue.
    """
    directory = store.work(request_digest) / ENGINE
    known = None if directory.is_dir() else _published_before(request, store)
    if known is not None:
        return _finish(known, request, store, request_digest, reused=True)
    stamp = _check_pods(request, directory)
    _check_config(request, directory, stamp)
    copy_tokenizer(request.tokenizer_path, directory)
    inputs = {**request.inputs, **stamp.to_wire()}
    digest = digest_of(inputs)
    artifact = store.lookup(digest, _KIND)
    reused = artifact is not None
    if artifact is None:
        paths = list(files_below(directory))
        with progress.step("Publishing", sum(path.stat().st_size for path in paths), "bytes") as step:
            files = describe(directory, paths, step.advance)
        _check_digests(request, directory, files)
        with store.publish(inputs, _KIND) as draft:
            draft.files, draft.probe = files, _probe(request)
            for path in paths:
                _link(path, draft.directory / path.relative_to(directory))
        artifact = store.lookup(digest, _KIND)
    if artifact is None:
        raise _failed(
            ExitCode.TRANSIENT,
            f"{store.directory(digest, _KIND)} was removed while it was published.",
            "The Job is retried.",
        )
    return _finish(artifact, request, store, request_digest, reused=reused)


def _finish(
    artifact: Artifact, request: PublishRequest, store: Store, request_digest: str, *, reused: bool
) -> EngineResult:
    inputs, config = artifact.manifest.inputs, _config(artifact.directory)
    store.finish(request_digest)
    return EngineResult(
        digest=artifact.manifest.digest,
        path=store.relative(artifact.directory),
        bytes=artifact.bytes,
        version=inputs["version"],
        product=inputs["product"],
        compute_capability=inputs["computeCapability"],
        world=request.world,
        limits=_limits(config),
        reused=reused,
    )


def _published_before(request: PublishRequest, store: Store) -> Artifact | None:
    """Engine that an earlier pod published before it died without a result. Its work directory is already removed."""
    seen = ("product", "computeCapability", "version")
    for manifest in store.manifests(_KIND):
        rest = {key: value for key, value in manifest.inputs.items() if key not in seen}
        if rest == {key: value for key, value in request.inputs.items() if key not in seen}:
            return store.lookup(manifest.digest, _KIND)
    return None


def _check_pods(request: PublishRequest, directory: Path) -> Stamp:
    """Check that every pod reported, that its files are unchanged, and that all pods had equal GPUs and versions."""
    first: PodReport | None = None
    for pod in range(request.pods):
        ranks = ranks_of(pod, request.pods, request.world)
        report = PodReport.read(directory, pod)
        if report is None or report.ranks != tuple(ranks):
            raise _unreported(pod, ranks, request, directory)
        for rank in ranks:
            if not report.files.get(engine_file(rank)):
                raise _missing(engine_file(rank), pod, request, None)
        for name, size in sorted(report.files.items()):
            found = size_of(directory / name)
            if found != size:
                raise _missing(name, pod, request, found, size)
        first = first or report
        _check_alike(first, report)
    if first is None:
        raise _failed(
            ExitCode.BAD_REQUEST, "The request names no pods.", "Use the operator and the builder image of one release."
        )
    return first.stamp


def _unreported(pod: int, ranks: range, request: PublishRequest, directory: Path) -> BuilderFailure:
    for rank in ranks:
        if not size_of(directory / engine_file(rank)):
            return _missing(engine_file(rank), pod, request, size_of(directory / engine_file(rank)))
    return _failed(
        ExitCode.INPUT_MISSING,
        f"Pod {pod} of {request.pods} has not reported its ranks {ranks.start} to {ranks.stop - 1} as complete.",
        _REBUILD,
    )


def _missing(
    name: str, pod: int, request: PublishRequest, found: int | None, size: int | None = None
) -> BuilderFailure:
    what = "is missing" if found is None else "is empty" if found == 0 else f"has {found} bytes"
    wrote = "" if size is None else f"; the pod wrote {size} bytes"
    message = f"{name} of pod {pod} of {request.pods} {what}{wrote}: the engine of {request.world} ranks is incomplete."
    if found:
        return BuilderFailure(ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT, message, _REBUILD)
    return _failed(ExitCode.INPUT_MISSING, message, _REBUILD)


def _check_alike(one: PodReport, other: PodReport) -> None:
    if one.stamp.version != other.stamp.version:
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.IMAGE_MISMATCH,
            f"Pod {one.pod} built with TensorRT-LLM {one.stamp.version}, pod {other.pod} with {other.stamp.version}.",
            "The tag of spec.image moved between the pods. Name the image by digest; then set the annotation "
            "trtllm.dev/retry.",
        )
    if _gpu(one.stamp) != _gpu(other.stamp):
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.GPU_MISMATCH,
            f"Pod {one.pod} built on {_named(one.stamp)} and pod {other.pod} on {_named(other.stamp)}.",
            _ALIKE,
        )


def _gpu(stamp: Stamp) -> tuple[str, tuple[int, ...]]:
    return stamp.product, numbers(stamp.compute_capability)


def _named(stamp: Stamp) -> str:
    return f"{stamp.product} (compute capability {stamp.compute_capability})"


def _check_digests(request: PublishRequest, directory: Path, files: tuple[ManifestFile, ...]) -> None:
    """Check that every file has the content that its pod wrote."""
    found = {file.path: file.sha256 for file in files}
    for pod in range(request.pods):
        report = PodReport.read(directory, pod)
        for name, digest in sorted(report.digests.items() if report else ()):
            if found.get(name) != digest:
                raise BuilderFailure(
                    ExitCode.BAD_MODEL,
                    Reason.ARTIFACT_CORRUPT,
                    f"The content of {name} of pod {pod} of {request.pods} changed after the pod wrote it: sha256 "
                    f"{short(found.get(name, ''))} instead of {short(digest)}.",
                    _REBUILD,
                )


def _check_config(request: PublishRequest, directory: Path, stamp: Stamp) -> None:
    """Check that the engine's config.json agrees with the request and the pods."""
    config, wanted = _config(directory), Mapping(request.tensor, request.pipeline, request.context)
    version = config.get("version")
    if not isinstance(version, str) or not same_version(version, stamp.version):
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.IMAGE_MISMATCH,
            f"The engine's {CONFIG} names TensorRT-LLM {version}, but its pods ran {stamp.version}.",
            _REBUILD,
        )
    pretrained = config.get("pretrained_config")
    try:
        mapping = mapping_of(pretrained if isinstance(pretrained, dict) else {})
    except Unusable as fault:
        raise _failed(ExitCode.BAD_MODEL, f"The engine cannot be used: {fault}.", _REBUILD) from fault
    if mapping != wanted or mapping.world != request.world:
        raise _failed(
            ExitCode.BAD_MODEL,
            f"The engine's parallelism is {mapping} ({mapping.world} ranks), but {wanted} ({request.world} ranks) was "
            "requested.",
            "Set spec.parallelism to the parallelism of the checkpoint.",
        )
    _limits(config)


def _config(directory: Path) -> dict[str, Any]:
    try:
        return read_config(directory)
    except Unusable as fault:
        raise _failed(
            ExitCode.INPUT_MISSING, f"The engine cannot be used: {fault}; pod 0 writes this file.", _REBUILD
        ) from fault


def _limits(config: dict[str, Any]) -> EngineLimits:
    found = config.get("build_config")
    limits = found if isinstance(found, dict) else {}
    try:
        return EngineLimits.model_validate({name: limits.get(theirs) for name, theirs in _LIMITS.items()}, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, value = _LIMITS[str(first["loc"][0])], repr(first["input"])[:_MOST_SHOWN]
        raise _failed(
            ExitCode.BAD_MODEL,
            f"The engine's {CONFIG} has no valid build_config.{name}: its value is {value}.",
            "Use a TensorRT-LLM version that this operator supports: this one writes another format.",
        ) from None


def _probe(request: PublishRequest) -> Probe | None:
    if request.probe_manifest is None:
        return None
    try:
        return Manifest.model_validate_json(Path(request.probe_manifest).read_bytes()).probe
    except (OSError, ValidationError) as error:
        raise BuilderFailure(
            ExitCode.INPUT_MISSING,
            Reason.ARTIFACT_CORRUPT,
            f"The model's manifest {request.probe_manifest}, which has the engine's known prompt, cannot be read.",
            "Something else changed the store. Publish the model again: set the annotation trtllm.dev/retry on the "
            "QuantizedModel.",
        ) from error


def _link(path: Path, target: Path) -> None:
    """Give the file a second name; the first one is removed with the work directory after the engine is published."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        # a file system without hard links
        shutil.copyfile(path, target)


def _failed(code: ExitCode, message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(code, Reason.ENGINE_BUILD_FAILED, message, remedy)
