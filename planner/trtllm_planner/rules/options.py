"""The rule FeatureCombinations: options that exclude each other, need each other, or are switched off silently."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.rules.platform import sm_list
from trtllm_planner.tensorrt_llm.versions import FP8_FMHA, GROUPED, Algorithm, EngineRuntime, KvFormat, table_for

GROUP_SIZES = (64, 128)
"""Group sizes for which kernels exist."""
BLACKWELL = (10, 0)


def _refusal(message: str, remedy: str) -> Verdict:
    return refusal(Reason.OPTIONS_CONFLICT, message, remedy)


def _warning(message: str, remedy: str) -> Verdict:
    return warning(Reason.OPTIONS_CONFLICT, message, remedy)


def feature_combinations(question: EngineQuestion) -> Iterator[Verdict]:
    """Everything that TensorRT-LLM refuses late, or changes without a word."""
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
            yield _refusal("KV cache reuse cannot be combined with an INT8 KV cache", "use FP8, or no reuse")
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
            "use kv_cache_type paged and remove_input_padding",
        )
    paged_context = options.paged_context_fmha and options.context_fmha
    for name, on in (("KV cache reuse", options.block_reuse), ("chunked prefill", options.chunked_prefill)):
        if on and not paged_context:
            yield _refusal(f"{name} needs paged context attention", "enable use_paged_context_fmha and context_fmha")
        elif on and question.kv_cache is KvFormat.INT8 and name == "chunked prefill":
            yield _refusal(
                "chunked prefill needs paged context attention, which an INT8 KV cache switches off",
                "use an FP8 KV cache, or no chunked prefill",
            )
    if options.multiple_profiles and options.opt_num_tokens is not None:
        yield _refusal("multiple_profiles cannot be combined with opt_num_tokens", "leave one of them out")
    if options.gemm_swiglu_plugin and not options.fused_mlp:
        yield _refusal("gemm_swiglu_plugin needs use_fused_mlp", "enable use_fused_mlp, or leave the plugin out")
    if options.streaming_llm:
        yield _refusal("streamingllm is rejected by every engine build", "leave it out")
    if paged_context and question.kv_cache is KvFormat.INT8:
        yield _warning(
            "OptionsDowngraded: paged context attention is switched off beside an INT8 KV cache",
            "disable it, or use an FP8 KV cache",
        )
    if options.fp8_context_fmha:
        native = gpu is None or gpu.capability >= (8, 9)
        if question.algorithm not in FP8_FMHA or not native:
            why = (
                f"beside {question.algorithm}"
                if question.algorithm not in FP8_FMHA
                else f"on {gpu.sm if gpu else 'this GPU'}"
            )
            yield _warning(
                f"OptionsDowngraded: use_fp8_context_fmha is switched off {why}",
                "disable it, or use FP8, W4A8_AWQ or NVFP4 on SM89 or newer",
            )
