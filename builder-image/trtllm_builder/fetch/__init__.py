"""Fetch a source: pin it, bring it, verify every file, compute ModelFacts, publish its manifest; run.py calls `run_fetch`."""

from __future__ import annotations

from pathlib import Path

from trtllm_api.contract import SOURCE_PATH, FetchRequest, FetchResult
from trtllm_api.digest import digest_of
from trtllm_api.manifest import ArtifactKind, ManifestFile
from trtllm_builder.checkpoint_files import inspect, model_files
from trtllm_builder.fetch.hub import fetch_from_hub
from trtllm_builder.fetch.uri import fetch_from_uri
from trtllm_builder.fetch.volume import locate
from trtllm_builder.files import describe
from trtllm_builder.model_facts import model_facts
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store


def run_fetch(
    request: FetchRequest, store: Store, progress: Progress, request_digest: str, source: Path = Path(SOURCE_PATH)
) -> FetchResult:
    """Bring the source into the store, or find it in place; the result names its digest."""
    revision: str | None = None
    in_place = request.source.persistent_volume_claim is not None
    if request.source.persistent_volume_claim is not None:
        directory = locate(source, request.source.persistent_volume_claim)
    elif request.source.hugging_face is not None:
        directory, revision = fetch_from_hub(request.source.hugging_face, store, progress, request_digest)
    else:
        assert request.source.uri is not None
        directory = fetch_from_uri(request.source.uri, store, progress, request_digest)
    checkpoint = inspect(directory, trust_remote_code=request.trust_remote_code)
    facts = model_facts(checkpoint)
    files = _describe(directory, progress)
    inputs = {"files": {file.path: file.sha256 for file in files}}
    digest = digest_of(inputs)
    with store.publish(inputs, ArtifactKind.SOURCE) as draft:
        draft.files = files
        if not in_place:
            for path in model_files(directory):
                path.rename(draft.directory / path.name)
    if not in_place:
        store.finish(request_digest)
    artifact_directory = store.directory(digest, ArtifactKind.SOURCE)
    claim_path = request.source.persistent_volume_claim.path if request.source.persistent_volume_claim else ""
    return FetchResult(
        digest=digest,
        revision=revision,
        path=claim_path if in_place else store.relative(artifact_directory),
        manifest_path=store.relative(artifact_directory / "manifest.json"),
        bytes=sum(file.bytes for file in files),
        facts=facts,
    )


def _describe(directory: Path, progress: Progress) -> tuple[ManifestFile, ...]:
    paths = model_files(directory)
    with progress.step("Verifying", sum(path.stat().st_size for path in paths), "bytes") as step:
        return describe(directory, paths, step.advance)
