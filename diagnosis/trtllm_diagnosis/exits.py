"""Diagnosis from an exit code alone, weaker than any line of a log."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.model import Certainty, Diagnosis

_EXITS: Final[dict[int, tuple[Reason, str, str]]] = {
    126: (
        Reason.IMAGE_MISMATCH,
        "the container's command cannot be executed",
        "Check the image's processor architecture and the command's permissions.",
    ),
    127: (Reason.IMAGE_MISMATCH, "the container's command is not in the image", "Use the image that has it."),
    134: (Reason.CRASHED, "the process aborted (SIGABRT)", "Its last lines say which assertion failed."),
    135: (
        Reason.SHARED_MEMORY_TOO_SMALL,
        "the process got SIGBUS, most often because /dev/shm is too small",
        "Mount a memory-backed emptyDir at /dev/shm; Kubernetes gives 64 MB by default.",
    ),
    137: (
        Reason.HOST_OUT_OF_MEMORY,
        "the process was killed (SIGKILL), most often because the container ran out of memory",
        "Raise podTemplate.resources.limits.memory if the peak is near it; otherwise see who deleted the pod.",
    ),
    139: (
        Reason.CRASHED,
        "the process broke memory protection (SIGSEGV) in native code",
        "Try a newer image; its last lines say what it was doing.",
    ),
    143: (
        Reason.TERMINATED,
        "the process received SIGTERM: the pod was deleted, preempted or its probe failed",
        "Look at the pod's events; a startupProbe of 30 minutes lets large models load.",
    ),
}


def explain_exit(code: int | None) -> Diagnosis | None:
    """The diagnosis of a well-known exit code; a negative one is a signal, as Python reports it."""
    if code is not None and code < 0:
        code = 128 - code
    known = _EXITS.get(code) if code is not None else None
    if known is None:
        return None
    reason, message, remedy = known
    return diagnosis(f"exit{code}", reason, Certainty.LIKELY, f"{message} (exit code {code}).", remedy)
