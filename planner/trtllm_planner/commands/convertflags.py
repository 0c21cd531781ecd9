"""Flags of convert_checkpoint.py per family of models and version (TensorRT-LLM's examples/models)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Kind, label, newest, switches
from trtllm_planner.tensorrt_llm.versions import Version

_AUTO_TYPES = ("auto", "float16", "bfloat16", "float32")
_TYPES = ("float32", "bfloat16", "float16")
GPT_VARIANTS = ("gpt2", "santacoder", "starcoder", "starcoder2", "persimmon", "kosmos-2", "nemotron")


def _integer(name: str, *choices: str) -> Flag:
    return Flag(name, Kind.INTEGER, choices)


def _type(choices: tuple[str, ...]) -> Flag:
    return Flag("--dtype", choices=choices)


def _weight_only(*precisions: str) -> tuple[Flag, ...]:
    return (*switches("--use_weight_only"), Flag("--weight_only_precision", choices=precisions))


def _calibration(data: str = "ccdv/cnn_dailymail") -> Flag:
    return Flag("--calib_dataset", default=data)


_PATHS = (Flag("--model_dir"), Flag("--output_dir"))
_PARALLEL = (_integer("--tp_size"), _integer("--pp_size"))
_CONTEXT = (_integer("--cp_size"),)
_MOE = (_integer("--moe_tp_size"), _integer("--moe_ep_size"))
_WORKERS = (_integer("--workers"),)
_EMBEDDING = (*switches("--use_parallel_embedding"), _integer("--embedding_sharding_dim", "0", "1"))
_LOG = (Flag("--log_level"),)
_SMOOTH = (Flag("--smoothquant", Kind.NUMBER, aliases=("-sq",)), *switches("--per_channel", "--per_token"))
_INT8_CACHE = tuple(switches("--int8_kv_cache"))
_GROUPS = (*switches("--per_group"), _integer("--group_size"))
_ON_CPU = tuple(switches("--load_model_on_cpu"))
_BY_SHARD = tuple(switches("--load_by_shard"))
_NO_PLUGIN = tuple(switches("--disable_weight_only_quant_plugin"))
_QUANTIZED = (Flag("--quant_ckpt_path"),)
_LOGITS = (Flag("--logits_dtype", choices=("float16", "float32")),)

_LLAMA: tuple[Flag, ...] = (
    *_PATHS,
    Flag("--meta_ckpt_dir"),
    *_PARALLEL,
    *_CONTEXT,
    *_MOE,
    _type(_AUTO_TYPES),
    _integer("--vocab_size"),
    _integer("--n_positions"),
    _integer("--n_layer"),
    _integer("--n_head"),
    _integer("--n_kv_head"),
    _integer("--n_embd"),
    _integer("--inter_size"),
    _integer("--multiple_of"),
    Flag("--ffn_dim_multiplier", Kind.NUMBER),
    Flag("--rms_norm_eps", Kind.NUMBER),
    *_weight_only("int8", "int4", "int8_gptq", "int4_gptq", "int4_awq"),
    *_NO_PLUGIN,
    _calibration(),
    _integer("--calib_size"),
    _integer("--calib_max_seq_length"),
    *_SMOOTH,
    *_INT8_CACHE,
    *switches("--use_qserve", "--fp8_kv_cache", "--use_fp8"),
    *_QUANTIZED,
    *switches("--use_fp8_rowwise", "--use_meta_fp8_rowwise_recipe"),
    *_GROUPS,
    *_BY_SHARD,
    Flag("--hidden_act"),
    Flag("--rotary_base", Kind.NUMBER),
    *_ON_CPU,
    *_EMBEDDING,
    *_WORKERS,
    _integer("--moe_num_experts"),
    _integer("--moe_top_k"),
    _integer("--moe_renorm_mode"),
    *switches("--save_config_only", "--remove_duplicated_kv_heads"),
    *_LOG,
)
_QWEN: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    *_CONTEXT,
    *_MOE,
    _type(_AUTO_TYPES),
    *_weight_only("int8", "int4", "int4_gptq"),
    *_NO_PLUGIN,
    _calibration(),
    *_SMOOTH,
    *_INT8_CACHE,
    *_GROUPS,
    *_ON_CPU,
    *_EMBEDDING,
    *_WORKERS,
)
_GEMMA: tuple[Flag, ...] = (
    Flag("--ckpt-type", choices=("jax", "keras", "torch", "hf")),
    Flag("--model-dir"),
    Flag("--output-model-dir"),
    _integer("--world-size"),
    Flag("--use-weight-only-with-precision", choices=("int8", "int4", "w4a8_awq", "w4a16_awq")),
    *switches("--use-int8-weight-only-embedding"),
    _type(_AUTO_TYPES),
    *switches("--enable_fp8", "--fp8_kv_cache"),
    *_QUANTIZED,
    _calibration(),
    *switches("--use_smooth_quant"),
    Flag("--int8_kv_cache", Kind.SWITCH, aliases=("--calibrate_kv_cache", "-kv")),
    *switches("--per_channel", "--per_token"),
    Flag("--smoothquant", Kind.NUMBER, aliases=("--use_smooth_quant_plugin", "-sq")),
    Flag("--tokenizer_dir"),
    *_ON_CPU,
)
"""Flags of Gemma's script in the spellings that all releases have."""
_PHI: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_AUTO_TYPES),
    *_weight_only("int8", "int4"),
    *_MOE,
    *_WORKERS,
)
_GPT: tuple[Flag, ...] = (
    *_PATHS,
    Flag("--nemo_ckpt_path"),
    Flag("--gpt_variant", choices=GPT_VARIANTS),
    *_PARALLEL,
    _type(_AUTO_TYPES),
    *_ON_CPU,
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    _calibration("lambada"),
    *_SMOOTH,
    *_INT8_CACHE,
    Flag("--dataset_cache_dir"),
    *_WORKERS,
    *_LOG,
    Flag("--nemo_rename_key", many=True),
)
_FALCON: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_AUTO_TYPES),
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    *_BY_SHARD,
    *_WORKERS,
    *_LOG,
)
_GPT_NEOX: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES),
    *_weight_only("int8", "int4", "int4_gptq"),
    *_QUANTIZED,
    *_EMBEDDING,
    *_WORKERS,
)
_INTERNLM2: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES),
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    *_WORKERS,
    *_LOG,
)
_BAICHUAN: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    Flag("--model_version", choices=("v1_7b", "v1_13b", "v2_7b", "v2_13b")),
    _type(_AUTO_TYPES),
    *_LOGITS,
    *_weight_only("int8", "int4", "int4_gptq"),
    *_QUANTIZED,
    _calibration(),
    *_SMOOTH,
    *_INT8_CACHE,
    _integer("--group_size"),
    *_WORKERS,
)
_BLOOM: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES),
    *_weight_only("int8", "int4"),
    *_EMBEDDING,
    _calibration("lambada"),
    *_SMOOTH,
    *_INT8_CACHE,
    *_WORKERS,
    *_LOG,
)
_GPTJ: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_AUTO_TYPES),
    _integer("--vocab_size"),
    _integer("--n_positions"),
    _integer("--n_layer"),
    _integer("--n_head"),
    _integer("--n_embd"),
    Flag("--norm_eps", Kind.NUMBER),
    _integer("--rotary_dim"),
    *_weight_only("int8", "int4"),
    *_WORKERS,
)
_MPT: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES),
    *_LOGITS,
    *_EMBEDDING,
    _calibration(),
    Flag("--calibrate_kv_cache", Kind.SWITCH, aliases=("-kv",)),
    *_SMOOTH,
    Flag("--dataset_cache_dir"),
    *_weight_only("int8", "int4"),
    *_WORKERS,
)
_OPT: tuple[Flag, ...] = (
    *_PATHS,
    Flag("--model_type", choices=("opt", "blip2")),
    *_PARALLEL,
    _type(_TYPES),
    *_weight_only("int8", "int4"),
    *_EMBEDDING,
    *_WORKERS,
)

