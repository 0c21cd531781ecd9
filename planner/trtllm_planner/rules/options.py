"""The rule feature_combinations: options that exclude each other, need each other, or are switched off silently."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import PluginType
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.rules.platform import sm_list
from trtllm_planner.tensorrt_llm.versions import FP8_FMHA, GROUPED, Algorithm, EngineRuntime, KvFormat, table_for

GROUP_SIZES = (64, 128)
"""Group sizes for which kernels exist."""
BLACKWELL, GEFORCE = (10, 0), (12, 0)
"""First compute capabilities of data-centre and of consumer Blackwell."""
ADA = (8, 9)
NOT_ON_BLACKWELL = ("fp8_rowwise_gemm", "gemm_swiglu", "low_latency_gemm", "low_latency_gemm_swiglu")
"""Plugins that trtllm-build refuses on compute capability 10.0."""
FUSED_MLP = frozenset({Algorithm.NONE, Algorithm.FP8, Algorithm.MIXED})
"""Formats of weights that allow the fused MLP."""
OWN_CHECKPOINTS = {"eagle": "Eagle", "medusa": "Medusa", "explicit_draft_tokens": "ExplicitDraftTokens"}
"""Modes of speculative decoding whose draft heads are part of the checkpoint, as spec.build names them."""


def _refusal(message: str, remedy: str) -> Verdict:
    return refusal(Reason.OPTIONS_CONFLICT, message, remedy)


def _warning(message: str, remedy: str) -> Verdict:
    return warning(Reason.OPTIONS_CONFLICT, message, remedy)


def feature_combinations(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse what TensorRT-LLM refuses late, and warn of options that it changes silently."""
    yield from _kv_cache(question)
    if question.algorithm in GROUPED and question.group not in GROUP_SIZES:
        yield _refusal(
            f"{question.algorithm} with group size {question.group} has no kernel", "use group size 64 or 128"
        )
    if question.runtime is EngineRuntime.TENSORRT:
        yield from _engine(question)
    elif (
        question.algorithm is Algorithm.W4A16_AWQ
        and question.kv_cache is KvFormat.FP8
        and (question.options.block_reuse or question.options.chunked_prefill)
    ):
        yield _warning(
            "W4A16_AWQ with an FP8 KV cache and paged context attention finds no kernels in some images",
            "leave the KV cache at its own precision if loading fails, or use a newer image",
        )


def _kv_cache(question: EngineQuestion) -> Iterator[Verdict]:
    kv, gpu = question.kv_cache, question.gpu
    if kv is KvFormat.INT8:
        if question.runtime is EngineRuntime.PYTORCH:
            yield _refusal("the PyTorch runtime has no INT8 KV cache", "use an FP8 KV cache, or runtime TensorRT")
        if question.options.block_reuse:
            yield _refusal("reuse of the KV cache cannot be combined with an INT8 KV cache", "use FP8, or no reuse")
        if gpu is not None and BLACKWELL <= gpu.capability < GEFORCE:
            yield _refusal(
                f"an INT8 KV cache has no kernels on {gpu.sm}, and {gpu.product} is {gpu.sm}", "use an FP8 KV cache"
            )
        if not question.calibrated:
            yield _refusal(
                "an INT8 KV cache without calibrated scales answers garbage", "calibrate the model, or leave it out"
            )
    fp8_gpus = table_for(question.image.version).fp8_kv_cache
    if kv is KvFormat.FP8 and gpu is not None and gpu.capability not in fp8_gpus:
        yield _refusal(
            f"an FP8 KV cache needs {sm_list(fp8_gpus)}; {gpu.product} is {gpu.sm}",
            "leave the KV cache at its own precision",
        )
    if kv is KvFormat.NVFP4:
        if question.algorithm is Algorithm.FP8_BLOCK:
            yield _refusal("FP8_BLOCK_SCALES cannot be combined with an NVFP4 KV cache", "use an FP8 KV cache")
        if question.runtime is EngineRuntime.TENSORRT:
            yield _refusal("the TensorRT runtime has no NVFP4 KV cache", "use FP8, or runtime PyTorch")
        if gpu is not None and gpu.capability < BLACKWELL:
            yield _refusal(f"an NVFP4 KV cache needs SM100 or newer; {gpu.product} is {gpu.sm}", "use an FP8 KV cache")


