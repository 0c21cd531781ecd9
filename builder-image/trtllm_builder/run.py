"""Runs one BuildRequest. A BuildResult is written in every case, and the exit code gives its kind."""

from __future__ import annotations

import signal
import traceback
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from trtllm_api.contract import BuildRequest, BuildResult, ExitCode, Stage
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, first_line
from trtllm_builder.files import is_disk_full
from trtllm_builder.memory import container_memory
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store
from trtllm_diagnosis import diagnose
from trtllm_diagnosis.memory import in_words

_MAX_TEXT = 4096
"""Most characters of the API's Message."""


class _Stopped(BaseException):
    """SIGTERM: the pod is drained, preempted or deleted."""


def run(request_path: Path, store: Path, source: Path, termination: Path) -> int:
    """Read the request, run its stage, write the result, and return the exit code."""
    progress = Progress()
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        try:
            with progress.with_memory():
                result = _attempt(request_path, store, source, progress)
        except _Stopped:
            result = _failed(
                Stage.FETCH,
                ExitCode.TRANSIENT,
                Reason.INTERNAL_ERROR,
                "The pod was stopped (SIGTERM).",
                "The Job is retried.",
            )
        # the kubelet may send a second SIGTERM, which must not prevent the result
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return _report(result, progress, termination)
    finally:
        signal.signal(signal.SIGTERM, before)


def _attempt(request_path: Path, store: Path, source: Path, progress: Progress) -> BuildResult:
    """Result of the request, for every ending but a SIGTERM before the request was read."""
    try:
        request = BuildRequest.model_validate_json(request_path.read_bytes())
    except (ValidationError, OSError) as error:
        return _failed(
            Stage.FETCH,
            ExitCode.BAD_REQUEST,
            Reason.BAD_REQUEST,
            f"The BuildRequest cannot be read: {_fault_of(error)}.",
            "The operator and the builder image have different versions. Use both from one release.",
        )
    try:
        return _do(request, Store(store), progress, source)
    except BuilderFailure as failure:
        return BuildResult(
            stage=request.stage,
            exit_code=failure.exit_code,
            reason=failure.reason,
            message=failure.message[:_MAX_TEXT],
            remedy=failure.remedy[:_MAX_TEXT],
            quantize=failure.quantize,
        )
    except _Stopped:
        return _failed(
            request.stage,
            ExitCode.TRANSIENT,
            Reason.INTERNAL_ERROR,
            "The pod was stopped (SIGTERM).",
            "The Job is retried.",
        )
    except MemoryError:
        return _failed(
            request.stage,
            ExitCode.TRANSIENT,
            Reason.HOST_OUT_OF_MEMORY,
            f"The container ran out of memory{_memory()}.",
            "Raise spec.podTemplate.resources.limits.memory.",
        )
    except Exception as error:
        traceback.print_exc()
        return _fault(request.stage, error)


def _fault(stage: Stage, error: Exception) -> BuildResult:
    """Result of an unexpected error."""
    if is_disk_full(error):
        return _failed(
            stage,
            ExitCode.INPUT_MISSING,
            Reason.STORAGE_FULL,
            f"The store's volume is full: {first_line(error, 300)}",
            "Use a larger claim in spec.storage, or remove artifacts that are no longer used.",
        )
    if "out of memory" in str(error).lower():
        return _failed(
            stage,
            ExitCode.TRANSIENT,
            Reason.GPU_OUT_OF_MEMORY,
            f"The GPU ran out of memory: {first_line(error, 300)}",
            "Lower spec.calibration.batchSize or sequenceLength, or use a GPU with more memory.",
        )
    found = diagnose("".join(traceback.format_exception(error)).splitlines(), exit_code=1)
    if found is not None and found.reason is not Reason.UNKNOWN:
        message, remedy = found.message, found.remedy
    else:
        message = f"{type(error).__name__}: {first_line(error, 300)}"
        remedy = "The Job is retried. Read the traceback in the pod's log."
    return _failed(stage, ExitCode.TRANSIENT, Reason.INTERNAL_ERROR, message, remedy)


def _report(result: BuildResult, progress: Progress, termination: Path) -> int:
    """Write the result and log it. A result that is too long loses its measurements, but never its outcome."""
    try:
        encoded = result.to_termination_message()
    except ValueError as error:
        failed = result.exit_code != ExitCode.OK
        result = result.model_copy(update={"quantize": None}) if failed else _fault(result.stage, error)
        encoded = result.to_termination_message()
    termination.write_bytes(encoded)
    if result.message:
        progress.say(f"{result.message} {result.remedy}")
    return result.exit_code


def _do(request: BuildRequest, store: Store, progress: Progress, source: Path) -> BuildResult:
    """Run the request's stage. Each stage imports only what it needs: NVIDIA's image has no huggingface_hub."""
    if request.fetch is not None:
        from trtllm_builder.fetch import run_fetch

        fetched = run_fetch(request.fetch, store, progress, request.request_digest, source)
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK, fetch=fetched)
    if request.quantize is not None:
        # only this stage imports torch, which takes seconds and hundreds of megabytes
        from trtllm_builder.quantize import run_quantize

        quantized = run_quantize(
            request.quantize, store, progress, request.request_digest, f"{request.namespace}/{request.name}"
        )
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK, quantize=quantized)
    if request.convert is not None:
        from trtllm_builder.engine.convert import run_convert

        run_convert(request.convert, store, progress, request.request_digest)
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK)
    if request.ranks is not None:
        from trtllm_builder.engine.ranks import run_ranks

        run_ranks(request.ranks, store, progress, request.request_digest)
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK)
    if request.publish is not None:
        from trtllm_builder.engine.publish import run_publish

        engine = run_publish(request.publish, store, progress, request.request_digest)
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK, engine=engine)
    raise BuilderFailure(
        ExitCode.BAD_REQUEST,
        Reason.BAD_REQUEST,
        f"The BuildRequest of stage {request.stage} has no inputs for that stage.",
        "The operator and the builder image have different versions. Use both from one release.",
    )


def _failed(stage: Stage, code: ExitCode, reason: Reason, message: str, remedy: str) -> BuildResult:
    return BuildResult(stage=stage, exit_code=code, reason=reason, message=message, remedy=remedy)


def _memory() -> str:
    memory = container_memory()
    if memory is None or memory.limit_in_words is None:
        return ""
    return f" (limit {memory.limit_in_words}, in use {in_words(memory.used)})"


def _fault_of(error: ValidationError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{type(error).__name__}, {first_line(error)}"
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _stop(_signum: int, _frame: FrameType | None) -> None:
    raise _Stopped
