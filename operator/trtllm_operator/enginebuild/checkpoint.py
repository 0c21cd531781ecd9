"""The checkpoint that is served, or that an engine is made of: a QuantizedModel's artifact or a fetched source.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.contract import SOURCE_PATH, STORE_PATH
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.facts import ModelFacts
from trtllm_api.manifest import MANIFEST
from trtllm_api.modelstatus import ArtifactStatus, CandidatePlan, SourceStatus
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_api.source import Source
from trtllm_operator.enginebuild.observed import Model
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.manifests.pod import ClaimMount, store_mount
from trtllm_operator.shared.fetch import Wanted, manifest_path, source_claims, source_path


@dataclass(frozen=True)
class Subject:
    """A checkpoint as pods find it."""

    title: str
    """Title for messages: `INT8WeightOnly artifact 0123456789ab`."""
    digest: str
    store: str
    """The claim that is mounted as the store: the engine goes there, too."""
    claim_name: str
    """The claim with the checkpoint."""
    relative: str
    """Path of the checkpoint on its claim."""
    path: str
    """Absolute, inside a pod."""
    manifest: str
    """Path of its manifest: absolute, inside a pod."""
    source_claims: tuple[ClaimMount, ...]
    """Claims of the source, mounted beside the store."""
    bytes: int
    facts: ModelFacts
    """Facts of the checkpoint; of the unquantized source where there is an artifact."""
    artifact: ArtifactStatus | None = None
    candidate: CandidatePlan | None = None
    """The candidate as which the artifact was made."""

    @property
    def method(self) -> Method | None:
        """The method that it was quantized with here."""
        return self.artifact.method if self.artifact else None

    @property
    def engine_format(self) -> bool:
        """It needs no conversion before trtllm-build."""
        return self.artifact is not None and self.artifact.checkpoint.format is CheckpointFormat.TENSORRT_LLM

    def claims(self, *, read_only: bool) -> tuple[ClaimMount, ...]:
        """Mounts of a pod that reads it; the store is writable where something is made."""
        return (store_mount(self.store, read_only=read_only), *self.source_claims)


def wanted_source(owner: Owner, spec: EngineBuildSpec, source: Source) -> Wanted:
    """spec.source as asked for."""
    return Wanted(owner, source, spec.trust_remote_code, spec.storage)


def subject_of_model(model: Model | None) -> Subject | None:
    """The model's last good artifact; None while it has none."""
    status = model.status if model else None
    if status is None or status.artifact is None or status.model_facts is None:
        return None
    artifact = status.artifact
    path = f"{STORE_PATH}/{artifact.path}"
    candidates = status.plan.candidates if status.plan else ()
    made = (
        c.model_copy(update={"exclude_modules": artifact.exclude_modules})
        for c in candidates
        if (c.method, c.group_size) == (artifact.method, artifact.group_size)
    )
    return Subject(
        title=f"{artifact.method} artifact {artifact.digest[7:19]}",
        digest=artifact.digest,
        store=artifact.claim_name,
        claim_name=artifact.claim_name,
        relative=artifact.path,
        path=path,
        manifest=f"{path}/{MANIFEST}",
        source_claims=(),
        bytes=artifact.bytes,
        facts=status.model_facts,
        artifact=artifact,
        candidate=next(made, None),
    )


def subject_of_source(spec: EngineBuildSpec, source: SourceStatus, facts: ModelFacts) -> Subject:
    """spec.source, fetched."""
    if spec.source is None:
        raise ValueError("spec has no source")
    where = source.revision[:12] if source.revision else source.digest[7:19]
    return Subject(
        title=f"source {where}",
        digest=source.digest,
        store=spec.storage.claim_name,
        claim_name=source.claim_name,
        relative=source.path,
        path=source_path(spec.source, source),
        manifest=manifest_path(source),
        source_claims=source_claims(spec.source),
        bytes=source.bytes,
        facts=facts,
    )


def adapters_root(spec: EngineBuildSpec) -> str:
    """Root of build.lora's directories: the model's claim."""
    in_place = spec.source is not None and spec.source.persistent_volume_claim is not None
    return SOURCE_PATH if in_place else STORE_PATH
