"""Turns the diagnosis of a program's output into the failure that a user reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.engine.process import Ended
from trtllm_builder.failure import BuilderFailure
from trtllm_diagnosis import Diagnosis

_PERMANENT: Final[Mapping[Reason, tuple[Reason, ExitCode]]] = {
    Reason.STORAGE_FULL: (Reason.STORAGE_FULL, ExitCode.INPUT_MISSING),
    Reason.EPHEMERAL_STORAGE_FULL: (Reason.STORAGE_FULL, ExitCode.INPUT_MISSING),
    Reason.SOURCE_CORRUPT: (Reason.SOURCE_CORRUPT, ExitCode.BAD_MODEL),
    Reason.SOURCE_INCOMPLETE: (Reason.SOURCE_INCOMPLETE, ExitCode.BAD_MODEL),
    Reason.CUSTOM_CODE_NOT_TRUSTED: (Reason.CUSTOM_CODE_NOT_TRUSTED, ExitCode.BAD_MODEL),
    Reason.ARCHITECTURE_NOT_SUPPORTED: (Reason.ARCHITECTURE_NOT_SUPPORTED, ExitCode.NOT_SUPPORTED),
    Reason.QUANTIZATION_NOT_SUPPORTED: (Reason.QUANTIZATION_NOT_SUPPORTED, ExitCode.NOT_SUPPORTED),
    Reason.DATASET_UNUSABLE: (Reason.DATASET_UNUSABLE, ExitCode.INPUT_MISSING),
    Reason.NO_GPU: (Reason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    Reason.TOO_FEW_GPUS: (Reason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    Reason.GPU_NOT_SUPPORTED: (Reason.GPU_MISMATCH, ExitCode.NOT_SUPPORTED),
    Reason.IMAGE_MISMATCH: (Reason.IMAGE_MISMATCH, ExitCode.NOT_SUPPORTED),
    Reason.VERSION_MISMATCH: (Reason.IMAGE_MISMATCH, ExitCode.NOT_SUPPORTED),
}
_MODEL_FAULTS: Final = frozenset(
    {
        Reason.CHECKPOINT_NOT_SUPPORTED,
        Reason.CHECKPOINT_MISMATCH,
        Reason.TOKENIZER_UNUSABLE,
        Reason.ROPE_SCALING_NOT_SUPPORTED,
    }
)
_TRANSIENT: Final = frozenset(
    {
        Reason.HOST_OUT_OF_MEMORY,
        Reason.GPU_OUT_OF_MEMORY,
        Reason.RATE_LIMITED,
        Reason.SOURCE_UNREACHABLE,
        Reason.GPU_FAULT,
        Reason.COMMUNICATION_FAILED,
        Reason.TERMINATED,
    }
)
"""Failures that another attempt, perhaps on another node, may not have."""


def failure_of(program: str, ended: Ended, otherwise: Reason) -> BuilderFailure:
    """Failure of the program with the diagnosis' cause and remedy; `otherwise` is the reason if there is none."""
    found = ended.diagnosis
    if found is None:
        return BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            otherwise,
            f"{program} failed with {ended.how}, and its output contains no known error.",
            "Read the pod's log, which has the whole output.",
        )
    reason, code = _known(found, otherwise)
    return BuilderFailure(code, reason, f"{program} failed ({ended.how}): {found.message}", found.remedy)


def _known(found: Diagnosis, otherwise: Reason) -> tuple[Reason, ExitCode]:
    if found.reason is Reason.UNKNOWN:
        return otherwise, ExitCode.NOT_SUPPORTED
    if found.reason in _TRANSIENT:
        return found.reason, ExitCode.TRANSIENT
    if found.reason in _MODEL_FAULTS:
        return found.reason, ExitCode.BAD_MODEL
    return _PERMANENT.get(found.reason, (found.reason, ExitCode.NOT_SUPPORTED))