def _engine(question: EngineQuestion) -> Iterator[Verdict]:
    options, gpu = question.options, question.gpu
    if options.kv_cache_type is not KvCacheType.PAGED or not options.remove_input_padding:
        yield _refusal(
            f"in-flight batching needs packed input and a paged KV cache, not {options.kv_cache_type}"
            + ("" if options.remove_input_padding else " with padded input"),
            "set build.kvCacheType Paged and build.removeInputPadding true",
        )
    paged_context = options.paged_context_fmha and options.context_fmha
    lost = _paged_attention_lost(question)
    for name, on in (("KV cache reuse", options.block_reuse), ("chunked prefill", options.chunked_prefill)):
        if on and not paged_context:
            yield _refusal(
                f"{name} needs paged context attention",
                "set build.pagedContextAttention and build.contextAttention true",
            )
        elif on and lost is not None and (name == "chunked prefill" or question.kv_cache is KvFormat.FP8):
            yield _refusal(
                f"{name} needs paged context attention, which {lost} switches off",
                f"use another format of the KV cache, or no {name}",
            )
    if options.multiple_profiles and options.opt_num_tokens is not None:
        yield _refusal("build.multipleProfiles cannot be combined with build.optTokens", "leave one of them out")
    if options.gemm_swiglu_plugin and not options.fused_mlp:
        yield _refusal(
            "build.plugins.gemm_swiglu needs build.fusedMlp", "set build.fusedMlp true, or leave the plugin out"
        )
    elif options.gemm_swiglu_plugin and question.algorithm not in FUSED_MLP:
        yield _refusal(
            f"build.plugins.gemm_swiglu needs build.fusedMlp, which weights of {question.algorithm} switch off",
            "leave the plugin out",
        )
    if options.streaming_llm:
        yield _refusal(
            "TensorRT-LLM 1.0 and newer refuse --streamingllm, and 0.20 has it for Llama only", "leave it out"
        )
    if options.speculation in OWN_CHECKPOINTS:
        mode = OWN_CHECKPOINTS[options.speculation]
        yield _refusal(
            f"build.speculativeDecoding.mode {mode} needs draft heads in the checkpoint, which neither the "
            "conversion nor a QuantizedModel makes",
            "use mode DraftTokensExternal or LookaheadDecoding; or runtime PyTorch with "
            "serving.options.speculative_config",
        )
    if paged_context and lost is not None:
        yield _warning(
            f"paged context attention (build.pagedContextAttention) is switched off by {lost}",
            "set build.pagedContextAttention false, or use another format of the KV cache",
        )
    if gpu is not None and gpu.capability == BLACKWELL and question.build is not None:
        for name in NOT_ON_BLACKWELL:
            if question.build.plugins.get(name, PluginType.DISABLE) is not PluginType.DISABLE:
                yield _refusal(f"the plugin {name} is not supported on {gpu.sm}", f"leave build.plugins.{name} out")
    if options.fp8_context_fmha:
        native = gpu is None or gpu.capability >= ADA
        if question.algorithm not in FP8_FMHA or not native:
            why = (
                f"with weights of {question.algorithm}"
                if question.algorithm not in FP8_FMHA
                else f"on {gpu.sm if gpu else 'this GPU'}"
            )
            yield _warning(
                f"build.fp8ContextAttention is switched off {why}",
                "leave it out, or use FP8, W4A8_AWQ or NVFP4 on SM89 or newer",
            )


def _paged_attention_lost(question: EngineQuestion) -> str | None:
    """Reason why trtllm-build switches paged context attention off, as a noun phrase; None if it does not."""
    if question.kv_cache is KvFormat.INT8:
        return "an INT8 KV cache"
    if question.kv_cache is not KvFormat.FP8:
        return None
    if question.algorithm not in FP8_FMHA:
        return f"an FP8 KV cache with weights of {question.algorithm}"
    old = question.gpu is not None and question.gpu.capability < ADA
    return f"an FP8 KV cache on {question.gpu.sm}" if old and question.gpu is not None else None
