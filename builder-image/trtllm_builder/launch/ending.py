"""Ending of the launcher: exit code, reason, message and remedy, from a failure or from a diagnosis of its child."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trtllm_api.contract import TERMINATION_PATH, ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Progress
from trtllm_diagnosis import Certainty, Diagnosis

_MAX_TEXT: Final = 450
"""Most characters of message and of remedy: the kubelet keeps 4096 bytes, and they must be complete JSON."""
_PERMANENT: Final = {
    Reason.INVALID_OPTIONS: ExitCode.BAD_REQUEST,
    Reason.WORLD_SIZE_MISMATCH: ExitCode.BAD_REQUEST,
    Reason.KV_CACHE_TOO_SMALL: ExitCode.BAD_REQUEST,
    Reason.CUSTOM_CODE_NOT_TRUSTED: ExitCode.BAD_REQUEST,
    Reason.HEADS_NOT_DIVISIBLE: ExitCode.BAD_REQUEST,
    Reason.SHARD_NOT_ALIGNED: ExitCode.BAD_REQUEST,
    Reason.EXPERTS_NOT_DIVISIBLE: ExitCode.BAD_REQUEST,
    Reason.SOURCE_CORRUPT: ExitCode.BAD_MODEL,
    Reason.CHECKPOINT_MISMATCH: ExitCode.BAD_MODEL,
    Reason.TOKENIZER_UNUSABLE: ExitCode.BAD_MODEL,
    Reason.CHECKPOINT_NOT_SUPPORTED: ExitCode.NOT_SUPPORTED,
    Reason.ROPE_SCALING_NOT_SUPPORTED: ExitCode.NOT_SUPPORTED,
    Reason.GPU_NOT_SUPPORTED: ExitCode.NOT_SUPPORTED,
    Reason.QUANTIZATION_NOT_SUPPORTED: ExitCode.NOT_SUPPORTED,
    Reason.IMAGE_MISMATCH: ExitCode.NOT_SUPPORTED,
    Reason.VERSION_MISMATCH: ExitCode.NOT_SUPPORTED,
    Reason.ARCHITECTURE_NOT_SUPPORTED: ExitCode.NOT_SUPPORTED,
    Reason.ENGINE_INCOMPATIBLE: ExitCode.NOT_SUPPORTED,
    Reason.SOURCE_INCOMPLETE: ExitCode.INPUT_MISSING,
}
"""Failures that a restart of the same pod would repeat."""


@dataclass(frozen=True)
class Ending:
    """Content of the termination message, and the exit code."""

    exit_code: int
    reason: str
    message: str
    remedy: str


def of_failure(failure: BuilderFailure) -> Ending:
    """Ending because of a failed check."""
    return Ending(int(failure.exit_code), failure.reason, failure.message, failure.remedy)


def of_diagnosis(found: Diagnosis, *, was_ready: bool) -> Ending:
    """Ending because the child died. If it was ready before, the failure is transient: a restart may help."""
    code = ExitCode.TRANSIENT
    if not was_ready and found.certainty is Certainty.CERTAIN:
        code = _PERMANENT.get(found.reason, code)
    return Ending(int(code), found.reason, found.message, found.remedy)


def write(ending: Ending, progress: Progress) -> None:
    """Log the ending and write the termination message."""
    progress.say(f"{ending.reason}: {ending.message} {ending.remedy}")
    result = {"reason": ending.reason, "message": ending.message[:_MAX_TEXT], "remedy": ending.remedy[:_MAX_TEXT]}
    path = Path(os.environ.get("TERMINATION_LOG", TERMINATION_PATH))
    try:
        path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        progress.say(f"The termination log {path} cannot be written: {error.strerror}.")


def restart(reason: Reason, message: str) -> Ending:
    """Ending of a child that runs but does not work."""
    return Ending(
        int(ExitCode.TRANSIENT), reason, message, "The container restarts. The first error in its log is the cause."
    )
