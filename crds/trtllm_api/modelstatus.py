"""QuantizedModel's status: the pinned source, what was decided, what was measured, and the artifact."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from trtllm_api.base import (
    ApiModel,
    DecimalString,
    Digest,
    Dimension,
    Message,
    ModulePattern,
    ObjectName,
    Percent,
    ShortText,
    Size,
    StorePath,
)
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import ConditionList, Generation, HistoryEntry, Progress
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint


class Verdict(StrEnum):
    """Outcome of a candidate."""

    PASSED = "Passed"
    """It reached every limit of spec.quality, and is published."""
    WARNED = "Warned"
    """It missed a limit, and is published because of onFailure Warn."""
    REFUSED = "Refused"
    """It missed a limit of spec.quality."""
    FAILED = "Failed"
    """It could not be quantized, exported or measured."""


class SourceStatus(ApiModel):
    """The source that was fetched: pinned and verified."""

    request_digest: Digest
    """Identity of the requested source. Resources with the same one share the files."""
    digest: Digest
    """Identity of the files: sha256 over their names, sizes and hashes."""
    revision: ShortText | None = None
    """Commit that spec.source.huggingFace.revision was resolved to. Absent for other sources."""
    claim_name: ObjectName
    """PersistentVolumeClaim that holds the files."""
    path: StorePath
    """Path of the files on that claim."""
    manifest_path: StorePath
    """Path of the source's manifest.json on the claim of spec.storage."""
    bytes: Size
    """Size of all files, in bytes."""


class CandidatePlan(ApiModel):
    """One method with every option decided."""

    method: Method
    """Method that is tried."""
    group_size: Dimension | None = None
    """Number of input columns that share one scale. Absent for methods without groups."""
    kv_cache: KVCache | None = None
    """Precision of the KV cache. Absent if it is the model's own."""
    smooth_quant_alpha: DecimalString | None = None
    """Share of the activations' range that moves into the weights. Absent if it is ModelOpt's default."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """Modules that stay in full precision."""
    auto: AutoQuantization | None = None
    """Search of method Auto. Absent for every other method."""


class MethodLadder(ApiModel):
    """Methods that were planned for a spec without one. Nodes that come or go later do not change them."""

    inputs: Digest
    """Identity of the part of the spec that the methods were planned for. Another spec is planned again."""
    target: Message
    """GPUs, or the CPU, that the methods were planned for."""
    methods: Annotated[tuple[Method, ...], Field(max_length=8)]
    """Methods that the target runs natively, the smallest artifact first."""


class QuantizationPlan(ApiModel):
    """Methods that will be tried, and the decisions that led to them."""

    ladder: MethodLadder | None = None
    """Methods that were planned. Absent if spec.quantization.method is set."""
    candidates: Annotated[tuple[CandidatePlan, ...], Field(max_length=10)]
    """Methods in the order in which they are tried."""
    why: Annotated[tuple[Message, ...], Field(max_length=32)] = ()
    """Sentences about what was decided, such as a group size, and about methods that were left out."""


class Measures(ApiModel):
    """Measurements of one model, as decimal strings."""

    perplexity: DecimalString
    """Perplexity on the evaluation texts."""
    kl_divergence: DecimalString | None = Field(default=None, alias="klDivergence")
    """Mean KL divergence from the source per token, in nats. Absent for the source itself."""
    top_token_agreement: Percent | None = None
    """Share of positions with the source's most likely next token, in percent. Absent for the source itself."""
    canaries: ShortText | None = None
    """Number of canary prompts that passed and of all, as "2/2". Absent if there are none."""


class MixedProposal(ApiModel):
    """A mix of the refused method with full precision that was measured to pass the gate."""

    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(min_length=1, max_length=64)]
    """Modules that stay in full precision, beside those of spec.quantization.excludeModules."""
    measures: Measures
    """Measurements of the mix."""
    bytes: Size
    """Size that the artifact would have, in bytes."""


class CandidateStatus(ApiModel):
    """One method that was tried: its measurements and the verdict."""

    method: Method
    """Method that was tried."""
    group_size: Dimension | None = None
    """Number of input columns that share one scale. Absent for methods without groups."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """Modules that fallback Mixed left in full precision, beside those of spec.quantization.excludeModules."""
    measures: Measures | None = None
    """Measurements of the exported files. Absent if the candidate failed before."""
    perplexity_change: Annotated[str, StringConstraints(max_length=24)] | None = None
    """Change of the perplexity against the source, such as "+50.7%". Absent if nothing was measured."""
    bytes: Size | None = None
    """Size of the exported files, in bytes. Absent if nothing was exported."""
    verdict: Verdict
    """Outcome of the candidate."""
    reason: ShortText
    """One word for programs: the limit that was missed, or the error."""
    message: Message = ""
    """Sentence with the numbers and the limits."""
    explanation: Message = ""
    """Layers and kinds of linear layers that most of a refused candidate's KL divergence comes from."""
    proposal: MixedProposal | None = None
    """Smallest mix with full precision that passes. Absent if none was sought or found."""


class QualityStatus(ApiModel):
    """Measurements of the quality gate."""

    reference: Measures | None = None
    """Measurements of the source model."""
    candidates: Annotated[tuple[CandidateStatus, ...], Field(max_length=10)] = ()
    """Methods that were tried, in order, each with its measurements and verdict."""


class ArtifactStatus(ApiModel):
    """The published artifact."""

    request_digest: Digest
    """Identity of the whole request. A resource with the same one uses this artifact without a Job."""
    digest: Digest
    """Identity of the artifact: sha256 over everything that determines its bytes."""
    claim_name: ObjectName
    """PersistentVolumeClaim that holds the artifact."""
    path: StorePath
    """Path of the artifact's directory on that claim."""
    bytes: Size
    """Size of all files, in bytes."""
    method: Method
    """Method that the artifact is quantized with."""
    group_size: Dimension | None = None
    """Number of input columns that share one scale. Absent for methods without groups."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=128)] = ()
    """Modules in full precision: those of spec.quantization.excludeModules, and those that fallback Mixed added."""
    checkpoint: Checkpoint = Checkpoint()
    report: StorePath | None = None
    """Path of the HTML report on the claim."""
    reused_from: ObjectName | None = None
    """QuantizedModel that made the artifact. Absent if this one did."""


class QuantizedModelStatus(ApiModel):
    """Observed state: the conditions, what was decided and measured, and the artifact."""

    observed_generation: Generation = 0
    """The metadata.generation of the spec that this status was computed from."""
    stage: ShortText | None = None
    """Current stage in one word: Waiting, Fetching, Quantizing, Ready, Failed, Suspended or Deleting."""
    conditions: ConditionList = ()
    """Conditions Ready, Reconciling and Stalled, and one for each stage: SourceReady, PreflightPassed, Quantized,
    QualityPassed."""
    progress: Progress | None = None
    """Progress of the current step. Absent while nothing runs."""
    source: SourceStatus | None = None
    """The source that was fetched. Absent until then."""
    model_facts: ModelFacts | None = None
    """Facts about the source model. Absent until it is fetched."""
    plan: QuantizationPlan | None = None
    """Methods that will be tried, and why. Absent until they are decided."""
    quality: QualityStatus | None = None
    """Measurements of the quality gate. Absent until a candidate was measured."""
    artifact: ArtifactStatus | None = None
    """The published artifact. The last good one stays while a changed spec is being worked on."""
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=10)] = ()
    """Artifacts and failures, the newest first; at most 10."""
