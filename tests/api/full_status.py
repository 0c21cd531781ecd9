"""A status of each resource with every field filled."""

from __future__ import annotations

from trtllm_api.enginebuild import Runtime
from trtllm_api.enginestatus import (
    EngineArtifact,
    EngineBuildStatus,
    EngineLimits,
    EnginePlan,
    PlanItem,
    ServedArtifact,
    ServingStatus,
)
from trtllm_api.facts import CacheShape, CheckpointFacts, Details, LinearShape, ModelFacts
from trtllm_api.meta import Condition, ConditionStatus, HistoryEntry, Progress
from trtllm_api.modelstatus import (
    ArtifactStatus,
    CandidatePlan,
    CandidateStatus,
    Measures,
    MethodLadder,
    MixedProposal,
    QualityStatus,
    QuantizationPlan,
    QuantizedModelStatus,
    SourceStatus,
    Verdict,
)
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat

_NOW = "2026-01-02T03:04:05Z"
_DIGEST = "sha256:" + "0f" * 32
_PROGRESS = Progress(
    stage="Quantizing",
    percent=40,
    summary="Quantizing 40%, 2 min left",
    detail="layer 12 of 30",
    eta_seconds=95,
    job="smollm2-quantize-1",
)
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


_SOURCE = SourceStatus(
    request_digest=_DIGEST,
    digest=_DIGEST,
    revision="0123456789abcdef",
    claim_name="trtllm-store",
    path="sources/0f",
    manifest_path="sources/0f/manifest.json",
    bytes=2**40,
)
_FACTS = ModelFacts(
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
    details=Details(
        positions=32768,
        rope_type="llama3",
        moe_intermediate_size=768,
        experts_per_token=2,
        caches=(CacheShape(layers=10, heads=1, width=576, eight_bits=True, window=128),),
        state_bytes=49082368,
        tower_parameters=411000000,
        draft_parameters=11610044416,
        other_linears=4096,
        own_tokenizer=True,
        checkpoint=CheckpointFacts(
            method="gptq",
            algorithm="W4A16_GPTQ",
            group_size=128,
            act_order=True,
            symmetric=False,
            kv_cache="FP8",
            formats=("FP8", "NVFP4"),
            bits=4,
            dynamic=True,
        ),
    ),
    linears=(
        LinearShape(name="model.layers.*.mlp.down_proj", out_features=576, in_features=1536, count=30, algorithm="FP8"),
    ),
)

QUANTIZED_MODEL_STATUS = QuantizedModelStatus(
    observed_generation=1,
    stage="Ready",
    conditions=(condition("Ready", "Published"), condition("QualityPassed", "Passed")),
    progress=_PROGRESS,
    source=_SOURCE,
    model_facts=_FACTS,
    plan=QuantizationPlan(
        ladder=MethodLadder(inputs=_DIGEST, target="NVIDIA-L4 (SM89)", methods=(Method.INT4_AWQ, Method.FP8)),
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
                exclude_modules=("layers.2.mlp.down_proj",),
                explanation="the KL divergence comes, by layer 89 % from layers.2",
                proposal=MixedProposal(exclude_modules=("layers.2",), measures=_MEASURES, bytes=150000000),
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
        exclude_modules=("layers.2.mlp.down_proj",),
        checkpoint=Checkpoint(format=CheckpointFormat.TENSORRT_LLM, tensor=2, pipeline=2),
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
    source=_SOURCE,
    model_facts=_FACTS,
    plan=EnginePlan(
        inputs=_DIGEST,
        tensor=4,
        pipeline=2,
        context=1,
        moe_tensor=2,
        moe_expert=2,
        nodes=2,
        gpus_per_node=4,
        product="NVIDIA-L4",
        compute_capability="8.9",
        memory=(PlanItem(name="weights", size="4.5 GiB"),),
        why=("TP 4, PP 2 on 8 x NVIDIA-L4 (2 nodes of 4)",),
        alternatives=("TP 8 on 8 x NVIDIA-L4",),
    ),
    engine=EngineArtifact(
        request_digest=_DIGEST,
        digest=_DIGEST,
        claim_name="trtllm-store",
        path="engines/0f",
        bytes=2**40,
        version="1.2.1",
        product="NVIDIA-L4",
        compute_capability="8.9",
        world=8,
        limits=EngineLimits(
            max_batch_size=8, max_input_length=1024, max_sequence_length=2048, max_tokens=4096, max_beam_width=1
        ),
        reused_from="other",
    ),
    artifact=ServedArtifact(
        digest=_DIGEST,
        claim_name="trtllm-store",
        path="engines/0f",
        method=Method.FP8,
        runtime=Runtime.TENSORRT,
    ),
    serving=ServingStatus(
        url="http://chat-serve.default.svc", replicas=3, ready_replicas=2, selector="trtllm.dev/resource=chat"
    ),
    history=_HISTORY,
)
