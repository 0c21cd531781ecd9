"""The EngineQuestion of an EngineBuild's spec and ModelFacts, the same for the operator and the command line.

It decides what a spec leaves out:
- the longest sequence: limits.maxSequenceLength, else serving.maxSequenceLength, else 8192 or the model's positions,
  whichever is less (the positions of many models alone would fill a GPU with KV cache);
- tokens of a step: limits.maxTokens, else TensorRT-LLM's 8192;
- the layout: spec.parallelism, else that of a TensorRT-LLM checkpoint, else the planner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trtllm_api.buildoptions import Build, Convert, PluginType
from trtllm_api.buildoptions import Limits as AskedLimits
from trtllm_api.enginebuild import EngineBuildSpec, Runtime, Serving
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import ArtifactStatus
from trtllm_api.quantization import KVCache, Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_planner.commands.build import SPECULATION
from trtllm_planner.commands.convert import converted_algorithm
from trtllm_planner.inventory import GpuKind
from trtllm_planner.question import (
    ArtifactFacts,
    EngineQuestion,
    EngineStamp,
    KvCacheType,
    Limits,
    Options,
)
from trtllm_planner.tensorrt_llm.layout import ONE_RANK, Layout
from trtllm_planner.tensorrt_llm.versions import (
    ALGORITHM_OF,
    Algorithm,
    EngineRuntime,
    KvFormat,
    algorithm_named,
    image_info,
)

DEFAULT_SEQUENCE = 8192
DEFAULT_TOKENS = 8192


def engine_question(
    spec: EngineBuildSpec,
    facts: ModelFacts,
    *,
    artifact: ArtifactStatus | None = None,
    kv_cache: KVCache | None = None,
    exclude_modules: tuple[str, ...] = (),
    access_mode: str | None = None,
    layout: Layout | None = None,
    gpu: GpuKind | None = None,
    gpus_per_node: int | None = None,
    stamp: EngineStamp | None = None,
) -> EngineQuestion:
    """The question of a spec with runtime TensorRT or PyTorch; raises ValueError for runtime Transformers.

    With modelRef, `facts` are those of the unquantized source, and artifact, kv_cache (of the candidate that was
    published) and exclude_modules are the QuantizedModel's. Layout, gpu and gpus_per_node come from the plan; until
    there is one, the layout is that of spec.parallelism.
    """
    if spec.runtime is Runtime.TRANSFORMERS or spec.image is None:
        raise ValueError(f"runtime {spec.runtime} has no engine to plan")
    group = artifact.group_size if artifact is not None else None
    checkpoint = facts.details.checkpoint
    if artifact is None and checkpoint is not None:
        group = checkpoint.group_size
    return EngineQuestion(
        facts=facts,
        limits=_question_limits(decided_limits(spec, facts)),
        image=image_info(spec.image, spec.image_version),
        runtime=EngineRuntime(spec.runtime.value),
        layout=layout or asked_layout(spec, artifact) or ONE_RANK,
        gpu=gpu,
        gpus_per_node=gpus_per_node,
        algorithm=algorithm_of(spec, facts, artifact),
        group_size=group,
        kv_cache=_kv_format(spec, facts, artifact, kv_cache),
        exclude_modules=exclude_modules,
        options=_options(spec.build or Build(), spec.serving),
        trust_remote_code=spec.trust_remote_code or artifact is not None,  # the QuantizedModel's fetch has judged it
        stamp=stamp,
        artifact=artifact_facts(artifact, spec.model_ref.name if spec.model_ref else ""),
        build=spec.build,
        convert=spec.convert,
        serving=spec.serving,
        access_mode=access_mode,
    )


def decided_limits(spec: EngineBuildSpec, facts: ModelFacts) -> AskedLimits:
    """The limits that an engine is built for: spec.limits with the longest sequence filled in.

    A PyTorch server has only one set of limits: spec.serving's fields win over those of spec.limits.
    """
    limits, serving = spec.limits or AskedLimits(), spec.serving
    if spec.runtime is Runtime.PYTORCH and serving is not None:
        limits = limits.model_copy(
            update={
                "max_batch_size": serving.max_batch_size or limits.max_batch_size,
                "max_tokens": serving.max_tokens or limits.max_tokens,
                "max_sequence_length": serving.max_sequence_length or limits.max_sequence_length,
                "max_beam_width": serving.max_beam_width or limits.max_beam_width,
            }
        )
    if limits.max_sequence_length is not None:
        return limits
    asked = serving.max_sequence_length if serving is not None else None
    positions = facts.details.positions or facts.max_position_embeddings or DEFAULT_SEQUENCE
    longest = asked or min(positions, DEFAULT_SEQUENCE)
    if asked is None and limits.max_input_length is not None:  # a longer prompt asks for room
        longest = min(positions, max(longest, limits.max_input_length + 1))
    return limits.model_copy(update={"max_sequence_length": longest})


def asked_layout(spec: EngineBuildSpec, artifact: ArtifactStatus | None = None) -> Layout | None:
    """Layout of the spec, or of a checkpoint that is divided already; None if the planner chooses."""
    asked = spec.parallelism
    if asked is not None:
        return Layout(asked.tensor, asked.pipeline, asked.context, asked.moe_tensor, asked.moe_expert)
    if artifact is not None and artifact.checkpoint.format is CheckpointFormat.TENSORRT_LLM:
        return Layout(artifact.checkpoint.tensor, artifact.checkpoint.pipeline)
    return None


def algorithm_of(spec: EngineBuildSpec, facts: ModelFacts, artifact: ArtifactStatus | None = None) -> Algorithm:
    """Format of the weights that the engine or server computes with."""
    if artifact is not None and artifact.method is not Method.NONE:
        return ALGORITHM_OF[artifact.method]
    checkpoint = facts.details.checkpoint
    if artifact is None and checkpoint is not None:
        return algorithm_named(checkpoint.algorithm) or Algorithm.NONE
    return converted_algorithm(spec.convert or Convert())


def artifact_facts(artifact: ArtifactStatus | None, name: str) -> ArtifactFacts | None:
    """Facts about a QuantizedModel's artifact for the rules; None without one."""
    if artifact is None:
        return None
    checkpoint = artifact.checkpoint
    return ArtifactFacts(
        quantized=artifact.method is not Method.NONE,
        engine_format=checkpoint.format is CheckpointFormat.TENSORRT_LLM,
        tensor=checkpoint.tensor,
        pipeline=checkpoint.pipeline,
        name=name,
    )


