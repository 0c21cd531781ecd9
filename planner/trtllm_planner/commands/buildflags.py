"""Flags of trtllm-build per version (tensorrt_llm/commands/build.py, plugin/plugin.py)."""

from __future__ import annotations

from functools import lru_cache

from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Kind, label, newest, switches
from trtllm_planner.tensorrt_llm.versions import Version

LOG_LEVELS_0_20 = ("internal_error", "error", "warning", "info", "verbose", "debug")
LOG_LEVELS = (*LOG_LEVELS_0_20, "trace")
_TYPES = ("auto", "float16", "float32", "bfloat16", "int32", "disable")
_ON_OFF = ("enable", "disable")
LORA_MODULES = (
    "attn_qkv",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_dense",
    "mlp_h_to_4h",
    "mlp_4h_to_h",
    "mlp_gate",
    "cross_attn_qkv",
    "cross_attn_q",
    "cross_attn_k",
    "cross_attn_v",
    "cross_attn_dense",
    "moe_h_to_4h",
    "moe_4h_to_h",
    "moe_gate",
    "moe_router",
    "mlp_router",
    "mlp_gate_up",
)


def _integer(name: str, *aliases: str) -> Flag:
    return Flag(name, Kind.INTEGER, aliases=aliases)


def _plugin(name: str, choices: tuple[str, ...] = _TYPES) -> Flag:
    return Flag(f"--{name}_plugin", choices=choices)


def _feature(name: str) -> Flag:
    return Flag(f"--{name}", choices=_ON_OFF)


_COMMON: tuple[Flag, ...] = (
    Flag("--checkpoint_dir"),
    Flag("--model_config"),
    Flag("--build_config"),
    Flag("--model_cls_file"),
    Flag("--model_cls_name"),
    Flag("--output_dir"),
    _integer("--max_batch_size"),
    _integer("--max_input_len"),
    _integer("--max_seq_len", "--max_decoder_seq_len"),
    _integer("--max_beam_width"),
    _integer("--max_num_tokens"),
    _integer("--opt_num_tokens"),
    _integer("--max_encoder_input_len"),
    _integer("--max_prompt_embedding_table_size", "--max_multimodal_len"),
    Flag("--kv_cache_type", choices=("continuous", "paged", "disabled")),
    Flag("--paged_kv_cache"),
    Flag("--input_timing_cache"),
    Flag("--output_timing_cache"),
    Flag("--profiling_verbosity", choices=("layer_names_only", "detailed", "none")),
    *switches("--strip_plan", "--weight_sparsity", "--weight_streaming", "--fast_build"),
    *switches("--enable_debug_output", "--dry_run", "--monitor_memory"),
    _integer("--workers"),
    Flag("--visualize_network"),
    Flag("--logits_dtype", choices=("float16", "float32")),
    *switches("--gather_context_logits", "--gather_generation_logits", "--gather_all_token_logits"),
    Flag("--lora_dir", many=True),
    Flag("--lora_ckpt_source", choices=("hf", "nemo")),
    Flag("--lora_target_modules", choices=LORA_MODULES, many=True),
    _integer("--max_lora_rank"),
    Flag(
        "--speculative_decoding_mode",
        choices=("draft_tokens_external", "lookahead_decoding", "medusa", "explicit_draft_tokens", "eagle"),
    ),
    _integer("--max_draft_len"),
    _plugin("bert_attention"),
    _plugin("gpt_attention"),
    _plugin("gemm", (*_TYPES[:-1], "fp8", "nvfp4", "disable")),
    _plugin("gemm_swiglu", ("fp8", "disable")),
    _plugin("fp8_rowwise_gemm"),
    _plugin("nccl"),
    _plugin("lora"),
    Flag("--dora_plugin", choices=_ON_OFF),
    _plugin("moe"),
    _plugin("mamba_conv1d"),
    _plugin("low_latency_gemm", ("fp8", "disable")),
    _plugin("low_latency_gemm_swiglu", ("fp8", "disable")),
    _plugin("gemm_allreduce", ("float16", "bfloat16", "disable")),
    _feature("context_fmha"),
    _feature("bert_context_fmha_fp32_acc"),
    _feature("remove_input_padding"),
    _feature("norm_quant_fusion"),
    _feature("reduce_fusion"),
    _feature("user_buffer"),
    _integer("--tokens_per_block"),
    _feature("use_paged_context_fmha"),
    _feature("use_fp8_context_fmha"),
    _feature("fuse_fp4_quant"),
    _feature("multiple_profiles"),
    _feature("paged_state"),
    _feature("streamingllm"),
    _feature("use_fused_mlp"),
    _feature("pp_reduce_scatter"),
)
_LOG = Flag("--log_level", choices=LOG_LEVELS)
_AUTO_PARALLEL = (
    _integer("--auto_parallel"),
    _integer("--gpus_per_node"),
    Flag(
        "--cluster_key",
        choices=(
            *("A100-SXM-80GB", "A100-SXM-40GB", "A100-PCIe-80GB", "A100-PCIe-40GB", "H100-SXM", "H100-PCIe", "H20"),
            *("H200-SXM", "H200-NVL", "A40", "A30", "A10", "A10G", "L40S", "L40", "L20", "L4", "L2"),
        ),
    ),
)
BUILD_TABLES: tuple[tuple[Version, tuple[Flag, ...]], ...] = (
    (Version(0, 20, 0, 0), (*_COMMON, *_AUTO_PARALLEL, Flag(_LOG.name, choices=LOG_LEVELS_0_20))),
    (Version(1, 0, 0, 0), (*_COMMON, *_AUTO_PARALLEL, _LOG)),
    (Version(1, 2, 0, 2), (*_COMMON, _LOG)),
)
"""Oldest first. The automatic parallelism, and --gpus_per_node with it, is gone from 1.2 on."""

