"""Flags of trtllm-serve per version (tensorrt_llm/commands/serve.py); see flags.py for who reads them."""

from __future__ import annotations

from functools import lru_cache

from trtllm_planner.commands.buildflags import LOG_LEVELS
from trtllm_planner.commands.flags import OPERATOR, Flag, FlagTable, Kind, label, newest, switches, without
from trtllm_planner.tensorrt_llm.versions import Version


def _integer(name: str, default: int | None = None, *aliases: str) -> Flag:
    return Flag(name, Kind.INTEGER, aliases=aliases, default=default)


_COMMON: tuple[Flag, ...] = (
    Flag("--tokenizer"),
    Flag("--host", default="localhost"),
    _integer("--port", 8000),
    Flag("--log_level", choices=LOG_LEVELS, default="info"),
    _integer("--max_beam_width", 1),
    _integer("--max_batch_size", 2048),
    _integer("--max_num_tokens", 8192),
    _integer("--max_seq_len"),
    _integer("--gpus_per_node"),
    _integer("--num_postprocess_workers", 0),
    *switches("--trust_remote_code"),
)
_FRACTION = Flag("--kv_cache_free_gpu_memory_fraction", Kind.NUMBER, default=0.9)
_SHORT: tuple[Flag, ...] = (
    _integer("--tp_size", 1),
    _integer("--pp_size", 1),
    _integer("--ep_size"),
    _integer("--cluster_size"),
    _FRACTION,
    Flag("--extra_llm_api_options"),
)
_LONG: tuple[Flag, ...] = (
    _integer("--tp_size", 1, "--tensor_parallel_size"),
    _integer("--pp_size", 1, "--pipeline_parallel_size"),
    _integer("--cp_size", 1, "--context_parallel_size"),
    _integer("--ep_size", None, "--moe_expert_parallel_size"),
    _integer("--cluster_size", None, "--moe_cluster_parallel_size"),
    Flag(_FRACTION.name, Kind.NUMBER, aliases=("--free_gpu_memory_fraction",), default=0.9),
    Flag("--extra_llm_api_options", aliases=("--config",)),
)
_DISAGGREGATED = (Flag("--metadata_server_config_file"), Flag("--server_role"))
_V0_20 = (
    *_COMMON,
    *_SHORT,
    Flag("--backend", choices=("pytorch",)),
    Flag("--reasoning_parser", choices=("deepseek-r1",)),
)
_V1_0 = (
    *_COMMON,
    *_SHORT,
    *_DISAGGREGATED,
    Flag("--backend", choices=("pytorch", "tensorrt"), default="pytorch"),
    Flag("--reasoning_parser", choices=("deepseek-r1", "qwen3")),
    *switches("--fail_fast_on_attention_window_too_large"),
)
_V1_2 = (
    *_COMMON,
    *_LONG,
    *_DISAGGREGATED,
    Flag("--backend", choices=("pytorch", "tensorrt", "trt", "_autodeploy"), default="pytorch"),
    Flag("--reasoning_parser"),
    Flag("--tool_parser"),
    Flag("--chat_template"),
    Flag("--media_io_kwargs"),
    Flag("--custom_tokenizer"),
    Flag("--custom_module_dirs", repeats=True),
    Flag("--revision"),
    Flag("--otlp_traces_endpoint"),
    Flag("--disagg_cluster_uri"),
    *switches("--fail_fast_on_attention_window_too_large", "--enable_chunked_prefill"),
)
_V1_3 = (
    *without(_V1_2, "--backend"),
    Flag("--backend", choices=("pytorch", "tensorrt", "trt", "_autodeploy"), default="pytorch"),
    Flag("--served_model_name", aliases=("--served-model-name",)),
    Flag("--kv_cache_dtype", choices=("auto", "fp8", "nvfp4"), default="auto"),
    *switches("--no-telemetry"),
)
_WITHOUT_ENGINES = (
    *without(_V1_3, "--backend"),
    Flag("--backend", choices=("pytorch", "_autodeploy"), default="pytorch"),
)
SERVE_TABLES: tuple[tuple[Version, tuple[Flag, ...]], ...] = (
    (Version(0, 20, 0, 0), _V0_20),
    (Version(1, 0, 0, 0), _V1_0),
    (Version(1, 2, 0, 2), _V1_2),
    (Version(1, 3, 0, 0), _V1_3),
    (Version(1, 3, 0, 21), _WITHOUT_ENGINES),
)
"""Oldest first."""

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
    "--gpu-memory-utilization": "set serving.kvCacheFraction, which is of the memory that weights leave",
    "--served-model-name": "set serving.servedModelName",
}


@lru_cache(maxsize=64)
def serve_table(version: Version | None) -> FlagTable:
    """Of trtllm-serve."""
    return FlagTable("trtllm-serve", label(version), newest(SERVE_TABLES, version), SERVE_OWNERS, SERVE_REPLACED)


def options_flag(version: Version | None) -> str:
    """The flag that names the file of options (LlmArgs)."""
    return "--config" if version is not None and version >= Version(1, 3, 0, 0) else "--extra_llm_api_options"
