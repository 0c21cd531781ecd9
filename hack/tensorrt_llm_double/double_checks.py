"""Checks of convert_checkpoint.py and trtllm-build after parsing.

The cases are coded here, by the text that the facts have for each; whether a release has the check, its exception and
its words come from the facts (double_upstream.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from double_upstream import Program

_Case = tuple[str, bool]
_OFF = (None, "disable")
_SM100 = ("gemm_swiglu_plugin", "fp8_rowwise_gemm_plugin", "low_latency_gemm_plugin", "low_latency_gemm_swiglu_plugin")
_FP8_ATTENTION = frozenset({"FP8", "W4A8_AWQ", "NVFP4"})
_ADA = (8, 9)


def check_conversion(program: Program, args: argparse.Namespace, config: Mapping[str, Any]) -> None:
    """Raise the errors of a family's script for its arguments and the model's config.json."""
    given = vars(args)
    for when, so in _conversion(given, config):
        if so:
            sizes = [given.get(name, 1) for name in ("tp_size", "pp_size", "cp_size")]
            program.refuse(when, {"n": sizes[0] * sizes[1]})


def _conversion(given: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[_Case]:
    tensor, stages = given.get("tp_size", given.get("world_size", 1)), given.get("pp_size", 1)
    packed = given.get("use_weight_only") and given.get("weight_only_precision") in {"int4_gptq", "int8_gptq"}
    path, calibrates = given.get("quant_ckpt_path"), given.get("smoothquant") or given.get("int8_kv_cache")
    experts = given.get("moe_tp_size", -1), given.get("moe_ep_size", -1)
    yield (
        "--moe_tp_size * --moe_ep_size is not --tp_size (both given)",
        min(experts) > 0 and experts[0] * experts[1] != tensor,
    )
    yield "--model_dir and --meta_ckpt_dir both", bool(given.get("model_dir") and given.get("meta_ckpt_dir"))
    yield (
        "--quant_ckpt_path and neither --weight_only_precision int4_gptq or int8_gptq nor --use_qserve",
        bool(path and not packed and not given.get("use_qserve")),
    )
    yield "--quant_ckpt_path without int4_gptq", bool(path and not packed)
    yield "--weight_only_precision int4_gptq without --quant_ckpt_path", bool(packed and not path)
    yield "--load_by_shard with --smoothquant or --int8_kv_cache", bool(given.get("load_by_shard") and calibrates)
    yield "--cp_size > 1 with --smoothquant or --int8_kv_cache", bool(given.get("cp_size", 1) > 1 and calibrates)
    yield "--pp_size other than 1", stages != 1
    cut = given.get("use_parallel_embedding") and given.get("embedding_sharding_dim") == 0
    yield (
        "--use_parallel_embedding with --embedding_sharding_dim 0 and a vocabulary that tp_size does not divide",
        bool(cut and config.get("vocab_size", 0) % tensor),
    )
    yield (
        "--use_weight_only without --weight_only_precision",
        bool(given.get("use_weight_only") and given.get("weight_only_precision") is None),
    )
    kept = config.get("num_key_value_heads") or config.get("num_attention_heads") or tensor
    yield "tp_size times the head size does not divide the rows of K or V", kept % tensor != 0


def check_build(
    program: Program, args: argparse.Namespace, config: Mapping[str, Any], capability: tuple[int, int]
) -> None:
    """Raise the errors of trtllm-build for its arguments, the checkpoint's config.json and the GPU."""
    given, quantization = vars(args), config.get("quantization") or {}
    words = {name: given.get(name) for name in ("gemm_swiglu_plugin", "low_latency_gemm_swiglu_plugin")}
    for when, so in _build(given, config):
        if so:
            program.refuse(when, words)
    _check_plugins(program, given, capability)
    _check_precision(program, quantization, capability)


def _check_plugins(program: Program, given: Mapping[str, Any], capability: tuple[int, int]) -> None:
    """Refuse plugins that SM 100 lacks."""
    for name in (*_SM100, "bert_context_fmha_fp32_acc") if capability == (10, 0) else ():
        if given.get(name) not in _OFF:
            when = next(check.when for check in program.checks if check.when.startswith("a plugin that compute capab"))
            program.refuse(when, {"plugin": name, "value": given[name], "sm": 100})


def _check_precision(program: Program, quantization: Mapping[str, Any], capability: tuple[int, int]) -> None:
    """Refuse integer formats on data-centre Blackwell, which has no kernels for them."""
    algorithm, cache = quantization.get("quant_algo") or "", quantization.get("kv_cache_quant_algo")
    if not (10, 0) <= capability < (12, 0):
        return
    if algorithm in {"W8A16", "W4A16"} or cache == "INT8":
        program.refuse("SM >= 100 and < 120, and INT8 or INT4 weight-only or an INT8 KV cache")
    if algorithm.startswith("W8A8_SQ"):
        program.refuse("SM >= 100 and < 120, and SmoothQuant")
    if algorithm == "FP8_PER_CHANNEL_PER_TOKEN":
        program.refuse("SM >= 100 and < 120, and per-channel or per-token scaling")


