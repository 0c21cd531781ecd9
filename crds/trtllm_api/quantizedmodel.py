"""The QuantizedModel resource: which model, how to quantize it, and how good the result must be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import (
    ApiModel,
    DecimalString,
    Device,
    Digest,
    Fraction,
    Message,
    ModulePattern,
    ObjectName,
    Percent,
    ShortText,
    cel,
)
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import (
    ConditionList,
    ConfigMapKeyRef,
    HistoryEntry,
    PodTemplate,
    Progress,
    SecretKeyRef,
    exactly_one,
)
from trtllm_api.source import Source, Storage, VolumeSource

KIND = "QuantizedModel"
PLURAL = "quantizedmodels"


class Method(StrEnum):
    """Quantization methods, named as users of ModelOpt and TensorRT-LLM know them."""

    FP8 = "FP8"
    FP8_PER_CHANNEL_PER_TOKEN = "FP8PerChannelPerToken"
    NVFP4 = "NVFP4"
    INT8_SMOOTH_QUANT = "INT8SmoothQuant"
    INT8_WEIGHT_ONLY = "INT8WeightOnly"
    INT4_WEIGHT_ONLY = "INT4WeightOnly"
    INT4_AWQ = "INT4AWQ"
    W4A8_AWQ = "W4A8AWQ"
    AUTO = "Auto"
    NONE = "None"
    MIXED = "Mixed"
    """A fallback only: a method refused before it, with the modules that err most in full precision."""


GROUPED_METHODS = frozenset({Method.INT4_WEIGHT_ONLY, Method.INT4_AWQ, Method.W4A8_AWQ})
"""Methods whose scales cover groups of input columns: the only ones that take a group size."""

WEIGHT_ONLY_METHODS = frozenset({Method.INT8_WEIGHT_ONLY, Method.INT4_WEIGHT_ONLY, Method.NONE})
"""Methods that need no calibration data."""


class KVCache(StrEnum):
    """Precision of the attention cache, where it is not the model's own."""

    FP8 = "FP8"
    INT8 = "INT8"


class OnFailure(StrEnum):
    """What a refusal by the quality gate leads to."""

    FALLBACK = "Fallback"
    FAIL = "Fail"
    WARN = "Warn"


class Verdict(StrEnum):
    """What became of a candidate."""

    PASSED = "Passed"
    WARNED = "Warned"
    REFUSED = "Refused"
    FAILED = "Failed"


class AutoQuantization(ApiModel):
    """ModelOpt's search for the best format of each layer."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.candidates) || !('Mixed' in self.candidates)",
                    "Mixed is no format of a layer: it is a fallback, for quality.fallbacks",
                )
            ]
        }
    )

    effective_bits: DecimalString
    candidates: Annotated[tuple[Method, ...], Field(min_length=1, max_length=4)] = (
        Method.INT4_AWQ,
        Method.FP8,
    )


class Quantization(ApiModel):
    """How to quantize."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "(has(self.method) && self.method == 'Auto') == has(self.auto)",
                    "auto is set for method Auto, which needs it, and for no other method",
                ),
                cel(
                    "!has(self.groupSize) || !has(self.method) || "
                    "self.method in ['INT4WeightOnly', 'INT4AWQ', 'W4A8AWQ']",
                    "groupSize applies to INT4WeightOnly, INT4AWQ and W4A8AWQ only",
                ),
                cel(
                    "!has(self.smoothQuantAlpha) || !has(self.method) || self.method == 'INT8SmoothQuant'",
                    "smoothQuantAlpha applies to INT8SmoothQuant only",
                ),
                cel(
                    "!has(self.kvCache) || !has(self.method) || self.method != 'None'",
                    "kvCache needs a quantization method other than None",
                ),
                cel(
                    "!has(self.method) || self.method != 'Mixed'",
                    "Mixed is a fallback: name it in quality.fallbacks, after the methods that it may mix",
                ),
            ]
        }
    )

    method: Method | None = None
    """Omitted: the methods that the target GPU runs natively, the smallest first, until one passes the quality gate."""
    group_size: Annotated[int, Field(ge=16, le=1024, multiple_of=16)] | None = None
    """Input columns that share one scale; planned from the model's shapes when omitted."""
    kv_cache: KVCache | None = None
    smooth_quant_alpha: Fraction | None = None
    """How much of the activations' difficulty moves into the weights, 0 to 1; ModelOpt's 1.0 when omitted."""
    exclude_modules: Annotated[tuple[ModulePattern, ...], Field(max_length=64)] = ()
    """Module names to leave in full precision; * matches anything."""
    auto: AutoQuantization | None = None


