"""Arguments and file of options of trtllm-serve from spec.serving.

Metrics are switched on as far as a version has them. /prometheus/metrics (return_perf_metrics) came with 1.1. With the
TensorRT runtime it crashes servers before about 1.3.0rc3 (NVIDIA/TensorRT-LLM issue 9678), so it stays off there. Only
the PyTorch runtime needs an option for iteration statistics; in 0.20 it is in a section of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trtllm_api.buildoptions import Limits
from trtllm_api.enginebuild import Runtime, Serving
from trtllm_api.enginestatus import EngineLimits
from trtllm_planner.commands.flags import FlagTable, assumed
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Version

OWNED_OPTIONS: Mapping[str, str] = {
    "backend": "runtime",
    "model": "operator",
    "tokenizer": "operator",
    "gpus_per_node": "operator",
    "tensor_parallel_size": "parallelism.tensor",
    "pipeline_parallel_size": "parallelism.pipeline",
    "context_parallel_size": "parallelism.context",
    "moe_tensor_parallel_size": "parallelism.moeTensor",
    "moe_expert_parallel_size": "parallelism.moeExpert",
    "max_batch_size": "serving.maxBatchSize",
    "max_num_tokens": "serving.maxTokens",
    "max_seq_len": "serving.maxSequenceLength",
    "max_beam_width": "serving.maxBeamWidth",
    "trust_remote_code": "trustRemoteCode",
    "reasoning_parser": "serving.reasoningParser",
    "auto_parallel": "parallelism",
    "auto_parallel_world_size": "parallelism",
}
"""Keys of the file of options that flags or fields set, because the file would override these."""
_METRICS = Version(1, 1, 0, 0)
_ENGINE_METRICS = Version(1, 3, 0, 4)
_FLAT = Version(0, 21, 0, 0)
_ADAPTED = ("attn_q", "attn_k", "attn_v", "attn_dense", "mlp_h_to_4h", "mlp_4h_to_h", "mlp_gate")
"""Modules that adapters may change by default: a model's linear layers, without those of experts."""


def serving_limits(serving: Serving, limits: Limits | EngineLimits) -> Limits:
    """Limits of a server: spec.serving's, else those of its engine, or spec.limits of a PyTorch server."""
    return Limits(
        max_batch_size=serving.max_batch_size or limits.max_batch_size,
        max_input_length=limits.max_input_length or None,
        max_sequence_length=serving.max_sequence_length or limits.max_sequence_length,
        max_tokens=serving.max_tokens or limits.max_tokens,
        max_beam_width=serving.max_beam_width or limits.max_beam_width or 1,
    )


def serve_arguments(
    serving: Serving,
    layout: Layout,
    limits: Limits,
    runtime: Runtime,
    version: Version | None,
    *,
    served_model_name: str | None = None,
    trust_remote_code: bool = False,
    gpus_per_node: int | None = None,
) -> tuple[str, ...]:
    """All arguments but the model, --tokenizer, --host, --port and the file of options.

    limits: those of serving_limits. gpus_per_node: of a replica with several nodes. Flags that the version lacks are
    not left out here: preflight refuses them. The launcher switches telemetry off by environment variable.
    """
    table = serve_table(version)
    return (
        *_backend(runtime, table),
        *_parallelism(layout, table),
        *(("--gpus_per_node", str(gpus_per_node)) if gpus_per_node is not None else ()),
        *_limits(limits),
        *_models(serving, table, served_model_name),
        *(("--trust_remote_code",) if trust_remote_code else ()),
        *serving.extra_args,
    )


