"""The file of options of trtllm-serve (LlmArgs): unknown keys are refused as pydantic refuses them; serve.py reads it.

The names are those of llmapi/llm_args.py in the versions of which there are images; values are not looked at, but for
those that the double uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from trtllm_planner.tensorrt_llm.versions import Version


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BOTH = _names(
    "tokenizer_mode skip_tokenizer_init trust_remote_code tensor_parallel_size dtype revision tokenizer_revision "
    "pipeline_parallel_size context_parallel_size gpus_per_node moe_cluster_parallel_size moe_tensor_parallel_size "
    "moe_expert_parallel_size enable_attention_dp cp_config load_format enable_lora lora_config kv_cache_config "
    "enable_chunked_prefill guided_decoding_backend batched_logits_processor iter_stats_max_iterations "
    "request_stats_max_iterations peft_cache_config scheduler_config cache_transceiver_config speculative_config "
    "max_batch_size max_input_len max_seq_len max_beam_width max_num_tokens gather_generation_logits "
    "num_postprocess_workers postprocess_tokenizer_dir reasoning_parser backend"
)
_ENGINE = _names(
    "enable_tqdm workspace enable_build_cache extended_runtime_perf_knob_config calib_config embedding_parallel_mode "
    "fast_build build_config quant_config batching_type normalize_log_probs decoding_config"
)
_ENGINE_0_20 = frozenset({"auto_parallel", "auto_parallel_world_size"})
_PYTORCH = _names(
    "cuda_graph_config moe_config attn_backend disable_overlap_scheduler enable_iter_perf_stats enable_iter_req_stats "
    "print_iter_log torch_compile_config enable_autotuner enable_layerwise_nvtx_marker enable_min_latency "
    "stream_interval force_dynamic_quantization allreduce_strategy attention_dp_config "
    "garbage_collection_gen0_threshold checkpoint_loader checkpoint_format enable_trtllm_sampler"
)
_SINCE_1_1 = frozenset({"return_perf_metrics", "perf_metrics_max_requests", "orchestrator_type", "env_overrides"})
_PYTORCH_SINCE_1_1 = frozenset({"sampler_type", "kv_connector_config", "mm_encoder_only", "batch_wait_timeout_ms"})
_CACHE = _names(
    "enable_block_reuse max_tokens max_attention_window sink_token_length free_gpu_memory_fraction host_cache_size "
    "onboard_blocks cross_kv_cache_fraction secondary_offload_min_priority event_buffer_max_size enable_partial_reuse "
    "copy_on_partial_reuse use_uvm"
)
_CACHE_SINCE_1_0 = frozenset({"dtype", "attention_dp_events_gather_period_ms", "mamba_ssm_cache_dtype"})
_CACHE_SINCE_1_1 = frozenset({"tokens_per_block", "max_gpu_total_bytes"})
_LORA = _names("lora_dir lora_ckpt_source max_lora_rank lora_target_modules trtllm_modules_to_hf_modules")
_LORA_SINCE_1_0 = frozenset({"max_loras", "max_cpu_loras"})


def read_options(path: str | None, version: Version, *, pytorch: bool) -> dict[str, Any]:
    """What the file says; raises ValueError for a key that the version's runtime does not have."""
    if path is None:
        return {}
    options = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    if not isinstance(options, dict):
        raise ValueError(f"{path} is not a mapping of options")  # noqa: TRY004 - one kind of failure
    name = "TorchLlmArgs" if pytorch else "TrtLlmArgs"
    _refuse(options, _known(version, pytorch=pytorch), name)
    _refuse(options.get("kv_cache_config") or {}, _cache(version), name, "kv_cache_config.")
    for key in options.get("lora_config") or {}:
        if key not in _LORA | (_LORA_SINCE_1_0 if version >= Version(1, 0, 0, 0) else frozenset()):
            raise TypeError(f"LoraConfig.__init__() got an unexpected keyword argument '{key}'")
    fraction = (options.get("kv_cache_config") or {}).get("free_gpu_memory_fraction")
    if fraction is not None and not 0 <= fraction <= 1:
        raise ValueError(
            f"1 validation error for {name}\nkv_cache_config.free_gpu_memory_fraction\n"
            f"  Value error, kv_cache_config.free_gpu_memory_fraction must be a float between 0 and 1, got {fraction}"
        )
    return options


def _known(version: Version, *, pytorch: bool) -> frozenset[str]:
    newer = version >= Version(1, 1, 0, 0)
    known = _BOTH | (_SINCE_1_1 if newer else frozenset())
    if not pytorch:
        return known | _ENGINE | (frozenset() if version >= Version(1, 0, 0, 0) else _ENGINE_0_20)
    if version < Version(0, 21, 0, 0):
        return known | {"pytorch_backend_config", "attention_dp_config", "quant_config"}
    return known | _PYTORCH | (_PYTORCH_SINCE_1_1 if newer else frozenset())


def _cache(version: Version) -> frozenset[str]:
    found = _CACHE | (_CACHE_SINCE_1_0 if version >= Version(1, 0, 0, 0) else frozenset())
    return found | (_CACHE_SINCE_1_1 if version >= Version(1, 1, 0, 0) else frozenset())


def _refuse(given: Mapping[str, Any], known: frozenset[str], name: str, prefix: str = "") -> None:
    extra = [key for key in given if key not in known]
    if extra:
        errors = f"{len(extra)} validation error{'s' * (len(extra) != 1)} for {name}"
        lines = (
            f"{prefix}{key}\n  Extra inputs are not permitted [type=extra_forbidden, input_value={given[key]!r}]"
            for key in extra
        )
        raise ValueError("\n".join([errors, *lines]))
