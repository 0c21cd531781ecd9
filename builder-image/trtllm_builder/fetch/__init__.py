"""Fetches a source: pins it, downloads it, verifies every file, reads ModelFacts, and publishes its manifest."""

from __future__ import annotations

from pathlib import Path

from trtllm_api.contract import SOURCE_PATH, ExitCode, FetchRequest, FetchResult
from trtllm_api.digest import digest_of
from trtllm_api.manifest import MANIFEST, ArtifactKind, ManifestFile
from trtllm_api.reasons import Reason
from trtllm_builder.bounds import bounded_facts
from trtllm_builder.checkpoint_files import inspect, model_files
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.fetch.hub import Download, fetch_from_hub
from trtllm_builder.fetch.uri import fetch_from_uri
from trtllm_builder.fetch.volume import locate
from trtllm_builder.files import describe
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store


def run_fetch(
    request: FetchRequest, store: Store, progress: Progress, request_digest: str, source: Path = Path(SOURCE_PATH)
) -> FetchResult:
    """Download the source into the store, or find it in place; the result has its digest."""
    download: Download | None = None
    claim = request.source.persistent_volume_claim
    if claim is not None:
        directory = locate(source, claim)
    elif request.source.hugging_face is not None:
        download = fetch_from_hub(request.source.hugging_face, store, progress, request_digest)
        directory = download.directory
    elif request.source.uri is not None:
        directory = fetch_from_uri(request.source.uri, store, progress, request_digest)
    else:
        raise BuilderFailure(
            ExitCode.BAD_REQUEST,
            Reason.BAD_REQUEST,
            "The request has no source.",
            "Set one of spec.source.huggingFace, persistentVolumeClaim and uri.",
        )
    place = directory if claim is None else source
    try:
        checkpoint = inspect(directory, trust_remote_code=request.trust_remote_code, claim=place)
    except BuilderFailure:
        if download is not None:
            # the cause may be a damaged download
            download.check(_describe(directory, place, progress))
        raise
    facts = bounded_facts(checkpoint)
    files = _describe(directory, place, progress)
    if download is not None:
        download.check(files)
    inputs = {"files": {file.path: file.sha256 for file in files}}
    digest = digest_of(inputs)
    if claim is not None:
        with store.publish(inputs, ArtifactKind.SOURCE, files):
            published = store.manifest_directory(digest, ArtifactKind.SOURCE)
    else:
        with store.publish(inputs, ArtifactKind.SOURCE) as draft:
            draft.files = files
            for path in model_files(directory):
                path.rename(draft.directory / path.name)
            published = store.directory(digest, ArtifactKind.SOURCE)
        store.finish(request_digest)
    return FetchResult(
        digest=digest,
        revision=download.commit if download else None,
        path=store.relative(published) if claim is None else claim.path,
        manifest_path=store.relative(published / MANIFEST),
        bytes=sum(file.bytes for file in files),
        facts=facts,
    )


def _describe(directory: Path, claim: Path, progress: Progress) -> tuple[ManifestFile, ...]:
    paths = model_files(directory, claim)
    with progress.step("Verifying", sum(path.stat().st_size for path in paths), "bytes") as step:
        return describe(directory, paths, step.advance)
