"""A status of each resource with every field filled."""

from __future__ import annotations

from trtllm_api.enginebuild import EngineBuildStatus, ServedArtifact, ServingStatus
from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.meta import Condition, ConditionStatus, HistoryEntry, Progress
from trtllm_api.quantizedmodel import (
    ArtifactStatus,
    AutoQuantization,
    CandidatePlan,
    CandidateStatus,
    KVCache,
    Measures,
    Method,
    QualityStatus,
    QuantizationPlan,
    QuantizedModelStatus,
    SourceStatus,
    Verdict,
)

_NOW = "2026-01-02T03:04:05Z"
_DIGEST = "sha256:" + "0f" * 32
_PROGRESS = Progress(stage="Quantizing", percent=40, detail="layer 12 of 30", eta_seconds=95, job="smollm2-quantize-1")
_HISTORY = (HistoryEntry(time=_NOW, generation=1, reason="Published", message="FP8 passed the quality gate"),)
_MEASURES = Measures(perplexity="12.75", kl_divergence="0.013", top_token_agreement="96.5%", canaries="2/2")


def condition(kind: str, reason: str, message: str = "All is well") -> Condition:
    """A condition that holds."""
    return Condition(
        type=kind,
        status=ConditionStatus.TRUE,
        observed_generation=1,
        last_transition_time=_NOW,
        reason=reason,
        message=message,
    )


QUANTIZED_MODEL_STATUS = QuantizedModelStatus(
    observed_generation=1,
    stage="Ready",
    conditions=(condition("Ready", "Published"), condition("QualityPassed", "Passed")),
    progress=_PROGRESS,
    source=SourceStatus(
        request_digest=_DIGEST,
        digest=_DIGEST,
        revision="0123456789abcdef",
        claim_name="trtllm-store",
        path="sources/0f",
        manifest_path="sources/0f/manifest.json",
        bytes=2**40,
    ),
    model_facts=ModelFacts(
        architecture="LlamaForCausalLM",
        model_type="llama",
        parameters=134515008,
        bytes=269060552,
        dtype="bfloat16",
        layers=30,
        hidden_size=576,
        intermediate_size=1536,
        heads=9,
        key_value_heads=3,
        head_dim=64,
        vocabulary_size=49152,
        max_position_embeddings=8192,
        experts=8,
        tied_embeddings=True,
        chat_template=True,
        custom_code=True,
        quantization="fp8",
        linears=(LinearShape(name="model.layers.*.mlp.down_proj", out_features=576, in_features=1536, count=30),),
    ),
    plan=QuantizationPlan(
        candidates=(
            CandidatePlan(
                method=Method.AUTO,
                group_size=64,
                kv_cache=KVCache.FP8,
                smooth_quant_alpha="0.5",
                exclude_modules=("lm_head",),
                auto=AutoQuantization(effective_bits="5.5", candidates=(Method.INT4_AWQ, Method.FP8)),
            ),
        ),
        why=("576 input columns divide into groups of 64",),
    ),
    quality=QualityStatus(
        reference=_MEASURES,
        candidates=(
            CandidateStatus(
                method=Method.FP8,
                group_size=64,
                measures=_MEASURES,
                perplexity_change="+1.2%",
                bytes=150000000,
                verdict=Verdict.PASSED,
                reason="WithinLimits",
                message="Every limit is kept",
            ),
        ),
    ),
    artifact=ArtifactStatus(
        request_digest=_DIGEST,
        digest=_DIGEST,
        claim_name="trtllm-store",
        path="artifacts/0f",
        bytes=150000000,
        method=Method.FP8,
        group_size=64,
        report="artifacts/0f/report.html",
        reused_from="other",
    ),
    history=_HISTORY,
)
ENGINE_BUILD_STATUS = EngineBuildStatus(
    observed_generation=1,
    stage="Serving",
    conditions=(condition("Ready", "Serving"),),
    progress=_PROGRESS,
    artifact=ServedArtifact(digest=_DIGEST, claim_name="trtllm-store", path="artifacts/0f", method=Method.FP8),
    serving=ServingStatus(
        url="http://chat-serve.default.svc", replicas=3, ready_replicas=2, selector="trtllm.dev/resource=chat"
    ),
    history=_HISTORY,
)
