"""`trtllm_builder serve`: listens, loads the artifact, checks its known prompt, serves until SIGTERM, drains."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn

from trtllm_api.contract import TERMINATION_PATH, ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, first_line, transient
from trtllm_builder.progress import Progress
from trtllm_builder.serve.app import create_app
from trtllm_builder.serve.generation import LoadedModel
from trtllm_builder.serve.options import Options, parse
from trtllm_builder.serve.runtime import THREAD_PREFIX, Runtime
from trtllm_builder.serve.server import Server

Load = Callable[[Path, str], LoadedModel]
_JOIN_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, and return the exit code."""
    return serve(parse(argv), _load_artifact, Progress())


def serve(options: Options, load: Load, progress: Progress) -> int:
    """Serve the model that `load` returns."""
    _log_through(progress)
    runtime = Runtime(options.served_model_name, options.max_concurrent_requests, options.max_queued_requests)
    config = uvicorn.Config(
        create_app(runtime), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3
    )
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        runtime.failure = transient(
            Reason.INTERNAL_ERROR,
            f"The server cannot listen on {options.host}:{options.port}: {error.strerror}.",
            "Set --port to a free port.",
        )
    else:
        progress.say(f"Listening on port {listener.getsockname()[1]}.")
        loader = threading.Thread(
            target=_bring_up, args=(runtime, options, load, progress), name=f"{THREAD_PREFIX}load", daemon=True
        )
        loader.start()
        Server(config, runtime, options.drain_seconds, progress).run(sockets=[listener])
    runtime.close()
    code = int(ExitCode.OK)
    if runtime.failure:
        code = int(runtime.failure.exit_code)
        _write_termination(runtime.failure, progress)
    _leave_stuck_threads(code)
    return code


def _bring_up(runtime: Runtime, options: Options, load: Load, progress: Progress) -> None:
    try:
        with progress.step("Loading"):
            loaded = load(options.artifact, options.device)
        with progress.step("Probing"):
            runtime.accept(loaded)
        progress.say(f"Ready: {options.served_model_name} answered its known prompt as recorded.")
    except BuilderFailure as failure:
        runtime.failure = failure
    except Exception as error:
        # the process must end with a termination message in any case
        reason: Reason = Reason.INTERNAL_ERROR
        if isinstance(error, MemoryError):
            reason = Reason.HOST_OUT_OF_MEMORY
        elif type(error).__name__ == "OutOfMemoryError":
            reason = Reason.GPU_OUT_OF_MEMORY
        runtime.failure = transient(
            reason,
            f"The artifact cannot be loaded: {type(error).__name__}: {first_line(error)}",
            "Read the server's log. If memory ran out, raise spec.serving.podTemplate.resources.limits.memory.",
        )


def _load_artifact(directory: Path, device: str) -> LoadedModel:
    # imported here, so that the server already listens during the import of torch and transformers
    from trtllm_builder.checkpoint import load_for_inference
    from trtllm_builder.quantize.threads import use_all_processors

    use_all_processors()
    return load_for_inference(directory, device)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(
        (host, port), family=family, backlog=2048, dualstack_ipv6=family == socket.AF_INET6 and host == "::"
    )


def _write_termination(failure: BuilderFailure, progress: Progress) -> None:
    # the kubelet keeps 4096 bytes: shorter texts keep the JSON complete
    result = {"reason": failure.reason, "message": failure.message[:450], "remedy": failure.remedy[:450]}
    progress.say(f"{failure.reason}: {failure.message} {failure.remedy}")
    path = Path(os.environ.get("TERMINATION_LOG", TERMINATION_PATH))
    try:
        path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        progress.say(f"The termination log {path} cannot be written: {error.strerror}.")


def _leave_stuck_threads(code: int) -> None:
    """End at once if a thread still computes: the interpreter would wait for it, perhaps longer than the kubelet."""
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_PREFIX):
            thread.join(_JOIN_SECONDS)
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)


def _log_through(progress: Progress) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress.say(f"{record.levelname} {record.name}: {self.format(record)}")

    logging.basicConfig(level=logging.WARNING, handlers=[Handler()], force=True)
