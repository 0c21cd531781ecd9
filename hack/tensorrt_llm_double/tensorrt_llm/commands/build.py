"""Double of trtllm-build: makes an engine per rank from a checkpoint.

The functions and their arguments are the real ones': the driver replaces `parallel_build` and calls `build_and_save`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorrt_llm
from double_arguments import parser_of
from double_checks import attention_features, check_build, fused_mlp
from double_engine import CONFIG, checkpoint_file, engine_bytes, engine_name
from double_gpus import device, devices
from double_settings import left_out, seconds, version_text
from double_upstream import Program, program
from double_weights import check_config, check_gpu, check_tensors
from trtllm_builder.safetensors_header import read_header

_MIXED, _LAYER_CONFIG = "MIXED_PRECISION", "quant_cfg.json"
_PLUGIN_FEATURES = (
    "remove_input_padding",
    "tokens_per_block",
    "multiple_profiles",
    "paged_state",
    "reduce_fusion",
    "user_buffer",
)


@dataclass(frozen=True)
class Mapping:
    """Parallelism of the model."""

    world_size: int
    tp_size: int
    pp_size: int
    cp_size: int = 1


@dataclass(frozen=True)
class PretrainedConfig:
    """Content of a checkpoint's config.json, with the layers of quant_cfg.json."""

    values: dict[str, Any]

    @classmethod
    def from_json_file(cls, path: Path) -> PretrainedConfig:
        """Read the configuration. Raises for its faults."""
        values = json.loads(path.read_text(encoding="utf-8"))
        check_config(values)
        if (values.get("quantization") or {}).get("quant_algo") == _MIXED:
            layers = json.loads((path.parent / _LAYER_CONFIG).read_text(encoding="utf-8"))["quantized_layers"]
            values["quantization"]["quantized_layers"] = layers
        return cls(values)

    @property
    def mapping(self) -> Mapping:
        """Parallelism of the checkpoint."""
        told = self.values["mapping"]
        return Mapping(told["world_size"], told["tp_size"], told["pp_size"], told.get("cp_size", 1))


@dataclass(frozen=True)
class BuildConfig:
    """Build settings of the engine, as in its config.json."""

    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON for config.json."""
        return self.values


def known() -> Program:
    """Program trtllm-build of the version."""
    return program("trtllm-build", version_text())


def parse_arguments() -> argparse.ArgumentParser:
    """Parser of the version's options."""
    return parser_of(known())


