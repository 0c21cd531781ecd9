"""The sentence about a container that ran out of memory: for ended.py, and the builder, which sees it from inside."""

from __future__ import annotations

from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.model import Certainty, Diagnosis

_BY_STAGE: Final = (
    (
        ("trtllm-serve", "uvicorn running", "tritonserver"),
        (
            "Raise resources.limits.memory of spec.serving.podTemplate; a server needs room for its weights while it "
            "loads, and for kv_cache_config.host_cache_size if that is set."
        ),
    ),
    (
        ("trtllm-build", "convert_checkpoint", "modelopt", "calibrat", "quantiz"),
        "Raise podTemplate.resources.limits.memory; conversion and builds need up to 2.7x the source's bytes.",
    ),
    (
        ("snapshot_download", "huggingface_hub", "fetching ", "downloading", "hf_xet", "hf download"),
        (
            "Raise podTemplate.resources.limits.memory; a download needs little by itself: fewer parallel connections "
            "(HF_XET_HIGH_PERFORMANCE=0), and no memory-backed volume as its target."
        ),
    ),
)
"""Words of a log, and the remedy of the stage that writes them; the last stage of a pod first."""
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


def remedy_by_stage(said: str) -> str:
    """Remedies for a stage that ran out of memory, by the programs that its log names, in lower case."""
    for words, remedy in _BY_STAGE:
        if any(word in said for word in words):
            return remedy
    return ""


def in_words(size: int) -> str:
    """`3.9 GiB`, `812 MiB`."""
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"
