"""The decision about a quantization before it begins: verdicts, and the plan if none refuses."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import MethodLadder, QuantizationPlan
from trtllm_api.problem import as_sentence
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_api.verdict import Verdict, judge, refusals, warnings
from trtllm_planner.quantization.candidates import quantization_plan
from trtllm_planner.quantization.ladder import fitting, nothing_left
from trtllm_planner.quantization.question import QuantizeQuestion
from trtllm_planner.quantization.rules import QUANTIZE_RULES


@dataclass(frozen=True)
class Decided:
    """Every verdict, and the plan. There is none if a verdict refuses, or if no GPU is known to plan a method for."""

    verdicts: tuple[Verdict, ...]
    plan: QuantizationPlan | None

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """Verdicts that refuse."""
        return refusals(self.verdicts)


def decide_quantization(spec: QuantizedModelSpec, facts: ModelFacts, ladder: MethodLadder | None) -> Decided:
    """`ladder` where the spec names no method; None while there is no GPU to decide it for."""
    question, why = QuantizeQuestion(spec, facts), tuple[str, ...]()
    if spec.quantization.method is not None:
        ladder = None
    elif ladder is not None:
        found = fitting(question, ladder)
        question, why = QuantizeQuestion(spec, facts, found.methods), found.why
    verdicts = judge(QUANTIZE_RULES, question)
    if refusals(verdicts) or (spec.quantization.method is None and ladder is None):
        return Decided(verdicts, None)
    if not question.methods():
        return Decided((nothing_left(spec, ladder, why), *verdicts) if ladder else verdicts, None)
    plan = quantization_plan(question, warnings(verdicts))
    return Decided(
        verdicts, plan.model_copy(update={"ladder": ladder, "why": tuple(map(as_sentence, (*why, *plan.why)))})
    )
