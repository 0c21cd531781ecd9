"""Double of trtllm-serve: serves engines or a Hugging Face checkpoint with transformers on a CPU.

bin/trtllm-serve calls `main`. With several ranks and no mpirun this process loads all of them, as the real one's
children would; under trtllm-llmapi-launch every rank is a process, and rank 0 is this one.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import double_load
import tensorrt_llm
from double_arguments import command_of
from double_engine import is_engine
from double_gpus import devices
from double_options import Options
from double_settings import seconds, version, version_text
from double_upstream import Program, program
from trtllm_planner.tensorrt_llm.versions import Version

_LIMITS = ("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width")
_LONG = {
    "tp_size": "tensor_parallel_size",
    "pp_size": "pipeline_parallel_size",
    "cp_size": "context_parallel_size",
    "kv_cache_free_gpu_memory_fraction": "free_gpu_memory_fraction",
}
"""Newer names of options."""
_METRICS_CRASH = Version(1, 3, 0, 4)
"""First version whose server of engines survives return_perf_metrics (NVIDIA/TensorRT-LLM issue 9678)."""
_ROLES = ("CONTEXT", "GENERATION", "MM_ENCODER")


def main() -> None:
    """Run the server of the command line."""
    words = sys.argv[1:]
    command = command_of(program("trtllm-serve", version_text()), _serve)
    command.main(words[1:] if words[:1] == ["serve"] else words)


def _serve(model: str, **given: Any) -> None:
    serve, directory = program("trtllm-serve", version_text()), Path(model)
    flags = {_LONG.get(name, name): value for name, value in given.items()}
    _check_flags(serve, flags)
    if not directory.is_dir():
        raise OSError(f"the double of trtllm-serve downloads nothing: there is no directory {model}")
    backend = flags.get("backend")
    pytorch = backend == "pytorch"
    if backend == "_autodeploy":
        raise SystemExit("the double of trtllm-serve does not know _autodeploy")
    options = Options(version_text(), pytorch=pytorch).read(flags["extra_llm_api_options"])
    if options.get("return_perf_metrics") and not pytorch and version() < _METRICS_CRASH:
        raise RuntimeError("return_perf_metrics crashes this version's server with the TensorRT backend")
    flags |= options
    # bound, but not listening: nobody is answered before the model is loaded
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((flags["host"], flags["port"]))
    except OSError as error:
        raise RuntimeError(f"Failed to bind socket to {flags['host']}:{flags['port']}: {error}") from error
    _say(f"TensorRT-LLM {tensorrt_llm.__version__}, backend {'pytorch' if pytorch else 'tensorrt'}, loads {model}")
    layout, limits = _check(serve, directory, flags, options, pytorch=pytorch)
    ranks = double_load.Ranks()
    shards = ranks.shards(directory, layout)
    # torch comes with it, which takes its time
    import double_adapters

    lora = double_adapters.of_options(options, version()) if pytorch else double_adapters.of_engine(directory)
    loaded = _load(directory, flags, shards)
    from double_http import Serving
    from double_http import serve as answer

    answer(listener, Serving(directory.name, loaded, limits, options, pytorch=pytorch, lora=lora))
    ranks.finish()


def _check_flags(serve: Program, flags: dict[str, Any]) -> None:
    """Raise the server's errors before it reads the model."""
    if flags["gpus_per_node"] is None and not devices():
        serve.refuse("no GPU visible and no --gpus_per_node")
    if flags["port"] == 0:
        serve.refuse("--port 0 without a disaggregated cluster")
    role, file = flags.get("server_role"), flags.get("metadata_server_config_file")
    if file is not None and role is None:
        serve.refuse("--metadata_server_config_file without --server_role")
    if role is not None and role.upper() not in _ROLES:
        serve.refuse("--server_role unknown", {"role": role, "names": ", ".join(_ROLES)})
    try:
        json.loads(flags.get("media_io_kwargs") or "{}")
    except ValueError as error:
        serve.refuse("--media_io_kwargs is no JSON", {"error": error})
    if flags.get("grpc"):
        raise SystemExit("the double of trtllm-serve does not know --grpc")


def _check(
    serve: Program, directory: Path, flags: dict[str, Any], options: dict[str, Any], *, pytorch: bool
) -> tuple[double_load.Layout, dict[str, int]]:
    """Layout, and limits of requests. Raises errors for conflicting settings."""
    given = {name: flags[name] if name in options or _was_given(name) else None for name in _LIMITS}
    tensor, pipeline, context = (flags.get(f"{name}_parallel_size", 1) for name in ("tensor", "pipeline", "context"))
    layout = double_load.Layout(tensor, pipeline, context, flags["gpus_per_node"])
    if pytorch:
        positions = double_load.check_hugging_face(directory, layout)
        longest = given["max_seq_len"] or positions
        limits = {name: flags[name] for name in _LIMITS} | {"max_seq_len": longest, "max_input_len": longest}
    elif is_engine(directory):
        layout, limits = double_load.check_engine(directory, layout, given, serve)
        if flags.get("enable_chunked_prefill"):
            double_load.check_chunks(directory)
    else:
        _refuse_model(serve, directory)
        raise SystemExit("the double of trtllm-serve builds no engine while it starts: give it an engine's directory")
    layout.check_machine(serve)
    return layout, limits


def _was_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def _refuse_model(serve: Program, directory: Path) -> None:
    """Raise the TensorRT runtime's error for a directory of unknown format."""
    if not (directory / "config.json").is_file():
        serve.refuse("model directory without config.json (TensorRT runtime)", {"dir": directory})


def _load(directory: Path, flags: dict[str, Any], shards: list[bytes]) -> Any:
    """Model with its tokenizer."""
    # only now: importing these takes longer than everything before
    from transformers import AutoTokenizer

    from double_http import Loaded
    from double_model import model_of

    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(
        flags["tokenizer"] or directory, trust_remote_code=flags["trust_remote_code"], local_files_only=True
    )
    model = model_of(directory, shards)
    time.sleep(seconds("LOAD_SECONDS"))
    _say(f"Loaded {len(shards)} ranks in {time.monotonic() - started:.1f} s")
    return Loaded(model, tokenizer)


def _say(what: str) -> None:
    sys.stdout.write(f"[TRT-LLM] [I] {what}\n")
    sys.stdout.flush()
