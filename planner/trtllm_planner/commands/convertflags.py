"""Flags of convert_checkpoint.py per family of models and version (examples/models/core and contrib of TensorRT-LLM).

The families whose scripts have been read have their own tables; the others have what all scripts have.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Kind, label, newest, switches
from trtllm_planner.tensorrt_llm.versions import Version

_AUTO_TYPES = ("auto", "float16", "bfloat16", "float32")
_TYPES = ("float32", "bfloat16", "float16")
GPT_VARIANTS = ("gpt2", "santacoder", "starcoder", "starcoder2", "persimmon", "kosmos-2", "nemotron")


def _integer(name: str, default: int | None, *choices: str) -> Flag:
    return Flag(name, Kind.INTEGER, choices, default=default)


def _type(choices: tuple[str, ...], default: str) -> Flag:
    return Flag("--dtype", choices=choices, default=default)


def _weight_only(*precisions: str) -> tuple[Flag, ...]:
    return (
        *switches("--use_weight_only"),
        Flag("--weight_only_precision", choices=precisions, default="int8"),
    )


_PATHS = (Flag("--model_dir"), Flag("--output_dir", default="tllm_checkpoint"))
_PARALLEL = (_integer("--tp_size", 1), _integer("--pp_size", 1))
_CONTEXT = (_integer("--cp_size", 1),)
_MOE = (_integer("--moe_tp_size", -1), _integer("--moe_ep_size", -1))
_WORKERS = (_integer("--workers", 1),)
_EMBEDDING = (*switches("--use_parallel_embedding"), _integer("--embedding_sharding_dim", 0, "0", "1"))
_LOG = (Flag("--log_level", default="info"),)
_CALIBRATION = (Flag("--calib_dataset", default="ccdv/cnn_dailymail"),)
_SMOOTH = (
    Flag("--smoothquant", Kind.NUMBER, aliases=("-sq",)),
    *switches("--per_channel", "--per_token", "--int8_kv_cache"),
)
_GROUPS = (*switches("--per_group"), _integer("--group_size", 128))
_ON_CPU = tuple(switches("--load_model_on_cpu"))
_BY_SHARD = tuple(switches("--load_by_shard"))
_NO_PLUGIN = tuple(switches("--disable_weight_only_quant_plugin"))

_LLAMA: tuple[Flag, ...] = (
    *_PATHS,
    Flag("--meta_ckpt_dir"),
    *_PARALLEL,
    *_CONTEXT,
    *_MOE,
    _type(_AUTO_TYPES, "auto"),
    _integer("--vocab_size", 32000),
    _integer("--n_positions", 2048),
    _integer("--n_layer", 32),
    _integer("--n_head", 32),
    _integer("--n_kv_head", None),
    _integer("--n_embd", 4096),
    _integer("--inter_size", 11008),
    _integer("--multiple_of", None),
    Flag("--ffn_dim_multiplier", Kind.NUMBER),
    Flag("--rms_norm_eps", Kind.NUMBER, default=1e-06),
    *_weight_only("int8", "int4", "int8_gptq", "int4_gptq", "int4_awq"),
    *_NO_PLUGIN,
    *_CALIBRATION,
    _integer("--calib_size", 512),
    _integer("--calib_max_seq_length", 512),
    *_SMOOTH,
    *switches("--use_qserve", "--fp8_kv_cache", "--use_fp8", "--use_nvfp4"),
    Flag("--quant_ckpt_path"),
    *switches("--use_fp8_rowwise", "--use_meta_fp8_rowwise_recipe"),
    *_GROUPS,
    *_BY_SHARD,
    Flag("--hidden_act", default="silu"),
    Flag("--rotary_base", Kind.NUMBER, default=10000.0),
    *_ON_CPU,
    *_EMBEDDING,
    *_WORKERS,
    _integer("--moe_num_experts", 0),
    _integer("--moe_top_k", 0),
    _integer("--moe_renorm_mode", 1),
    *switches("--save_config_only", "--remove_duplicated_kv_heads"),
    *_LOG,
)


def _qwen(*precisions: str) -> tuple[Flag, ...]:
    return (
        *_PATHS,
        *_PARALLEL,
        *_CONTEXT,
        *_MOE,
        _type(_AUTO_TYPES, "auto"),
        *_weight_only(*precisions),
        *_NO_PLUGIN,
        *_CALIBRATION,
        *_SMOOTH,
        *_GROUPS,
        *_ON_CPU,
        *_EMBEDDING,
        *_WORKERS,
    )


_GEMMA: tuple[Flag, ...] = (
    Flag("--ckpt-type", choices=("jax", "keras", "torch", "hf")),
    Flag("--model_dir", aliases=("--model-dir",)),
    Flag("--output_dir", aliases=("--output-model-dir",)),
    _integer("--world-size", 1),
    *switches("--use_weight_only"),
    Flag(
        "--weight_only_precision",
        choices=("int8", "int4", "w4a8_awq", "w4a16_awq"),
        aliases=("--use-weight-only-with-precision",),
    ),
    *switches("--use-int8-weight-only-embedding"),
    _type(_AUTO_TYPES, "auto"),
    *switches("--enable_fp8", "--fp8_kv_cache"),
    Flag("--quant_ckpt_path"),
    *_CALIBRATION,
    *switches("--use_smooth_quant"),
    Flag("--int8_kv_cache", Kind.SWITCH, aliases=("--calibrate_kv_cache", "-kv")),
    *switches("--per_channel", "--per_token"),
    Flag("--smoothquant", Kind.NUMBER, aliases=("--use_smooth_quant_plugin", "-sq")),
    Flag("--tokenizer_dir"),
    *_ON_CPU,
)
_PHI: tuple[Flag, ...] = (
    *_PATHS,
    _integer("--tp_size", 1),
    _integer("--pp_size", 1, "1"),
    _type(_AUTO_TYPES, "auto"),
    *_weight_only("int8", "int4"),
    *_MOE,
    *_WORKERS,
)
_GPT: tuple[Flag, ...] = (
    *_PATHS,
    Flag("--nemo_ckpt_path"),
    Flag("--gpt_variant", choices=GPT_VARIANTS),
    *_PARALLEL,
    _type(_AUTO_TYPES, "auto"),
    *_ON_CPU,
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    Flag("--calib_dataset", default="lambada"),
    *_SMOOTH,
    Flag("--dataset_cache_dir"),
    *_WORKERS,
    *_LOG,
    Flag("--nemo_rename_key", many=True),
)
_FALCON: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_AUTO_TYPES, "auto"),
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    *_BY_SHARD,
    *_WORKERS,
    *_LOG,
)
_GPT_NEOX: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES, "float16"),
    *_weight_only("int8", "int4", "int4_gptq"),
    Flag("--quant_ckpt_path"),
    *_EMBEDDING,
    *_WORKERS,
)
_INTERNLM2: tuple[Flag, ...] = (
    *_PATHS,
    *_PARALLEL,
    _type(_TYPES, "float16"),
    *_EMBEDDING,
    *_weight_only("int8", "int4"),
    *_WORKERS,
    *_LOG,
)
_BASIC: tuple[Flag, ...] = (*_PATHS, *_PARALLEL, _type(_AUTO_TYPES, "auto"), *_weight_only("int8", "int4"), *_WORKERS)

_FIRST = Version(0, 20, 0, 0)
CONVERT_TABLES: Mapping[str, tuple[tuple[Version, tuple[Flag, ...]], ...]] = {
    "llama": ((_FIRST, _LLAMA),),
    "qwen": (
        (_FIRST, _qwen("int8", "int4", "int4_gptq")),
        (Version(1, 2, 0, 0), _qwen("int8", "int4", "int4_gptq", "int8_gptq")),
    ),
    "gemma": ((_FIRST, _GEMMA),),
    "phi": ((_FIRST, _PHI),),
    "gpt": ((_FIRST, _GPT),),
    "falcon": ((_FIRST, _FALCON),),
    "gptneox": ((_FIRST, _GPT_NEOX),),
    "internlm2": ((_FIRST, _INTERNLM2),),
    **dict.fromkeys(("baichuan", "bloom", "gptj", "mpt", "opt"), ((_FIRST, _BASIC),)),
}
"""By family, oldest first."""

CONTRIBUTED = frozenset({"falcon", "gptneox", "baichuan", "bloom", "gptj", "mpt", "opt"})
"""Families whose script is in examples/models/contrib; the others are in examples/models/core."""

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
"""Architecture -> family of the script that converts it."""

CONVERT_OWNERS: dict[str, str] = {
    **dict.fromkeys(("--model_dir", "--output_dir", "--ckpt-type", "--save_config_only"), OPERATOR),
    "--tp_size": "parallelism.tensor",
    "--world-size": "parallelism.tensor",
    "--pp_size": "parallelism.pipeline",
    "--cp_size": "parallelism.context",
    "--moe_tp_size": "parallelism.moeTensor",
    "--moe_ep_size": "parallelism.moeExpert",
    "--dtype": "convert.dataType",
    "--use_weight_only": "convert.weightOnly",
    "--weight_only_precision": "convert.weightOnly",
    "--smoothquant": "convert.smoothQuant.alpha",
    "--per_channel": "convert.smoothQuant.perChannel",
    "--per_token": "convert.smoothQuant.perToken",
    "--int8_kv_cache": "convert.kvCache",
    "--fp8_kv_cache": "convert.kvCache",
    "--calib_dataset": "convert.calibration",
    "--calib_size": "convert.calibrationSamples",
    "--use_parallel_embedding": "convert.parallelEmbedding",
    "--embedding_sharding_dim": "convert.embeddingShardingDimension",
    "--load_by_shard": "convert.loadByShard",
    "--load_model_on_cpu": "convert.loadOnCpu",
    "--workers": "convert.workers",
}
CONVERT_SHARED = frozenset({"--use_weight_only", "--weight_only_precision"})
"""For weights that were quantized before: int4_awq, int4_gptq and int8_gptq, with --quant_ckpt_path."""
CONVERT_REPLACED: dict[str, str] = {
    "--use_smooth_quant": "set convert.smoothQuant",
    "--data_type": "set convert.dataType",
    "--tensor_parallelism": "set parallelism.tensor",
    "--world_size": "set parallelism",
    "--use_embedding_sharing": "leave it out: equal embeddings are shared by themselves",
    "--ammo_quant_ckpt_path": "quantize with a QuantizedModel of checkpoint.format TensorRTLLM",
    "--max_seq_len": "set limits.maxSequenceLength: it belongs to the build",
    "--max_batch_size": "set limits.maxBatchSize: it belongs to the build",
}


def convert_script(architecture: str) -> str | None:
    """The family of the script that converts an architecture; None where no table here knows one."""
    return SCRIPTS.get(architecture)


@lru_cache(maxsize=64)
def convert_table(family: str, version: Version | None) -> FlagTable:
    """Of a family's convert_checkpoint.py."""
    flags = newest(CONVERT_TABLES[family], version)
    program = f"convert_checkpoint.py of {family}"
    return FlagTable(program, label(version), flags, CONVERT_OWNERS, CONVERT_REPLACED, CONVERT_SHARED)