_FIRST = Version(0, 20, 0, 0)
CONVERT_TABLES: Mapping[str, tuple[tuple[Version, tuple[Flag, ...]], ...]] = {
    "llama": ((_FIRST, _LLAMA), (Version(1, 3, 0, 3), (*_LLAMA, *switches("--use_nvfp4")))),
    **{
        family: ((_FIRST, flags),)
        for family, flags in {
            "qwen": _QWEN,
            "gemma": _GEMMA,
            "phi": _PHI,
            "gpt": _GPT,
            "falcon": _FALCON,
            "gptneox": _GPT_NEOX,
            "internlm2": _INTERNLM2,
            "baichuan": _BAICHUAN,
            "bloom": _BLOOM,
            "gptj": _GPTJ,
            "mpt": _MPT,
            "opt": _OPT,
        }.items()
    },
}
"""Flags of each family's script by version, the oldest first."""
ONE_STAGE = frozenset({"bloom", "gemma", "gptneox", "opt", "phi"})
"""Families whose scripts refuse pipeline parallelism."""
WHOLE_VOCABULARY = frozenset({"bloom", "gptneox", "mpt"})
"""Families whose scripts cut a parallel embedding along the vocabulary only if tensor parallelism divides it."""

SCRIPTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "LlamaForCausalLM",
            "MistralForCausalLM",
            "MixtralForCausalLM",
            "ExaoneForCausalLM",
            "GraniteForCausalLM",
            "InternLMForCausalLM",
            "SkyworkForCausalLM",
        ),
        "llama",
    ),
    **dict.fromkeys(
        (
            "QWenForCausalLM",
            "QWenLMHeadModel",
            "Qwen2ForCausalLM",
            "Qwen2MoeForCausalLM",
            "Qwen2VLForConditionalGeneration",
            "Qwen3ForCausalLM",
            "Qwen3MoeForCausalLM",
        ),
        "qwen",
    ),
    **dict.fromkeys(("GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM"), "gemma"),
    **dict.fromkeys(
        (
            "PhiForCausalLM",
            "Phi3ForCausalLM",
            "Phi3SmallForCausalLM",
            "Phi3VForCausalLM",
            "Phi4MMForCausalLM",
            "PhiMoEForCausalLM",
        ),
        "phi",
    ),
    **dict.fromkeys(
        ("GPT2LMHeadModel", "GPTBigCodeForCausalLM", "Starcoder2ForCausalLM", "NemotronForCausalLM"), "gpt"
    ),
    **dict.fromkeys(("FalconForCausalLM", "RWForCausalLM"), "falcon"),
    "GPTNeoXForCausalLM": "gptneox",
    **dict.fromkeys(("InternLM2ForCausalLM", "InternLMXComposer2ForCausalLM"), "internlm2"),
    **dict.fromkeys(("BaichuanForCausalLM", "BaiChuanForCausalLM"), "baichuan"),
    "BloomForCausalLM": "bloom",
    "GPTJForCausalLM": "gptj",
    **dict.fromkeys(("MPTForCausalLM", "MptForCausalLM"), "mpt"),
    "OPTForCausalLM": "opt",
}
"""Family of the script that converts an architecture."""

