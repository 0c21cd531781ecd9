"""From a diagnosis of a program's output to the failure that a user reads; convert.py, ranks.py and identity.py ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trtllm_api.contract import ExitCode, FailureReason
from trtllm_builder.engine.process import Ended
from trtllm_builder.failure import BuilderFailure
from trtllm_diagnosis import Diagnosis, DiagnosisReason

_REASONS: Final[Mapping[DiagnosisReason, tuple[FailureReason, ExitCode]]] = {
    DiagnosisReason.STORAGE_FULL: (FailureReason.STORAGE_TOO_SMALL, ExitCode.INPUT_MISSING),
    DiagnosisReason.EPHEMERAL_STORAGE_FULL: (FailureReason.STORAGE_TOO_SMALL, ExitCode.INPUT_MISSING),
    DiagnosisReason.CORRUPT_CHECKPOINT: (FailureReason.SOURCE_CORRUPT, ExitCode.BAD_MODEL),
    DiagnosisReason.WEIGHTS_NOT_FOUND: (FailureReason.SOURCE_INCOMPLETE, ExitCode.BAD_MODEL),
    DiagnosisReason.REMOTE_CODE_REQUIRED: (FailureReason.CUSTOM_CODE_NOT_TRUSTED, ExitCode.BAD_MODEL),
    DiagnosisReason.UNKNOWN_MODEL_TYPE: (FailureReason.ARCHITECTURE_NOT_SUPPORTED, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.UNSUPPORTED_ARCHITECTURE: (FailureReason.ARCHITECTURE_NOT_SUPPORTED, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.QUANTIZATION_UNSUPPORTED: (FailureReason.QUANTIZATION_NOT_SUPPORTED, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.CALIBRATION_DATA: (FailureReason.DATASET_UNUSABLE, ExitCode.INPUT_MISSING),
    DiagnosisReason.NO_GPU: (FailureReason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.TOO_FEW_GPUS: (FailureReason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.GPU_UNSUPPORTED: (FailureReason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.WRONG_IMAGE: (FailureReason.IMAGE_MISMATCH, ExitCode.NOT_SUPPORTED),
    DiagnosisReason.VERSION_MISMATCH: (FailureReason.IMAGE_MISMATCH, ExitCode.NOT_SUPPORTED),
}
_OF_THE_MODEL: Final = frozenset(
    {
        DiagnosisReason.CHECKPOINT_FORMAT,
        DiagnosisReason.CHECKPOINT_MISMATCH,
        DiagnosisReason.TOKENIZER,
        DiagnosisReason.ROPE_SCALING,
    }
)
_PASSING: Final = frozenset(
    {
        DiagnosisReason.HOST_OUT_OF_MEMORY,
        DiagnosisReason.GPU_OUT_OF_MEMORY,
        DiagnosisReason.RATE_LIMITED,
        DiagnosisReason.HUB_UNREACHABLE,
        DiagnosisReason.GPU_FAULT,
        DiagnosisReason.COMMUNICATION_FAILED,
        DiagnosisReason.TERMINATED,
    }
)
"""Another try, perhaps on another node, can end otherwise."""


def failure_of(program: str, ended: Ended, otherwise: FailureReason) -> BuilderFailure:
    """Why the program failed, in the diagnosis' words; `otherwise` is the reason where there is no diagnosis."""
    found = ended.diagnosis
    if found is None:
        return BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            otherwise,
            f"{program} ended with {ended.how}, and its output names no error.",
            "The pod's log has all of its output.",
        )
    reason, code = _known(found, otherwise)
    return BuilderFailure(code, reason, f"{program} failed ({ended.how}): {found.message}", found.remedy)


def _known(found: Diagnosis, otherwise: FailureReason) -> tuple[FailureReason | DiagnosisReason, ExitCode]:
    if found.reason is DiagnosisReason.UNKNOWN:
        return otherwise, ExitCode.NOT_SUPPORTED
    if found.reason in _PASSING:
        return found.reason, ExitCode.TRANSIENT
    if found.reason in _OF_THE_MODEL:
        return found.reason, ExitCode.BAD_MODEL
    return _REASONS.get(found.reason, (found.reason, ExitCode.NOT_SUPPORTED))