def main() -> None:
    """Run the build of the command line."""
    args = parse_arguments().parse_args()
    if args.checkpoint_dir is None or args.model_config is not None or args.build_config is not None:
        raise SystemExit("the double of trtllm-build builds from --checkpoint_dir and flags only")
    output = Path(args.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    workers = min(len(devices()), args.workers)
    model_config = PretrainedConfig.from_json_file(Path(args.checkpoint_dir) / CONFIG)
    if hasattr(args, "gpus_per_node"):
        # up to 1.1 the flag, given or not, wins over the checkpoint
        model_config.values["mapping"]["gpus_per_node"] = args.gpus_per_node
    build_config = _build_config(args, model_config.values)
    kwargs = {
        "logits_dtype": args.logits_dtype,
        "use_fused_mlp": args.use_fused_mlp == "enable",
        "lora_dir": args.lora_dir,
        "lora_target_modules": args.lora_target_modules,
        "max_lora_rank": args.max_lora_rank,
        "strip_plan": args.strip_plan,
        "dry_run": args.dry_run,
    }
    _say(f"Compute capability: {device(0).capability}")
    parallel_build(
        model_config, args.checkpoint_dir, build_config, args.output_dir, workers, args.log_level, None, **kwargs
    )
    cached = Path(args.input_timing_cache).read_bytes() if _is_file(args.input_timing_cache) else b""
    Path(args.output_timing_cache).write_bytes(cached or b"timings of the double")
    _say(f"Total time of building all engines: {time.monotonic() - started:.1f} s")


def parallel_build(
    model_config: PretrainedConfig,
    ckpt_dir: str | None,
    build_config: BuildConfig,
    output_dir: str,
    workers: int = 1,
    log_level: str = "info",
    model_cls: Any = None,
    **kwargs: Any,
) -> None:
    """Build all ranks, with a process per worker, on GPU rank % workers."""
    world = model_config.mapping.world_size
    if workers < 1:
        known().refuse("no visible GPU: workers = min(device count, --workers) = 0")
    rest = (ckpt_dir, build_config, output_dir, log_level, model_config, model_cls)
    if workers == 1:
        for rank in range(world):
            build_and_save(rank, rank % workers, *rest, **kwargs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(build_and_save, rank, rank % workers, *rest, **kwargs) for rank in range(world)]
        errors = [error for future in as_completed(futures) if (error := future.exception()) is not None]
    for error in errors:
        traceback.print_exception(error)
    if errors:
        known().refuse("any rank failed (workers > 1, or MPI)")


def build_and_save(
    rank: int,
    gpu_id: int,
    ckpt_dir: str | None,
    build_config: BuildConfig,
    output_dir: str,
    log_level: str,  # noqa: ARG001 - the real one's arguments
    model_config: PretrainedConfig,
    model_cls: Any,  # noqa: ARG001 - the real one's arguments
    **kwargs: Any,
) -> bool:
    """Build one rank on one GPU."""
    gpu = device(gpu_id)
    config = model_config.values
    check_gpu(config, gpu)
    weights_path = Path(ckpt_dir or "") / checkpoint_file(rank, config["mapping"])
    # as upstream: a bare assertion, whose traceback is all that a user sees
    assert os.path.isfile(weights_path)  # noqa: PTH113, S101
    check_tensors(read_header(weights_path), config, rank)
    _say(f"Build TensorRT engine of rank {rank} on GPU {gpu_id} ({gpu.name})")
    if kwargs.get("dry_run"):
        time.sleep(seconds("SECONDS"))
        _say("Dry run: no engine is built")
        return True
    output = Path(output_dir)
    plan = engine_bytes(weights_path, gpu)
    if rank == left_out():
        _say(f"the double leaves out rank {rank} (TRTLLM_DOUBLE_LEAVE_OUT)")
        return True
    with (output / engine_name(rank)).open("wb") as file:
        file.write(plan[: len(plan) // 2])
        file.flush()
        time.sleep(seconds("SECONDS"))
        file.write(plan[len(plan) // 2 :])
    if rank == 0:
        engine_config = {
            "version": tensorrt_llm.__version__,
            "pretrained_config": config,
            "build_config": build_config.to_dict(),
        }
        (output / CONFIG).write_text(json.dumps(engine_config, indent=4), encoding="utf-8")
    _say(f"Engine serialized. Total time of rank {rank}: {seconds('SECONDS'):.1f} s")
    return True


def _build_config(args: argparse.Namespace, config: dict[str, Any]) -> BuildConfig:
    """Raise errors for conflicting options, and limit or disable the options that the real program does."""
    capability = device(0).capability
    check_build(known(), args, config, capability)
    if args.gather_all_token_logits:
        args.gather_context_logits = args.gather_generation_logits = True
    longest = args.max_seq_len or _positions(config)
    tokens = min(args.max_num_tokens, args.max_batch_size * longest)
    if tokens != args.max_num_tokens:
        _say(f"max_num_tokens ({args.max_num_tokens}) is clipped to max_batch_size * max_seq_len ({tokens})", "WARNING")
    if args.max_input_len > longest:
        _say(f"max_input_len ({args.max_input_len}) is clipped to max_seq_len ({longest})", "WARNING")
    plugins = {name: value for name, value in vars(args).items() if name.endswith("_plugin")}
    if plugins["lora_plugin"] == "disable":
        plugins["lora_plugin"] = None
    features = {name: _switch(getattr(args, name)) for name in _PLUGIN_FEATURES}
    features |= attention_features(vars(args), config, capability)
    features["use_fused_mlp"] = fused_mlp(vars(args), config)
    return BuildConfig(
        {
            "max_input_len": min(args.max_input_len, longest),
            "max_seq_len": longest,
            "opt_batch_size": 8,
            "max_batch_size": args.max_batch_size,
            "max_beam_width": args.max_beam_width,
            "max_num_tokens": tokens,
            "opt_num_tokens": args.opt_num_tokens or min(tokens, args.max_batch_size * args.max_beam_width),
            "max_prompt_embedding_table_size": args.max_prompt_embedding_table_size,
            "kv_cache_type": getattr(args, "kv_cache_type", "paged").upper(),
            "gather_context_logits": args.gather_context_logits,
            "gather_generation_logits": args.gather_generation_logits,
            "strongly_typed": True,
            "max_draft_len": args.max_draft_len,
            "weight_streaming": args.weight_streaming,
            "use_strip_plan": args.strip_plan,
            "monitor_memory": args.monitor_memory,
            "lora_config": _lora_config(args, enabled=plugins["lora_plugin"] is not None),
            "plugin_config": {"dtype": config["dtype"], **plugins, **features},
        }
    )


def _lora_config(args: argparse.Namespace, *, enabled: bool) -> dict[str, Any]:
    """Modules of LoRA: those of the first --lora_dir if no flag names them. Raises the loader's errors."""
    directories, modules = args.lora_dir or [], list(args.lora_target_modules or [])
    if enabled and args.lora_ckpt_source == "hf":
        # torch comes with it, which takes its time
        from double_adapters import MODULES_UNTOLD, modules_of

        inferred = [modules_of(Path(directory)) for directory in directories]
        modules = modules or (inferred[0] if inferred else [])
        if not modules:
            raise ValueError(MODULES_UNTOLD)
    return {
        "lora_dir": directories,
        "lora_ckpt_source": args.lora_ckpt_source,
        "max_lora_rank": args.max_lora_rank,
        "lora_target_modules": modules or (["attn_qkv"] if enabled else []),
        "trtllm_modules_to_hf_modules": {},
    }


def _positions(config: dict[str, Any]) -> int:
    """Longest sequence of the model, which is the default of max_seq_len."""
    scaling = config.get("rotary_scaling") or {}
    factor = 1 if scaling.get("rope_type", scaling.get("type")) in {None, "llama3", "su", "longrope"} else None
    return int(config["max_position_embeddings"] * (scaling.get("factor", 1) if factor is None else factor))


def _switch(value: Any) -> Any:
    return {"enable": True, "disable": False}.get(value, value) if isinstance(value, str) else value


def _is_file(path: str | None) -> bool:
    return path is not None and Path(path).is_file()


def _say(what: str, level: str = "I") -> None:
    sys.stdout.write(f"[TRT-LLM] [{level}] {what}\n")
    sys.stdout.flush()
