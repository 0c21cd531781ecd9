"""What the operator would say about documents: the same rules, the same planner; pure, called by the plan command."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import ArtifactStatus, CandidatePlan, MethodLadder, QuantizationPlan, QuantizedModelStatus
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, refusals, warning
from trtllm_cli.documents import Document
from trtllm_planner.decide import Decision, Refused, decide
from trtllm_planner.inventory import Inventory
from trtllm_planner.quantization.decide import decide_quantization
from trtllm_planner.quantization.rules import QUANTIZE_RULES
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.spec_question import asked_layout, engine_question

_UNMADE = "sha256:" + "0" * 64
"""Of an artifact that is planned: nothing is decided by it."""


@dataclass(frozen=True)
class Answer:
    """What was found out about one document."""

    document: Document
    verdicts: tuple[Verdict, ...] = ()
    rules: int = 0
    """How many were asked."""
    facts: ModelFacts | None = None
    quantization: QuantizationPlan | None = None
    decision: Decision | None = None
    would_fit: tuple[str, ...] = ()
    note: str = ""
    """Why there is neither a plan nor a Verdict."""

    @property
    def refused(self) -> bool:
        """The operator would refuse it, or the API server would."""
        return bool(refusals(self.verdicts))


@dataclass(frozen=True)
class Subject:
    """The checkpoint of an engine."""

    facts: ModelFacts
    candidates: tuple[tuple[ArtifactStatus, CandidatePlan | None], ...] = ()
    """Artifacts in the order in which the quality gate would try them; none: a source that is used as it is."""
    access_mode: str | None = None


def judge_model(
    document: Document, spec: QuantizedModelSpec, facts: ModelFacts, ladder: MethodLadder | None = None
) -> Answer:
    """A QuantizedModel: every rule, and what would be tried; `ladder` where it names no method."""
    decided = decide_quantization(spec, facts, ladder)
    return Answer(document, decided.verdicts, len(QUANTIZE_RULES), facts, decided.plan)


def judge_engine(document: Document, spec: EngineBuildSpec, subject: Subject, gpus: Inventory) -> Answer:
    """An EngineBuild: every rule, and the plan; with fallbacks, whether they would fit as well."""
    if spec.runtime is Runtime.TRANSFORMERS:
        return Answer(
            document, facts=subject.facts, note="runtime Transformers runs on any CPU or GPU: nothing to plan"
        )
    first, *others = [_decide(spec, subject, artifact, plan, gpus) for artifact, plan in subject.candidates] or [
        _decide(spec, subject, None, None, gpus)
    ]
    rules = len(ENGINE_RULES)
    if isinstance(first, Refused):
        return Answer(document, first.verdicts, rules, subject.facts, would_fit=first.would_fit)
    methods = [artifact.method for artifact, _ in subject.candidates[1:]]
    fallbacks = tuple(
        _fallback(str(method), found)
        for method, found in zip(methods, others, strict=True)
        if isinstance(found, Refused)
    )
    return Answer(document, (*first.warnings, *fallbacks), rules, subject.facts, decision=first)


def planned_subject(answer: Answer) -> Subject | None:
    """Checkpoint that a QuantizedModel of the files will have; None if it is refused."""
    document, spec = answer.document, answer.document.spec
    if not isinstance(spec, QuantizedModelSpec) or answer.facts is None or answer.quantization is None:
        return None
    # what Mixed leaves in full precision is found out while it quantizes
    plans = [plan for plan in answer.quantization.candidates if plan.method is not Method.MIXED]
    made = tuple((_artifact(spec, plan, document.key.name), plan) for plan in plans)
    return Subject(answer.facts, made, spec.storage.access_mode)


def published_subject(status: QuantizedModelStatus) -> Subject | None:
    """What it is made of where the QuantizedModel is in the cluster; None while it has no artifact."""
    artifact, facts = status.artifact, status.model_facts
    if artifact is None or facts is None:
        return None
    plans = status.plan.candidates if status.plan is not None else ()
    made = (
        plan.model_copy(update={"exclude_modules": artifact.exclude_modules})
        for plan in plans
        if (plan.method, plan.group_size) == (artifact.method, artifact.group_size)
    )
    return Subject(facts, ((artifact, next(made, None)),))


def not_judged(document: Document, model: Answer) -> Answer:
    """An EngineBuild whose QuantizedModel is refused."""
    first = next(iter(refusals(model.verdicts)), None)
    message = f"{model.document.key} is refused" + (f" ({first.reason})" if first is not None else "")
    return Answer(document, (refusal(Reason.MODEL_FAILED, message, "fix this first"),))


def _decide(
    spec: EngineBuildSpec,
    subject: Subject,
    artifact: ArtifactStatus | None,
    plan: CandidatePlan | None,
    gpus: Inventory,
) -> Decision | Refused:
    question = engine_question(
        spec,
        subject.facts,
        artifact=artifact,
        kv_cache=plan.kv_cache if plan is not None else None,
        exclude_modules=plan.exclude_modules if plan is not None else (),
        access_mode=subject.access_mode or spec.storage.access_mode,
    )
    return decide(question, asked_layout(spec, artifact), gpus, spec.gpu)


def _fallback(method: str, found: Refused) -> Verdict:
    first = found.verdicts[0]
    message = f"if the quality gate steps down to {method}, the engine is refused: {first.message}"
    return warning(Reason.FALLBACK_REFUSED, message, first.remedy, first.numbers)


def _artifact(spec: QuantizedModelSpec, plan: CandidatePlan, name: str) -> ArtifactStatus:
    return ArtifactStatus(
        request_digest=_UNMADE,
        digest=_UNMADE,
        claim_name=spec.storage.claim_name,
        path=f"artifacts/{name}",
        bytes=0,
        method=plan.method,
        group_size=plan.group_size,
        checkpoint=spec.checkpoint,
    )
