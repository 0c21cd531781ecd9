"""How the launcher ends: reason, message, remedy and exit code, from a failure or from a dead child's last words."""

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
"""Of message and of remedy: the kubelet keeps 4096 bytes, and what it keeps must be JSON."""
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
"""What the same pod would meet again after a restart."""


@dataclass(frozen=True)
class Ending:
    """What the termination message says, and the exit code."""

    exit_code: int
    reason: str
    message: str
    remedy: str


def of_failure(failure: BuilderFailure) -> Ending:
    """The end that a check or the watch decided on."""
    return Ending(int(failure.exit_code), failure.reason, failure.message, failure.remedy)


def of_diagnosis(found: Diagnosis, *, was_ready: bool) -> Ending:
    """The end of a child that died by itself. What has served once can serve again: then a restart may help."""
    code = ExitCode.TRANSIENT
    if not was_ready and found.certainty is Certainty.CERTAIN:
        code = _PERMANENT.get(found.reason, code)
    return Ending(int(code), found.reason, found.message, found.remedy)


def write(ending: Ending, progress: Progress) -> None:
    """Say it, and leave it for the operator."""
    progress.say(f"{ending.reason}: {ending.message} {ending.remedy}")
    result = {"reason": ending.reason, "message": ending.message[:_MAX_TEXT], "remedy": ending.remedy[:_MAX_TEXT]}
    path = Path(os.environ.get("TERMINATION_LOG", TERMINATION_PATH))
    try:
        path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        progress.say(f"The termination log {path} cannot be written: {error.strerror}.")


def restart(reason: Reason, message: str) -> Ending:
    """The end of a child that lives and does nothing."""
    return Ending(
        int(ExitCode.TRANSIENT), reason, message, "The container restarts; the first error in its log is the cause."
    )
