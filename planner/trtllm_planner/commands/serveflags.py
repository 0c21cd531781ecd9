"""Flags of trtllm-serve per version (tensorrt_llm/commands/serve.py)."""

from __future__ import annotations

from functools import lru_cache

from trtllm_planner.commands.buildflags import LOG_LEVELS, LOG_LEVELS_0_20
from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Kind, label, newest, switches, without
from trtllm_planner.tensorrt_llm.versions import Version


def _integer(name: str, *aliases: str) -> Flag:
    return Flag(name, Kind.INTEGER, aliases=aliases)


_COMMON: tuple[Flag, ...] = (
    Flag("--tokenizer"),
    Flag("--host"),
    _integer("--port"),
    _integer("--max_beam_width"),
    _integer("--max_batch_size"),
    _integer("--max_num_tokens"),
    _integer("--max_seq_len"),
    _integer("--gpus_per_node"),
    _integer("--num_postprocess_workers"),
    *switches("--trust_remote_code"),
)
_LOG = Flag("--log_level", choices=LOG_LEVELS)
_FRACTION = Flag("--kv_cache_free_gpu_memory_fraction", Kind.NUMBER)
_SHORT: tuple[Flag, ...] = (
    _integer("--tp_size"),
    _integer("--pp_size"),
    _integer("--ep_size"),
    _integer("--cluster_size"),
    _FRACTION,
    Flag("--extra_llm_api_options"),
)
_LONG: tuple[Flag, ...] = (
    _integer("--tp_size", "--tensor_parallel_size"),
    _integer("--pp_size", "--pipeline_parallel_size"),
    _integer("--cp_size", "--context_parallel_size"),
    _integer("--ep_size", "--moe_expert_parallel_size"),
    _integer("--cluster_size", "--moe_cluster_parallel_size"),
    Flag(_FRACTION.name, Kind.NUMBER, aliases=("--free_gpu_memory_fraction",)),
    Flag("--extra_llm_api_options", aliases=("--config",)),
)
_DISAGGREGATED = (
    Flag("--metadata_server_config_file"),
    Flag("--server_role"),
    *switches("--fail_fast_on_attention_window_too_large"),
)
_DEEPSEEK = Flag("--reasoning_parser", choices=("deepseek-r1",))
_BACKENDS = ("pytorch", "tensorrt", "trt", "_autodeploy")
"""Values of --backend; trt is another spelling of tensorrt."""
_TOOLS = ("qwen3", "qwen3_coder", "kimi_k2", "deepseek_v3", "deepseek_v31", "deepseek_v32")
_V0_20 = (
    *_COMMON,
    *_SHORT,
    _DEEPSEEK,
    Flag(_LOG.name, choices=LOG_LEVELS_0_20),
    Flag("--backend", choices=("pytorch",)),
)
_V1_0 = (*_COMMON, *_SHORT, *_DISAGGREGATED, _DEEPSEEK, _LOG, Flag("--backend", choices=("pytorch", "trt")))
_V1_1_RC6 = (*without(_V1_0, "--backend"), Flag("--backend", choices=("pytorch", "trt", "_autodeploy")))
_V1_1 = (*without(_V1_0, "--backend"), Flag("--backend", choices=_BACKENDS))
_V1_2 = (
    *_COMMON,
    *_LONG,
    *_DISAGGREGATED,
    _LOG,
    Flag("--backend", choices=_BACKENDS),
    Flag("--reasoning_parser", choices=("deepseek-r1", "qwen3", "nano-v3")),
    Flag("--tool_parser", choices=_TOOLS),
    Flag("--chat_template"),
    Flag("--media_io_kwargs"),
    Flag("--custom_tokenizer"),
    Flag("--custom_module_dirs", repeats=True),
    Flag("--revision"),
    Flag("--otlp_traces_endpoint"),
    Flag("--disagg_cluster_uri"),
    *switches("--enable_chunked_prefill"),
)
_V1_3_RC3 = (*_V1_2, *switches("--grpc"))
_V1_3_RC10 = (
    *without(_V1_3_RC3, "--reasoning_parser", "--tool_parser"),
    Flag("--reasoning_parser"),
    Flag("--tool_parser"),
    Flag("--served_model_name", aliases=("--served-model-name",)),
    Flag("--kv_cache_dtype", choices=("auto", "fp8", "nvfp4")),
    *switches("--no-telemetry"),
)
"""Release candidates after rc3 were not read: these flags came between it and rc20, and so may new parsers."""
_WITHOUT_ENGINES = (*without(_V1_3_RC10, "--backend"), Flag("--backend", choices=("pytorch", "_autodeploy")))
SERVE_TABLES: tuple[tuple[Version, tuple[Flag, ...]], ...] = (
    (Version(0, 20, 0, 0), _V0_20),
    (Version(1, 0, 0, 0), _V1_0),
    (Version(1, 1, 0, 6), _V1_1_RC6),
    (Version(1, 1, 0), _V1_1),
    (Version(1, 2, 0), _V1_2),
    (Version(1, 3, 0, 3), _V1_3_RC3),
    (Version(1, 3, 0, 10), _V1_3_RC10),
    (Version(1, 3, 0, 21), _WITHOUT_ENGINES),
)
"""Oldest first. A release candidate that was not read has the flags of the release before it."""

SERVE_OWNERS: dict[str, str] = {
    **dict.fromkeys(
        (
            "--tokenizer",
            "--host",
            "--port",
            "--backend",
            "--extra_llm_api_options",
            "--gpus_per_node",
            "--no-telemetry",
            "--grpc",
            "--metadata_server_config_file",
            "--server_role",
        ),
        OPERATOR,
    ),
    "--served_model_name": "serving.servedModelName",
    "--tp_size": "parallelism.tensor",
    "--pp_size": "parallelism.pipeline",
    "--cp_size": "parallelism.context",
    "--ep_size": "parallelism.moeExpert",
    "--max_batch_size": "serving.maxBatchSize",
    "--max_num_tokens": "serving.maxTokens",
    "--max_seq_len": "serving.maxSequenceLength",
    "--max_beam_width": "serving.maxBeamWidth",
    "--kv_cache_free_gpu_memory_fraction": "serving.kvCacheFraction",
    "--enable_chunked_prefill": "serving.chunkedPrefill",
    "--reasoning_parser": "serving.reasoningParser",
    "--tool_parser": "serving.toolParser",
    "--trust_remote_code": "trustRemoteCode",
}
SERVE_REPLACED: dict[str, str] = {
    "--kv_cache_dtype": "set serving.options.kv_cache_config.dtype",
    "--enable_chunked_context": "set serving.chunkedPrefill",
    "--max_model_len": "set serving.maxSequenceLength",
    "--max-model-len": "set serving.maxSequenceLength",
    "--tensor-parallel-size": "set parallelism.tensor",
    "--gpu-memory-utilization": "set serving.kvCacheFraction, a share of the memory that weights leave",
    "--served-model-name": "set serving.servedModelName",
}


@lru_cache(maxsize=64)
def serve_table(version: Version | None) -> FlagTable:
    """Flags of trtllm-serve in a version."""
    return FlagTable("trtllm-serve", label(version), newest(SERVE_TABLES, version), SERVE_OWNERS, SERVE_REPLACED)


def options_flag(version: Version | None) -> str:
    """Flag that names the file of options (LlmArgs)."""
    return "--config" if version is not None and version >= Version(1, 3, 0, 0) else "--extra_llm_api_options"
