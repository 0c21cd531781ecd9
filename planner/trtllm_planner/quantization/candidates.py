"""The plan of a quantization: every method to try with every option decided, and why."""

from __future__ import annotations

from trtllm_api.modelstatus import CandidatePlan, QuantizationPlan
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method, Quantization
from trtllm_api.verdict import Verdict
from trtllm_planner.quantization.groupsize import is_grouped, planned_group_size
from trtllm_planner.quantization.question import QuantizeQuestion


def quantization_plan(question: QuantizeQuestion, notes: tuple[Verdict, ...] = ()) -> QuantizationPlan:
    """Plan for a question that no rule refuses; `notes` are its warnings, which become part of why."""
    quantization = question.spec.quantization
    methods = question.methods() if question.spec.quality.on_failure is OnFailure.FALLBACK else question.methods()[:1]
    why: list[str] = []
    candidates = []
    for method in methods:
        size = None
        if method is Method.MIXED:
            why.append(
                "Mixed: the smallest refused candidate that passes, as measured, with some modules in full precision"
            )
        if is_grouped(method, quantization):
            size, reason = _group_size(question, quantization)
            why.append(f"{method}: {reason}")
        candidates.append(_candidate(method, size, quantization))
    return QuantizationPlan(candidates=tuple(candidates), why=(*why, *(note.sentence for note in notes)))


def _group_size(question: QuantizeQuestion, quantization: Quantization) -> tuple[int | None, str]:
    if quantization.group_size is not None:
        return quantization.group_size, f"group size {quantization.group_size}, as the spec sets it"
    return planned_group_size(question.facts, quantization)


def _candidate(method: Method, size: int | None, quantization: Quantization) -> CandidatePlan:
    if method in {Method.NONE, Method.MIXED}:
        return CandidatePlan(method=method)
    return CandidatePlan(
        method=method,
        group_size=size,
        kv_cache=quantization.kv_cache,
        smooth_quant_alpha=quantization.smooth_quant_alpha if method is Method.INT8_SMOOTH_QUANT else None,
        exclude_modules=quantization.exclude_modules,
        auto=quantization.auto if method is Method.AUTO else None,
    )