def _build(given: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[_Case]:
    architecture, mapping = config.get("architecture"), config.get("mapping") or {}
    gathers = given["gather_context_logits"] or given["gather_all_token_logits"]
    yield (
        "--gather_context_logits (or --gather_all_token_logits) together with --max_draft_len > 0",
        bool(gathers and given["max_draft_len"] > 0),
    )
    yield "--model_cls_file without --model_cls_name", bool(given["model_cls_file"] and not given["model_cls_name"])
    yield "neither --checkpoint_dir nor --model_config", not (given["checkpoint_dir"] or given["model_config"])
    profiles = given["multiple_profiles"] == "enable" and given["opt_num_tokens"] is not None
    yield "--multiple_profiles enable together with --opt_num_tokens, no --build_config", profiles
    planned = given.get("auto_parallel", 1) > 1
    yield "--auto_parallel > 1 with a checkpoint of more than one rank", planned and mapping.get("world_size", 1) > 1
    streams = given["streamingllm"] == "enable"
    yield "--streamingllm enable", streams
    yield (
        "--streamingllm enable and another architecture than LlamaForCausalLM",
        streams and architecture != "LlamaForCausalLM",
    )
    yield (
        "--pp_reduce_scatter enable and another architecture than MixtralForCausalLM",
        given["pp_reduce_scatter"] == "enable" and architecture != "MixtralForCausalLM",
    )
    yield from _kernels(given, config)
    eagle = given["speculative_decoding_mode"] == "eagle"
    yield (
        "--speculative_decoding_mode eagle and a checkpoint without num_eagle_layers",
        eagle and "num_eagle_layers" not in config,
    )
    yield "--speculative_decoding_mode eagle and max_batch_size > 512", eagle and given["max_batch_size"] > 512
    yield "--speculative_decoding_mode eagle and max_draft_len > 256", eagle and given["max_draft_len"] > 256
    old = given.get("paged_kv_cache") not in (None, "disable")
    yield "--kv_cache_type contradicts --paged_kv_cache", old and given.get("kv_cache_type", "paged") != "paged"


def _kernels(given: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[_Case]:
    swiglu = [given[name] for name in ("gemm_swiglu_plugin", "low_latency_gemm_swiglu_plugin")]
    some = any(value not in _OFF for value in swiglu)
    yield (
        "gemm_swiglu_plugin or low_latency_gemm_swiglu_plugin with --use_fused_mlp disable",
        some and not fused_mlp(given, config),
    )
    yield (
        "gemm_swiglu_plugin and low_latency_gemm_swiglu_plugin both other than fp8, one set",
        some and "fp8" not in swiglu,
    )
    unpadded = given["remove_input_padding"] == "enable" and given["context_fmha"] == "enable"
    yield (
        "--remove_input_padding disable or --context_fmha disable, and no max_input_len",
        (not unpadded and given["max_input_len"] is None),
    )
    ootb = config.get("disable_weight_only_quant_plugin", False)
    yield (
        "--fast_build and weight-only weights converted with --disable_weight_only_quant_plugin",
        bool(given["fast_build"] and ootb),
    )


def fused_mlp(given: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """True if the MLP is fused: quantized weights other than FP8 disable that without a message."""
    algorithm = (config.get("quantization") or {}).get("quant_algo")
    return given["use_fused_mlp"] == "enable" and algorithm in {None, "FP8", "MIXED_PRECISION"}


def attention_features(
    given: Mapping[str, Any], config: Mapping[str, Any], capability: tuple[int, int]
) -> Mapping[str, bool]:
    """Features of context attention after trtllm-build has disabled conflicting ones without a message."""
    quantization = config.get("quantization") or {}
    algorithm, cache = quantization.get("quant_algo"), quantization.get("kv_cache_quant_algo")
    context = given["context_fmha"] == "enable"
    paged = context and given["use_paged_context_fmha"] == "enable" and given["streamingllm"] != "enable"
    native = algorithm in _FP8_ATTENTION and capability >= _ADA
    eight = context and given["use_fp8_context_fmha"] == "enable" and native
    if cache == "FP8" and not native:
        paged = False
    if cache == "INT8":
        paged = False
    if paged and cache != "FP8":
        eight = False
    if paged and cache == "FP8":
        eight = True
    if given["speculative_decoding_mode"] == "eagle":
        paged = True
    return {"context_fmha": context, "use_paged_context_fmha": paged, "use_fp8_context_fmha": eight}