BUILD_OWNERS: dict[str, str] = {
    **dict.fromkeys(
        (
            "--checkpoint_dir",
            "--output_dir",
            "--input_timing_cache",
            "--output_timing_cache",
            "--model_config",
            "--build_config",
            "--dry_run",
        ),
        OPERATOR,
    ),
    "--workers": "build.workers",
    "--max_batch_size": "limits.maxBatchSize",
    "--max_input_len": "limits.maxInputLength",
    "--max_seq_len": "limits.maxSequenceLength",
    "--max_beam_width": "limits.maxBeamWidth",
    "--max_num_tokens": "limits.maxTokens",
    "--opt_num_tokens": "build.optTokens",
    "--max_prompt_embedding_table_size": "build.maxPromptEmbeddingTableSize",
    "--kv_cache_type": "build.kvCacheType",
    "--paged_kv_cache": "build.kvCacheType",
    "--tokens_per_block": "build.tokensPerBlock",
    "--profiling_verbosity": "build.profilingVerbosity",
    "--strip_plan": "build.stripPlan",
    "--weight_sparsity": "build.weightSparsity",
    "--weight_streaming": "build.weightStreaming",
    "--fast_build": "build.fastBuild",
    "--monitor_memory": "build.monitorMemory",
    "--logits_dtype": "build.logitsType",
    "--gather_context_logits": "build.gatherContextLogits",
    "--gather_generation_logits": "build.gatherGenerationLogits",
    "--gather_all_token_logits": "build.gatherContextLogits and build.gatherGenerationLogits",
    "--lora_dir": "build.lora.directories",
    "--lora_ckpt_source": "build.lora.source",
    "--lora_target_modules": "build.lora.targetModules",
    "--max_lora_rank": "build.lora.maxRank",
    "--speculative_decoding_mode": "build.speculativeDecoding.mode",
    "--max_draft_len": "build.speculativeDecoding.maxDraftLength",
    "--context_fmha": "build.contextAttention",
    "--use_paged_context_fmha": "build.pagedContextAttention",
    "--use_fp8_context_fmha": "build.fp8ContextAttention",
    "--remove_input_padding": "build.removeInputPadding",
    "--use_fused_mlp": "build.fusedMlp",
    "--multiple_profiles": "build.multipleProfiles",
    "--auto_parallel": "parallelism",
    "--gpus_per_node": OPERATOR,
    "--cluster_key": "gpu.product",
    **{
        flag.name: f"build.plugins.{flag.name[2:].removesuffix('_plugin')}"
        for flag in _COMMON
        if flag.name.endswith("_plugin") and flag.name != "--dora_plugin"
    },
}

BUILD_REPLACED: dict[str, str] = {
    "--max_output_len": "set limits.maxSequenceLength, which counts prompt and answer",
    "--use_custom_all_reduce": "leave it out; TensorRT-LLM chooses the all-reduce",
    "--multi_block_mode": "leave it out; it is always on",
    "--enable_xqa": "leave it out; it is always on",
    "--strongly_typed": "leave it out; it is always on",
    "--use_inflight_batching": "leave it out; it is always on",
    "--enable_context_fmha": "set build.contextAttention",
    "--enable_context_fmha_fp32_acc": "leave it out; context attention accumulates in FP32",
    "--context_fmha_fp32_acc": "leave it out; context attention accumulates in FP32",
    "--use_gpt_attention_plugin": "set build.plugins.gpt_attention",
    "--use_gemm_plugin": "set build.plugins.gemm",
    "--use_lora_plugin": "set build.lora",
    "--use_weight_only": "set convert.weightOnly: weights are quantized by the conversion",
    "--weight_only_precision": "set convert.weightOnly: weights are quantized by the conversion",
    "--use_smooth_quant": "set convert.smoothQuant: weights are quantized by the conversion",
    "--int8_kv_cache": "set convert.kvCache: scales are found by the conversion",
    "--fp8_kv_cache": "set convert.kvCache: scales are found by the conversion",
    "--per_group": "leave it out; the conversion sets it for GPTQ checkpoints",
    "--dtype": "set convert.dataType",
    "--world_size": "set parallelism",
    "--tp_size": "set parallelism.tensor",
    "--pp_size": "set parallelism.pipeline",
    "--auto_parallel": "set parallelism, or leave it out: it is planned",
    "--gather_all_token_logits": "set build.gatherContextLogits and build.gatherGenerationLogits",
}
"""Flags of older versions and of the conversion, and their replacements."""


@lru_cache(maxsize=64)
def build_table(version: Version | None) -> FlagTable:
    """Flags of trtllm-build in a version."""
    return FlagTable("trtllm-build", label(version), newest(BUILD_TABLES, version), BUILD_OWNERS, BUILD_REPLACED)
