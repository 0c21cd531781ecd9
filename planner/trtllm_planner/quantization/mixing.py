"""The rule mixed_precision, and the methods that fallback Mixed can combine with full precision."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.quantization.question import QuantizeQuestion


def why_no_mix(method: Method, checkpoint: Checkpoint) -> str:
    """Reason why fallback Mixed cannot mix a method, as a clause; empty if it can."""
    if method is Method.NONE:
        return "None has full precision already"
    if method is Method.AUTO:
        return "Auto would choose other formats, so that no mix of it can be measured beforehand"
    if checkpoint.format is not CheckpointFormat.TENSORRT_LLM:
        return ""
    if checkpoint.pipeline > 1:
        return "a TensorRTLLM checkpoint of several stages has no names for the layers of one stage alone"
    if method is Method.FP8_PER_CHANNEL_PER_TOKEN:
        return f"a TensorRTLLM checkpoint holds whole blocks in {method}"
    if method is Method.INT8_WEIGHT_ONLY:
        return f"a TensorRTLLM checkpoint holds {method} unpacked, as large as in full precision"
    return ""


def mixed_precision(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse fallback Mixed without a method before it that it can mix."""
    methods, named = question.methods(), question.spec.quantization.method is not None
    if Method.MIXED not in methods:
        return
    before = methods[: methods.index(Method.MIXED)]
    reasons = [why_no_mix(method, question.spec.checkpoint) for method in before]
    if all(reasons) and (named or before):
        yield refusal(
            Reason.MIXED_PRECISION_NOT_POSSIBLE,
            "fallback Mixed has no method before it that it can mix"
            + (f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""),
            "remove Mixed from quality.fallbacks, or name a method before it that it can mix",
        )
