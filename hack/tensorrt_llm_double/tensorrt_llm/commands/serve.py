"""The double of trtllm-serve: engines, or a Hugging Face checkpoint, answered for by transformers on a CPU.

bin/trtllm-serve calls `main`. With several ranks and no mpirun this process loads all of them, as the real one's
children would; under trtllm-llmapi-launch every rank is a process, and rank 0 is this one.
"""

from __future__ import annotations

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
from double_options import read_options
from double_settings import seconds, version
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.tensorrt_llm.versions import Version

_LIMITS = ("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width")
_SIZES = {"tp_size": "tensor_parallel_size", "pp_size": "pipeline_parallel_size", "cp_size": "context_parallel_size"}


def main() -> None:
    """Serve what the command line says."""
    words = sys.argv[1:]
    command_of(serve_table(version()), "trtllm-serve", _serve).main(words[1:] if words[:1] == ["serve"] else words)


def _serve(model: str, **flags: Any) -> None:
    directory = Path(model)
    if not directory.is_dir():
        raise OSError(f"the double of trtllm-serve downloads nothing: there is no directory {model}")
    backend = flags.get("backend")
    pytorch = backend == "pytorch"
    if backend == "_autodeploy":
        raise SystemExit("the double of trtllm-serve does not know _autodeploy")
    options = read_options(flags["extra_llm_api_options"], version(), pytorch=pytorch)
    if options.get("return_perf_metrics") and not pytorch and version() < Version(1, 3, 0, 0):
        # it dies at the first request: NVIDIA/TensorRT-LLM issue 9678
        raise RuntimeError("return_perf_metrics crashes this version's server with the TensorRT backend")
    for name, value in options.items():
        flags[next((flag for flag, option in _SIZES.items() if option == name), name)] = value
    # bound, but not listening: nobody is answered before the model is loaded
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((flags["host"], flags["port"]))
    except OSError as error:
        raise RuntimeError(f"Failed to bind socket to {flags['host']}:{flags['port']}: {error}") from error
    _say(f"TensorRT-LLM {tensorrt_llm.__version__}, backend {'pytorch' if pytorch else 'tensorrt'}, loads {model}")
    layout, limits = _check(directory, flags, options, pytorch=pytorch)
    ranks = double_load.Ranks()
    shards = ranks.shards(directory, layout)
    # torch comes with it, which takes its time
    import double_adapters

    lora = double_adapters.of_options(options, version()) if pytorch else double_adapters.of_engine(directory)
    loaded = _load(directory, flags, shards)
    from double_http import Serving, serve

    name = flags.get("served_model_name") or directory.name
    serve(listener, Serving(name, loaded, limits, options, pytorch=pytorch, lora=lora))
    ranks.finish()


def _check(directory: Path, flags: dict[str, Any], options: dict[str, Any], *, pytorch: bool) -> Any:
    """The layout, and the limits that requests must keep; raises what does not fit together."""
    context = click.get_current_context()
    given = {
        name: flags[name]
        if name in options or context.get_parameter_source(name) is not ParameterSource.DEFAULT
        else None
        for name in _LIMITS
    }
    layout = double_load.Layout(flags["tp_size"], flags["pp_size"], flags.get("cp_size", 1))
    if pytorch:
        positions = double_load.check_hugging_face(directory, layout)
        longest = given["max_seq_len"] or positions
        limits = {name: flags[name] for name in _LIMITS} | {"max_seq_len": longest, "max_input_len": longest}
    elif is_engine(directory):
        layout, limits = double_load.check_engine(directory, layout, given)
    else:
        raise SystemExit("the double of trtllm-serve builds no engine while it starts: give it an engine's directory")
    layout.check_machine()
    return layout, limits


def _load(directory: Path, flags: dict[str, Any], shards: list[bytes]) -> Any:
    """The model with its tokenizer."""
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
