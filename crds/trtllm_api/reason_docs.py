"""docs/reasons.md: every Reason with its meaning, its place, and whether the work is retried.

`python -m trtllm_api.reason_docs docs/reasons.md` writes it; `make generate` calls that.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.docstrings import member_docstrings
from trtllm_api.reasons import Reason


@dataclass(frozen=True)
class Group:
    """Reasons that appear in the same place."""

    title: str
    conditions: str
    event: str
    """Type of the Event that has this reason."""
    retried: str
    reasons: tuple[Reason, ...]


GROUPS = (
    Group(
        "Done",
        "Ready=True",
        "Normal",
        "not needed",
        (
            Reason.ARTIFACT_READY,
            Reason.ARTIFACT_REUSED,
            Reason.SERVING,
            Reason.SCALED_TO_ZERO,
            Reason.ENGINE_READY,
            Reason.ENGINE_REUSED,
        ),
    ),
    Group(
        "A stage has passed",
        "SourceReady, ModelReady, PreflightPassed, Quantized, QualityPassed, EngineReady, Available",
        "none",
        "not needed",
        (
            Reason.FETCHED,
            Reason.SOURCE_REUSED,
            Reason.MODEL_READY,
            Reason.LAST_GOOD_ARTIFACT,
            Reason.MODEL_UPDATING,
            Reason.PASSED,
            Reason.PASSED_BY_FALLBACK,
            Reason.WARNED,
            Reason.QUANTIZED,
            Reason.AVAILABLE,
        ),
    ),
    Group(
        "At work",
        "Ready=False, Reconciling=True, and the stage's own condition",
        "Normal",
        "goes on by itself",
        (
            Reason.FETCHING,
            Reason.QUANTIZING,
            Reason.CONVERTING,
            Reason.BUILDING,
            Reason.PUBLISHING,
            Reason.ROLLING_OUT,
            Reason.POD_PENDING,
            Reason.POD_STARTING,
            Reason.POD_RUNNING,
            Reason.POD_RETRYING,
            Reason.POD_MOVED,
            Reason.PULLING_IMAGE,
            Reason.RESULT_LOST,
        ),
    ),
    Group(
        "Waiting",
        "Ready=False, Reconciling=True; NotReached on the conditions of later stages",
        "Normal",
        "continues by itself once what it waits for exists",
        (
            Reason.NOT_REACHED,
            Reason.QUEUED,
            Reason.WAITING_FOR_SIBLING,
            Reason.MODEL_NOT_FOUND,
            Reason.MODEL_NOT_READY,
            Reason.DATASET_MISSING,
            Reason.NO_GPU_NODES,
            Reason.REPLICAS_NOT_READY,
            Reason.POD_REFUSED,
            Reason.APPLY_REFUSED,
            Reason.API_SERVER_ERROR,
            Reason.CHILDREN_CONTESTED,
            Reason.NAME_TAKEN,
        ),
    ),
    Group(
        "Stopped by the user",
        "Ready=False",
        "Normal",
        "goes on when the spec changes",
        (
            Reason.SUSPENDED,
            Reason.DELETING,
        ),
    ),
    Group(
        "Refused before a GPU is used",
        "Ready=False, Stalled=True, PreflightPassed=False",
        "Warning",
        "judged again when the spec, the model or the cluster's GPUs change",
        (
            Reason.INVALID_SPEC,
            Reason.ALREADY_QUANTIZED,
            Reason.CHECKPOINT_NOT_SUPPORTED,
            Reason.ARCHITECTURE_NOT_SUPPORTED,
            Reason.ROPE_SCALING_NOT_SUPPORTED,
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            Reason.QUANTIZATION_NOT_SUPPORTED,
            Reason.KV_CACHE_NOT_SUPPORTED,
            Reason.EFFECTIVE_BITS_OUT_OF_REACH,
            Reason.GROUP_SIZE_NOT_DIVISIBLE,
            Reason.MIXED_PRECISION_NOT_POSSIBLE,
            Reason.NO_METHOD_FITS,
            Reason.SEQUENCE_TOO_LONG,
            Reason.DATASET_TOKENS_DIFFER,
            Reason.METHOD_SLOW,
            Reason.GPU_NOT_SUPPORTED,
            Reason.NO_MATCHING_GPU,
            Reason.NO_LAYOUT_FITS,
            Reason.HEADS_NOT_DIVISIBLE,
            Reason.PIPELINE_TOO_LONG,
            Reason.EXPERTS_NOT_DIVISIBLE,
            Reason.EXPERT_PARALLELISM_INVALID,
            Reason.SHARD_NOT_ALIGNED,
            Reason.WORLD_SIZE_MISMATCH,
            Reason.GPUS_IDLE,
            Reason.TENSOR_SPANS_NODES,
            Reason.LIMITS_INVALID,
            Reason.SERVING_EXCEEDS_ENGINE,
            Reason.GPU_MEMORY_TOO_SMALL,
            Reason.HOST_MEMORY_TOO_SMALL,
            Reason.OPTIONS_CONFLICT,
            Reason.INVALID_OPTIONS,
            Reason.POD_UNSUITABLE,
            Reason.FALLBACK_REFUSED,
            Reason.LEADER_WORKER_SET_MISSING,
        ),
    ),
    Group(
        "The source",
        "Ready=False, Stalled=True, SourceReady=False or ModelReady=False",
        "Warning",
        "RateLimited and SourceUnreachable: by the Job, with back-off; the others when the spec changes, or with "
        "the annotation `trtllm.dev/retry`",
        (
            Reason.SOURCE_NOT_FOUND,
            Reason.SOURCE_ACCESS_DENIED,
            Reason.SOURCE_UNREACHABLE,
            Reason.RATE_LIMITED,
            Reason.SOURCE_CORRUPT,
            Reason.SOURCE_INCOMPLETE,
            Reason.STORAGE_FULL,
            Reason.DATASET_UNUSABLE,
            Reason.TOKENIZER_UNUSABLE,
            Reason.CHAT_TEMPLATE_MISSING,
            Reason.MODEL_FAILED,
        ),
    ),
    Group(
        "Quality",
        "Ready=False, Stalled=True, QualityPassed=False; per candidate in status.quality",
        "Warning",
        "when the spec changes",
        (
            Reason.QUALITY_REFUSED,
            Reason.QUALITY_PASSED,
            Reason.NOT_A_NUMBER,
            Reason.DEGENERATE_OUTPUT,
            Reason.PERPLEXITY_TOO_HIGH,
            Reason.DIVERGENCE_TOO_HIGH,
            Reason.AGREEMENT_TOO_LOW,
            Reason.CANARY_WRONG,
        ),
    ),
    Group(
        "A Job failed",
        "Ready=False, Stalled=True, and the stage's own condition",
        "Warning",
        "when the spec changes, or with the annotation `trtllm.dev/retry`",
        (
            Reason.BAD_REQUEST,
            Reason.CALIBRATION_FAILED,
            Reason.EXPORT_INCOMPLETE,
            Reason.CONVERSION_FAILED,
            Reason.ENGINE_BUILD_FAILED,
            Reason.CHECKPOINT_MISMATCH,
            Reason.OPTIONS_DOWNGRADED,
            Reason.ARTIFACT_CORRUPT,
            Reason.IMAGE_MISMATCH,
            Reason.VERSION_MISMATCH,
            Reason.BAD_TERMINATION,
            Reason.INTERNAL_ERROR,
            Reason.DEADLINE_EXCEEDED,
            Reason.UNKNOWN,
        ),
    ),
    Group(
        "GPUs, memory and processes",
        "Ready=False, Stalled=True (or Reconciling=True while it is retried)",
        "Warning",
        "by the Job or the kubelet a few times; then when the spec changes",
        (
            Reason.NO_GPU,
            Reason.TOO_FEW_GPUS,
            Reason.GPU_MISMATCH,
            Reason.GPU_FAULT,
            Reason.GPU_OUT_OF_MEMORY,
            Reason.DRIVER_TOO_OLD,
            Reason.HOST_OUT_OF_MEMORY,
            Reason.EPHEMERAL_STORAGE_FULL,
            Reason.SHARED_MEMORY_TOO_SMALL,
            Reason.PERMISSION_DENIED,
            Reason.FILE_NOT_FOUND,
            Reason.LAUNCH_FAILED,
            Reason.COMMUNICATION_FAILED,
            Reason.CRASHED,
            Reason.TERMINATED,
        ),
    ),
    Group(
        "Servers",
        "Ready=False, Stalled=True, Available",
        "Warning",
        "by the kubelet, with back-off; old servers keep serving",
        (
            Reason.ROLLOUT_FAILED,
            Reason.UNAVAILABLE,
            Reason.ENGINE_INCOMPATIBLE,
            Reason.KV_CACHE_TOO_SMALL,
            Reason.REQUEST_TOO_LONG,
            Reason.BIND_FAILED,
            Reason.EXECUTOR_CRASHED,
            Reason.PROBE_FAILED,
            Reason.CRASH_LOOP,
        ),
    ),
    Group(
        "Pods that do not start",
        "Ready=False, Reconciling=True; Stalled=True once a deadline is over",
        "Normal, then Warning",
        "by Kubernetes",
        (
            Reason.UNSCHEDULABLE,
            Reason.EVICTED,
            Reason.IMAGE_PULL_FAILED,
            Reason.CONTAINER_CONFIG_INVALID,
            Reason.VOLUME_NOT_MOUNTED,
            Reason.POD_NETWORK_FAILED,
        ),
    ),
)


def meanings() -> dict[Reason, str]:
    """Meaning of each reason, and what to do: its docstring."""
    return {Reason(value): text for value, text in member_docstrings(Reason).items()}


def page() -> str:
    """The whole page, as Markdown."""
    return "\n\n".join([_HEAD, *(_section(group) for group in GROUPS)]) + "\n"


def _section(group: Group) -> str:
    texts = meanings()
    rows = "\n".join(f"| `{reason}` | {texts[reason]} |" for reason in group.reasons)
    places = f"Conditions: {group.conditions}. Event: {group.event}. Retried: {group.retried}."
    return f"## {group.title}\n{places}\n\n| reason | meaning, and what to do |\n|---|---|\n{rows}"


_HEAD = """# Reasons
Generated by `python -m trtllm_api.reason_docs docs/reasons.md`; do not edit.

A reason is the machine-readable word of a condition, of an Event, and of the label `reason` of the metric
`trtllm_operator_failures_total`. The condition's message has the numbers and the remedy of the case at hand."""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