def _question_limits(limits: AskedLimits) -> Limits:
    return Limits(
        max_seq_len=limits.max_sequence_length or DEFAULT_SEQUENCE,
        max_batch_size=limits.max_batch_size,
        max_input_len=limits.max_input_length,
        max_num_tokens=limits.max_tokens or DEFAULT_TOKENS,
        max_beam_width=limits.max_beam_width,
    )


def _kv_format(
    spec: EngineBuildSpec, facts: ModelFacts, artifact: ArtifactStatus | None, kv_cache: KVCache | None
) -> KvFormat:
    """Format of the KV cache: serving.options win over the checkpoint in PyTorch; an engine keeps its own."""
    checkpoint = facts.details.checkpoint if artifact is None else None
    name = kv_cache.value if kv_cache is not None else checkpoint.kv_cache if checkpoint is not None else None
    if name is None and spec.convert is not None and spec.convert.kv_cache is not None:
        name = spec.convert.kv_cache.value
    option = _cache_options(spec.serving).get("dtype")
    if spec.runtime is Runtime.PYTORCH and isinstance(option, str) and option.upper() in set(KvFormat):
        name = option.upper()
    return next((item for item in KvFormat if item == name), KvFormat.AUTO)


def _cache_options(serving: Serving | None) -> Mapping[str, Any]:
    found = serving.options.get("kv_cache_config") if serving is not None else None
    return found if isinstance(found, dict) else {}


def _options(build: Build, serving: Serving | None) -> Options:
    """Options with TensorRT-LLM's defaults; one that it silently switches off if unavailable counts as off."""
    cache = _cache_options(serving)
    draft = build.speculative_decoding
    swiglu = build.plugins.get("gemm_swiglu", PluginType.DISABLE)
    fraction = serving.kv_cache_fraction if serving is not None else None
    windows = cache.get("max_attention_window")
    drafts = serving.options.get("speculative_config") if serving is not None else None
    return Options(
        kv_fraction=float(fraction) if fraction is not None else 0.9,
        kv_cache_type=KvCacheType((build.kv_cache_type or "paged").lower()),
        tokens_per_block=build.tokens_per_block or 32,
        chunked_prefill=bool(serving is not None and serving.chunked_prefill),
        block_reuse=cache.get("enable_block_reuse") is True,
        paged_context_fmha=build.paged_context_attention is not False,
        context_fmha=build.context_attention is not False,
        fp8_context_fmha=build.fp8_context_attention is True,
        remove_input_padding=build.remove_input_padding is not False,
        gather_context_logits=build.gather_context_logits,
        multiple_profiles=build.multiple_profiles is True,
        opt_num_tokens=build.opt_tokens,
        gemm_swiglu_plugin=swiglu is not PluginType.DISABLE,
        fused_mlp=build.fused_mlp is not False,
        streaming_llm=any(item.split("=")[0] == "--streamingllm" for item in build.extra_args),
        speculation=SPECULATION[draft.mode] if draft is not None else None,
        max_draft_len=draft.max_draft_length if draft is not None else 0,
        drafts_with_own_layers=isinstance(drafts, dict) and str(drafts.get("decoding_type")).upper() == "MTP",
        attention_windows=tuple(item for item in windows if isinstance(item, int) and item > 0)
        if isinstance(windows, list)
        else (),
    )
