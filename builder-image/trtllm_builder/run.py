"""Run one BuildRequest: whatever happens, a BuildResult is written and the exit code says which kind it was."""

from __future__ import annotations

import signal
import traceback
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from trtllm_api.contract import BuildRequest, BuildResult, ExitCode, FailureReason, Stage
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.fetch import run_fetch
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store


class _Stopped(BaseException):
    """SIGTERM: the pod is drained, preempted or deleted."""


def run(request_path: Path, store: Path, source: Path, termination: Path) -> int:
    """Read the request, do it, write the result; returns the exit code."""
    progress = Progress()
    signal.signal(signal.SIGTERM, _stop)
    stage = Stage.FETCH
    try:
        request = BuildRequest.model_validate_json(request_path.read_bytes())
        stage = request.stage
        result = _do(request, Store(store), progress, source)
    except BuilderFailure as failure:
        result = BuildResult(
            stage=stage,
            exit_code=failure.exit_code,
            reason=failure.reason,
            message=failure.message,
            remedy=failure.remedy,
            quantize=failure.quantize,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        result = _failed(
            stage,
            ExitCode.BAD_REQUEST,
            FailureReason.BAD_REQUEST,
            f"The request's {where}: {first['msg']}.",
            "Operator and builder image are of different versions: set both from one release.",
        )
    except _Stopped:
        result = _failed(
            stage, ExitCode.TRANSIENT, FailureReason.INTERNAL_ERROR, "The pod was told to stop.", "It is tried again."
        )
    except MemoryError:
        result = _failed(
            stage,
            ExitCode.TRANSIENT,
            FailureReason.OUT_OF_MEMORY,
            "The container ran out of memory.",
            "Raise spec.podTemplate.resources.limits.memory.",
        )
    except Exception as error:
        traceback.print_exc()
        if "out of memory" in str(error).lower():
            result = _failed(
                stage,
                ExitCode.TRANSIENT,
                FailureReason.OUT_OF_MEMORY,
                f"The GPU ran out of memory: {_first_line(error)}",
                "Lower calibration.batchSize or sequenceLength, or use a GPU with more memory.",
            )
        else:
            result = _failed(
                stage,
                ExitCode.TRANSIENT,
                FailureReason.INTERNAL_ERROR,
                f"{type(error).__name__}: {_first_line(error)}",
                "The pod's log has the traceback. It is tried again.",
            )
    if result.message:
        progress.say(f"{result.message} {result.remedy}")
    termination.write_bytes(result.to_termination_message())
    return result.exit_code


def _do(request: BuildRequest, store: Store, progress: Progress, source: Path) -> BuildResult:
    if request.fetch is not None:
        fetched = run_fetch(request.fetch, store, progress, request.request_digest, source)
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK, fetch=fetched)
    if request.quantize is not None:
        # torch is imported for this stage only: seconds, and hundreds of megabytes
        from trtllm_builder.quantize import run_quantize

        quantized = run_quantize(
            request.quantize, store, progress, request.request_digest, f"{request.namespace}/{request.name}"
        )
        return BuildResult(stage=request.stage, exit_code=ExitCode.OK, quantize=quantized)
    raise BuilderFailure(
        ExitCode.BAD_REQUEST,
        FailureReason.BAD_REQUEST,
        f"The request for stage {request.stage} has no part for it.",
        "Operator and builder image are of different versions: set both from one release.",
    )


def _failed(stage: Stage, code: ExitCode, reason: FailureReason, message: str, remedy: str) -> BuildResult:
    return BuildResult(stage=stage, exit_code=code, reason=reason, message=message, remedy=remedy)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no message"


def _stop(signum: int, frame: FrameType | None) -> None:
    raise _Stopped
