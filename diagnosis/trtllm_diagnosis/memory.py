"""The sentence about a container that ran out of memory: for ended.py, and the builder, which sees it from inside."""

from __future__ import annotations

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.model import Certainty, Diagnosis

_GIB, _MIB = 1 << 30, 1 << 20


def out_of_memory(
    what: str, limit: str | None, peak: int | None = None, template: str = "spec.podTemplate"
) -> Diagnosis:
    """`what` was killed at the container's limit, or without one because the node had no more; peak in bytes."""
    numbers = [f"limit {limit}"] if limit else []
    numbers += [f"peak {in_words(peak)}"] if peak else []
    told = f" ({', '.join(numbers)})" if numbers else ""
    if limit:
        message = f"{what} was killed at its memory limit{told}."
        remedy = f"Set {template}.resources.limits.memory above {limit}."
    else:
        message = f"{what} was killed because the node ran out of memory{told}."
        remedy = f"Set {template}.resources.requests.memory to what the pod really uses."
    return diagnosis("oomkilled", Reason.HOST_OUT_OF_MEMORY, Certainty.CERTAIN, message, remedy, evidence="OOMKilled")


def in_words(size: int) -> str:
    """`3.9 GiB`, `812 MiB`."""
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"