CONVERT_OWNERS: dict[str, str] = {
    **dict.fromkeys(
        ("--model_dir", "--output_dir", "--model-dir", "--output-model-dir", "--ckpt-type", "--save_config_only"),
        OPERATOR,
    ),
    "--tp_size": "parallelism.tensor",
    "--world-size": "parallelism.tensor",
    "--pp_size": "parallelism.pipeline",
    "--cp_size": "parallelism.context",
    "--moe_tp_size": "parallelism.moeTensor",
    "--moe_ep_size": "parallelism.moeExpert",
    "--dtype": "convert.dataType",
    "--use_weight_only": "convert.weightOnly",
    "--weight_only_precision": "convert.weightOnly",
    "--use-weight-only-with-precision": "convert.weightOnly",
    "--smoothquant": "convert.smoothQuant.alpha",
    "--per_channel": "convert.smoothQuant.perChannel",
    "--per_token": "convert.smoothQuant.perToken",
    "--int8_kv_cache": "convert.kvCache",
    "--fp8_kv_cache": "convert.kvCache",
    "--calibrate_kv_cache": "convert.kvCache",
    "--calib_dataset": "convert.calibration",
    "--calib_size": "convert.calibrationSamples",
    "--use_parallel_embedding": "convert.parallelEmbedding",
    "--embedding_sharding_dim": "convert.embeddingShardingDimension",
    "--load_by_shard": "convert.loadByShard",
    "--load_model_on_cpu": "convert.loadOnCpu",
    "--workers": "convert.workers",
}
CONVERT_SHARED = frozenset({"--use_weight_only", "--weight_only_precision"})
"""Flags that extraArgs may also set, for GPTQ weights: --weight_only_precision=int4_gptq with --quant_ckpt_path."""
CONVERT_REPLACED: dict[str, str] = {
    "--use_smooth_quant": "set convert.smoothQuant",
    "--use_weight_only": "set convert.weightOnly",
    "--weight_only_precision": "set convert.weightOnly",
    "--data_type": "set convert.dataType",
    "--tensor_parallelism": "set parallelism.tensor",
    "--world_size": "set parallelism",
    "--use_embedding_sharing": "leave it out; TensorRT-LLM shares equal embeddings",
    "--ammo_quant_ckpt_path": "quantize with a QuantizedModel of checkpoint.format TensorRTLLM",
    "--max_seq_len": "set limits.maxSequenceLength: it belongs to the build",
    "--max_batch_size": "set limits.maxBatchSize: it belongs to the build",
}


def convert_script(architecture: str) -> str | None:
    """Family of the script that converts an architecture; None if there is no script."""
    return SCRIPTS.get(architecture)


@lru_cache(maxsize=64)
def convert_table(family: str, version: Version | None) -> FlagTable:
    """Flags of a family's convert_checkpoint.py in a version."""
    flags = newest(CONVERT_TABLES[family], version)
    program = f"convert_checkpoint.py of {family}"
    return FlagTable(program, label(version), flags, CONVERT_OWNERS, CONVERT_REPLACED, CONVERT_SHARED)