class HubDataset(ApiModel):
    """A data set on the Hugging Face hub."""

    repo: Annotated[str, StringConstraints(max_length=200, pattern=r"^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$")]
    revision: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[-._/a-zA-Z0-9]+$")] = "main"
    config: ShortText | None = None
    split: ShortText = "train"
    column: ShortText = "text"
    token_secret_ref: SecretKeyRef | None = None


class Dataset(ApiModel):
    """Texts: a file with one text per line (.txt), or JSON lines with a `text` field (.jsonl)."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(("configMap", "persistentVolumeClaim", "huggingFace"), "dataset")
    )

    config_map: ConfigMapKeyRef | None = None
    persistent_volume_claim: VolumeSource | None = None
    hugging_face: HubDataset | None = None


class Calibration(ApiModel):
    """What ModelOpt sees while it chooses scales. The builder's own texts are used without a dataset."""

    dataset: Dataset | None = None
    samples: Annotated[int, Field(ge=1, le=16384)] = 128
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512
    batch_size: Annotated[int, Field(ge=1, le=512)] = 1


class Evaluation(ApiModel):
    """What the quality gate measures on. The builder's own held-out texts are used without a dataset."""

    dataset: Dataset | None = None
    tokens: Annotated[int, Field(ge=256, le=1048576)] = 4096
    sequence_length: Annotated[int, Field(ge=16, le=131072)] = 512


class Canary(ApiModel):
    """A prompt that the artifact must answer, greedily, with the text given."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    contains: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 48


class Quality(ApiModel):
    """What the artifact must reach against the source model, measured on the files that ship."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!has(self.fallbacks) || size(self.fallbacks) == 0 || self.onFailure == 'Fallback'",
                    "fallbacks are tried with onFailure Fallback only",
                ),
                cel(
                    "!has(self.minTopTokenAgreement) || !self.minTopTokenAgreement.matches('^[0-9]+([.][0-9]+)?%$') || "
                    "double(self.minTopTokenAgreement.replace('%', '')) <= 100.0",
                    "minTopTokenAgreement must be no more than 100%",
                ),
            ]
        }
    )

    max_perplexity_increase: Percent = "10%"
    max_kl_divergence: DecimalString | None = Field(default="0.2", alias="maxKLDivergence")
    """Mean of KL(source || artifact) over the evaluated tokens, in nats."""
    min_top_token_agreement: Percent = "80%"
    """Share of positions where both models' most likely next token is the same."""
    evaluation: Evaluation = Evaluation()
    canaries: Annotated[tuple[Canary, ...], Field(max_length=16)] = ()
    on_failure: OnFailure = OnFailure.FALLBACK
    fallbacks: Annotated[tuple[Method, ...], Field(max_length=8)] = ()
    """Methods tried in this order when the gate refuses the one asked for, or all that were planned.

    Mixed is the smallest of those refused before it that passes with its worst modules in full precision.
    """


class CheckpointFormat(StrEnum):
    """How the artifact's weights are laid out."""

    HUGGING_FACE = "HuggingFace"
    """ModelOpt's unified checkpoint: for the runtimes Transformers and PyTorch, whatever their parallelism."""
    TENSORRT_LLM = "TensorRTLLM"
    """For the runtime TensorRT: one file per rank, the parallelism baked in."""


class Checkpoint(ApiModel):
    """The artifact's format."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    # a default is judged before the defaults inside it are filled in
                    "(has(self.format) && self.format == 'TensorRTLLM') || "
                    "((!has(self.tensor) || self.tensor == 1) && (!has(self.pipeline) || self.pipeline == 1))",
                    "tensor and pipeline belong to format TensorRTLLM: a HuggingFace checkpoint fits any parallelism",
                )
            ]
        }
    )

    format: CheckpointFormat = CheckpointFormat.HUGGING_FACE
    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1


class QuantizedModelSpec(ApiModel):
    """What is wanted."""

    source: Source
    trust_remote_code: bool = False
    quantization: Quantization = Quantization()
    calibration: Calibration = Calibration()
    quality: Quality = Quality()
    checkpoint: Checkpoint = Checkpoint()
    device: Device = Device.GPU
    storage: Storage = Storage()
    pod_template: PodTemplate = PodTemplate()
    suspend: bool = False


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
