"""QuantizedModel's status: the pinned source, what was decided, what was measured, and the artifact."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from trtllm_api.base import ApiModel, DecimalString, Digest, Message, ModulePattern, ObjectName, Percent, ShortText
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import ConditionList, HistoryEntry, Progress
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint


class Verdict(StrEnum):
    """What became of a candidate."""

    PASSED = "Passed"
    WARNED = "Warned"
    REFUSED = "Refused"
    FAILED = "Failed"


class SourceStatus(ApiModel):
    """The source as fetched: pinned and verified."""

    request_digest: Digest
    """Identity of what was asked for: two resources with the same one share the source."""
    digest: Digest
    revision: ShortText | None = None
    claim_name: ObjectName
    path: Annotated[str, StringConstraints(max_length=1024)]
    manifest_path: Annotated[str, StringConstraints(max_length=1024)]
    bytes: Annotated[int, Field(ge=0)]


class CandidatePlan(ApiModel):
    """One method as it will be tried, every option decided."""

    method: Method
    group_size: int | None = None
    kv_cache: KVCache | None = None
    smooth_quant_alpha: DecimalString | None = None
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    auto: AutoQuantization | None = None


class MethodLadder(ApiModel):
    """The methods of a spec that names none: decided once, whatever nodes come and go afterwards."""

    inputs: Digest
    """Identity of what it was decided for; another spec is decided anew."""
    target: Message
    """What the methods run on."""
    methods: Annotated[tuple[Method, ...], Field(max_length=8)]
    """All that the target runs, the smallest first, whether this model can have them or not."""


class QuantizationPlan(ApiModel):
    """What will be tried, in order, and why."""

    ladder: MethodLadder | None = None
    """Where spec.quantization.method is omitted."""

    candidates: Annotated[tuple[CandidatePlan, ...], Field(max_length=10)]
    why: Annotated[tuple[Message, ...], Field(max_length=32)] = ()


class Measures(ApiModel):
    """Measurements of one model; decimals as strings, because Kubernetes has no safe floats."""

    perplexity: DecimalString
    kl_divergence: DecimalString | None = Field(default=None, alias="klDivergence")
    top_token_agreement: Percent | None = None
    canaries: ShortText | None = None
    """Passed and asked, as "2/2"."""


class MixedProposal(ApiModel):
    """A mixed precision of a refused candidate that was measured and would pass."""

    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(min_length=1, max_length=64)]
    """Besides spec.quantization.excludeModules."""
    measures: Measures
    bytes: Annotated[int, Field(ge=0)]
    """What the artifact would have."""


class CandidateStatus(ApiModel):
    """One method tried: what was measured and what was decided."""

    method: Method
    group_size: int | None = None
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """What fallback Mixed left in full precision, besides spec.quantization.excludeModules."""
    measures: Measures | None = None
    perplexity_change: Annotated[str, StringConstraints(max_length=24)] | None = None
    """Against the source, as "+50.7%"."""
    bytes: Annotated[int, Field(ge=0)] | None = None
    verdict: Verdict
    reason: ShortText
    message: Message = ""
    explanation: Message = ""
    """Of a refused one: the layers and the kinds of linear layers that most of its KL divergence comes from."""
    proposal: MixedProposal | None = None


class QualityStatus(ApiModel):
    """What the quality gate saw."""

    reference: Measures | None = None
    candidates: Annotated[tuple[CandidateStatus, ...], Field(max_length=10)] = ()


class ArtifactStatus(ApiModel):
    """The artifact that passed: where it is and what it is."""

    request_digest: Digest
    """Identity of the whole request: an identical resource reuses this artifact without a Job."""
    digest: Digest
    claim_name: ObjectName
    path: Annotated[str, StringConstraints(max_length=1024)]
    bytes: Annotated[int, Field(ge=0)]
    method: Method
    group_size: int | None = None
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """All that was left in full precision: the spec's, and what fallback Mixed has added."""
    checkpoint: Checkpoint = Checkpoint()
    report: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Path of the HTML report on the claim."""
    reused_from: ObjectName | None = None


class QuantizedModelStatus(ApiModel):
    """What is."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    stage: ShortText | None = None
    conditions: ConditionList = ()
    progress: Progress | None = None
    source: SourceStatus | None = None
    model_facts: ModelFacts | None = None
    plan: QuantizationPlan | None = None
    quality: QualityStatus | None = None
    artifact: ArtifactStatus | None = None
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=10)] = ()