def serve_options(
    serving: Serving,
    layout: Layout,
    runtime: Runtime,
    version: Version | None,
    adapters: Mapping[str, str] | None = None,
    *,
    generation_logits: bool = False,
) -> dict[str, Any]:
    """File of options (LlmArgs): serving.options, overridden by what the other fields say.

    adapters: directory in the pod of each of serving.lora's adapters, by name. generation_logits: the engine is built
    with build.gatherGenerationLogits; its server returns logprobs only with an option of its own.
    """
    options: dict[str, Any] = _merged(serving.options, _metrics(runtime, version))
    if generation_logits:
        options["gather_generation_logits"] = True
    if serving.chunked_prefill is not None:
        options["enable_chunked_prefill"] = serving.chunked_prefill
    if serving.kv_cache_fraction is not None:
        cache = {"free_gpu_memory_fraction": float(serving.kv_cache_fraction)}
        options = _merged(options, {"kv_cache_config": cache})
    if layout.moe_expert > 1 and layout.moe_tensor > 1:
        options["moe_tensor_parallel_size"] = layout.moe_tensor
    if layout.context > 1 and not serve_table(version).has("--cp_size"):
        options["context_parallel_size"] = layout.context
    if serving.lora is not None:
        places = adapters or {}
        directories = [places[adapter.name] for adapter in serving.lora.adapters if adapter.name in places]
        if runtime is Runtime.PYTORCH:
            options = _merged(_pytorch_lora(directories, version), options)
        else:
            options = _merged(options, _engine_lora(directories))
        options = _merged(options, {"lora_config": _lora(serving)})
    return options


def _backend(runtime: Runtime, table: FlagTable) -> Iterator[str]:
    names = ("tensorrt", "trt") if runtime is Runtime.TENSORRT else ("pytorch",)
    flag = table.find("--backend")
    name = next((name for name in names if flag is not None and name in flag.choices), None)
    if name is not None:  # 0.20 has no name for its default, engines
        yield from ("--backend", name)


def _parallelism(layout: Layout, table: FlagTable) -> Iterator[str]:
    yield from ("--tp_size", str(layout.tensor), "--pp_size", str(layout.pipeline))
    if layout.context > 1 and table.has("--cp_size"):
        yield from ("--cp_size", str(layout.context))
    if layout.moe_expert > 1:
        yield from ("--ep_size", str(layout.moe_expert))


def _limits(limits: Limits) -> Iterator[str]:
    numbers = {
        "--max_batch_size": limits.max_batch_size,
        "--max_num_tokens": limits.max_tokens,
        "--max_seq_len": limits.max_sequence_length,
        "--max_beam_width": limits.max_beam_width if limits.max_beam_width > 1 else None,
    }
    for name, number in numbers.items():
        if number is not None:
            yield from (name, str(number))


def _models(serving: Serving, table: FlagTable, served_model_name: str | None) -> Iterator[str]:
    if served_model_name is not None and table.has("--served_model_name"):
        yield from ("--served_model_name", served_model_name)
    if serving.reasoning_parser is not None:
        yield from ("--reasoning_parser", serving.reasoning_parser)
    if serving.tool_parser is not None:
        yield from ("--tool_parser", serving.tool_parser)


def _metrics(runtime: Runtime, version: Version | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    engine = runtime is Runtime.TENSORRT
    if assumed(version) >= (_ENGINE_METRICS if engine else _METRICS):
        found["return_perf_metrics"] = True
    if not engine:
        statistics = {"enable_iter_perf_stats": True}
        found |= statistics if assumed(version) >= _FLAT else {"pytorch_backend_config": statistics}
    return found


def _lora(serving: Serving) -> dict[str, Any]:
    lora = serving.lora
    if lora is None:
        return {}
    found: dict[str, Any] = {"max_lora_rank": lora.max_rank}
    if lora.max_loaded is not None:
        found["max_loras"] = lora.max_loaded
        found["max_cpu_loras"] = max(lora.max_loaded, len(lora.adapters))
    return found


def _engine_lora(directories: list[str]) -> dict[str, Any]:
    return {"enable_lora": True} | ({"lora_config": {"lora_dir": directories}} if directories else {})


def _pytorch_lora(directories: list[str], version: Version | None) -> dict[str, Any]:
    """Defaults for adapters, which serving.options may override.

    The PyTorch runtime needs to know the modules that adapters change. It finds them in a single adapter, but refuses
    to start with several. CUDA graphs cannot be combined with adapters.
    """
    single = len(directories) == 1
    found = {"lora_dir": directories} if single else {"lora_target_modules": list(_ADAPTED)}
    return {"lora_config": found} | ({"cuda_graph_config": None} if assumed(version) >= _FLAT else {})


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings, nested ones too; `over` wins."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
