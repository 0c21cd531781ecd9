"""Judges documents with the operator's own rules and planner. Pure: no I/O."""

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
"""Digest of an artifact that does not exist yet. No decision depends on it."""


@dataclass(frozen=True)
class Answer:
    """Result of one document."""

    document: Document
    verdicts: tuple[Verdict, ...] = ()
    rules: int = 0
    """Number of rules that were judged."""
    facts: ModelFacts | None = None
    quantization: QuantizationPlan | None = None
    decision: Decision | None = None
    would_fit: tuple[str, ...] = ()
    note: str = ""
    """Reason why there is neither a plan nor a Verdict."""

    @property
    def refused(self) -> bool:
        """True if the API server or the operator would refuse it."""
        return bool(refusals(self.verdicts))


@dataclass(frozen=True)
class Subject:
    """The checkpoint of an engine."""

    facts: ModelFacts
    candidates: tuple[tuple[ArtifactStatus, CandidatePlan | None], ...] = ()
    """Artifacts in the order in which the quality gate would try them; empty for a source that is used as it is."""
    access_mode: str | None = None


def judge_model(
    document: Document, spec: QuantizedModelSpec, facts: ModelFacts, ladder: MethodLadder | None = None
) -> Answer:
    """Verdicts and plan of a QuantizedModel; `ladder` if it names no method."""
    decided = decide_quantization(spec, facts, ladder)
    return Answer(document, decided.verdicts, len(QUANTIZE_RULES), facts, decided.plan)


def judge_engine(document: Document, spec: EngineBuildSpec, subject: Subject, gpus: Inventory) -> Answer:
    """Verdicts and plan of an EngineBuild, and a warning for each fallback that would be refused."""
    if spec.runtime is Runtime.TRANSFORMERS:
        return Answer(
            document, facts=subject.facts, note="Runtime Transformers needs no plan: it runs on any CPU or GPU."
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
    """Checkpoint of a QuantizedModel in the files; None if it is refused."""
    document, spec = answer.document, answer.document.spec
    if not isinstance(spec, QuantizedModelSpec) or answer.facts is None or answer.quantization is None:
        return None
    # the modules that Mixed leaves in full precision are known only after quantization
    plans = [plan for plan in answer.quantization.candidates if plan.method is not Method.MIXED]
    made = tuple((_artifact(spec, plan, document.key.name), plan) for plan in plans)
    return Subject(answer.facts, made, spec.storage.access_mode)


def published_subject(status: QuantizedModelStatus) -> Subject | None:
    """Checkpoint of a QuantizedModel in the cluster; None if it has no artifact yet."""
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
    """Answer for an EngineBuild whose QuantizedModel is refused."""
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
