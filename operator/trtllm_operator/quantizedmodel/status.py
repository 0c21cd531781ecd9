"""compute_status: what users see of a State; pure."""

from __future__ import annotations

from datetime import datetime

from trtllm_api.meta import ConditionStatus, HistoryEntry, Progress
from trtllm_api.modelstatus import ArtifactStatus, QuantizationPlan, QuantizedModelStatus, Verdict
from trtllm_api.problem import as_sentence
from trtllm_api.reasons import Reason
from trtllm_api.verdict import warnings
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.outcomes.job import JobFailed, JobRunning
from trtllm_operator.outcomes.progress import progress_of_line, starting
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.sentences import candidates_sentence, explained
from trtllm_operator.quantizedmodel.stage import Stage
from trtllm_operator.quantizedmodel.state import State, StateKind
from trtllm_operator.shared.conditions import (
    Fact,
    conditions,
    cut,
    ready,
    reconciling,
    stalled,
    suspended,
    timestamp,
)

MAX_HISTORY = 10
_STAGES = {
    StateKind.DELETING: Stage.DELETING,
    StateKind.INVALID: Stage.FAILED,
    StateKind.SUSPENDED: Stage.SUSPENDED,
    StateKind.WAITING: Stage.WAITING,
    StateKind.FETCHING: Stage.FETCHING,
    StateKind.REFUSED: Stage.FAILED,
    StateKind.QUANTIZING: Stage.QUANTIZING,
    StateKind.FAILED: Stage.FAILED,
    StateKind.READY: Stage.READY,
}
_PENDING = "waiting for an earlier stage"


def compute_status(observed: Observed, state: State, now: datetime) -> QuantizedModelStatus:
    """The whole status; the last good artifact and its source stay until better is known."""
    known, before = state.known, observed.status
    source, facts = known.source, known.facts
    if source is None and before.source is not None and before.source.request_digest == observed.source_digest:
        source, facts = before.source, before.model_facts
    artifact = known.artifact or before.artifact
    return QuantizedModelStatus(
        observed_generation=observed.generation,
        stage=_STAGES[state.kind],
        conditions=conditions(_facts(observed, state), before.conditions, observed.generation, now),
        progress=_progress(observed, state),
        source=source or (before.source if artifact else None),
        model_facts=facts or (before.model_facts if artifact else None),
        plan=known.plan or _kept_plan(observed),
        quality=known.quality or (before.quality if state.kind is not StateKind.FAILED and artifact else None),
        artifact=artifact,
        history=_history(observed, state, now),
    )


def _kept_plan(observed: Observed) -> QuantizationPlan | None:
    """A ladder stays decided while its spec cannot be read, or its source is fetched anew."""
    before = observed.status.plan
    if before is None or before.ladder is None:
        return None
    return before if observed.spec is None or observed.ladder == before.ladder else None


def _facts(observed: Observed, state: State) -> tuple[Fact, ...]:
    return (
        *_overall(observed, state),
        _source_ready(observed, state),
        _preflight_passed(state),
        _quantized(state),
        _quality_passed(observed, state),
    )


def _overall(observed: Observed, state: State) -> tuple[Fact, ...]:
    message = _message(observed, state)
    match state.kind:
        case StateKind.READY:
            return ready(state.reason, message)
        case StateKind.FAILED | StateKind.REFUSED | StateKind.INVALID:
            return stalled(state.reason, message)
        case StateKind.SUSPENDED:
            return suspended(state.reason, message)
        case _:
            return reconciling(state.reason, message)


def _message(observed: Observed, state: State) -> str:
    if state.known.quality is None or state.kind not in {StateKind.READY, StateKind.FAILED}:
        return state.message
    told = candidates_sentence(state.known.quality, observed.spec)
    if state.kind is StateKind.READY:
        return f"{as_sentence(state.message)} {told}" if told else state.message
    if state.reason == Reason.QUALITY_REFUSED and isinstance(state.outcome, JobFailed):
        said = f"{as_sentence(told)} {as_sentence(state.outcome.remedy)}"
        why = explained(state.known.quality, observed.spec)
        return f"{said} {why}" if why else said
    return f"{as_sentence(told)} {as_sentence(state.message)}" if told else state.message


def _source_ready(observed: Observed, state: State) -> Fact:
    kind, known = "SourceReady", state.known
    if known.source is not None:
        said = next((c for c in observed.status.conditions if c.type == kind), None)
        if said is not None and said.status is ConditionStatus.TRUE and observed.status.source == known.source:
            before = Reason.SOURCE_REUSED if said.reason == Reason.SOURCE_REUSED else Reason.FETCHED
            return Fact(kind, said.status, before, said.message)
        facts = known.facts
        about = facts.title if facts else ""
        where = f"revision {known.source.revision}" if known.source.revision else known.source.digest[:19]
        reason = Reason.SOURCE_REUSED if known.source_from else Reason.FETCHED
        shared = f"; fetched for QuantizedModel {known.source_from}" if known.source_from else ""
        return Fact(kind, ConditionStatus.TRUE, reason, f"{about}, {where}{shared}" if about else where)
    if state.stage is ChildStage.FETCH or state.kind is StateKind.INVALID:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)


def _preflight_passed(state: State) -> Fact:
    kind = "PreflightPassed"
    if state.kind is StateKind.REFUSED:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    if state.reason == Reason.NO_GPU_NODES:
        return Fact(kind, ConditionStatus.UNKNOWN, state.reason, state.message)
    if state.known.plan is not None or state.known.artifact is not None:
        told = [verdict.sentence for verdict in warnings(state.verdicts)]
        why = state.known.plan.why if state.known.plan else ()
        return Fact(kind, ConditionStatus.TRUE, Reason.PASSED, " ".join(dict.fromkeys([*told, *why])))
    return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)


def _quantized(state: State) -> Fact:
    kind, artifact = "Quantized", state.known.artifact
    if artifact is not None:
        return Fact(kind, ConditionStatus.TRUE, Reason.QUANTIZED, _artifact(artifact))
    if state.stage is ChildStage.QUANTIZE:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)


def _artifact(artifact: ArtifactStatus) -> str:
    return f"{artifact.method}, {artifact.bytes / 1024**2:.0f} MiB, {artifact.digest[:19]}"


def _quality_passed(observed: Observed, state: State) -> Fact:
    kind, quality = "QualityPassed", state.known.quality
    if quality is None:
        return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)
    told = candidates_sentence(quality, observed.spec)
    verdicts = [candidate.verdict for candidate in quality.candidates]
    if state.known.artifact is None:
        return Fact(kind, ConditionStatus.FALSE, Reason.QUALITY_REFUSED, told)
    if Verdict.WARNED in verdicts:
        return Fact(kind, ConditionStatus.FALSE, Reason.WARNED, told)
    first = len(verdicts) < 2 or verdicts[0] is Verdict.PASSED
    return Fact(kind, ConditionStatus.TRUE, Reason.PASSED if first else Reason.PASSED_BY_FALLBACK, told)


def _progress(observed: Observed, state: State) -> Progress | None:
    if state.kind not in {StateKind.FETCHING, StateKind.QUANTIZING} or not isinstance(state.outcome, JobRunning):
        return None
    job, line = state.job, observed.children.progress
    name = job.name if job else None
    if line is None or state.outcome.pod is None:
        return starting(job=name)
    return progress_of_line(line, name)


def _history(observed: Observed, state: State, now: datetime) -> tuple[HistoryEntry, ...]:
    """One entry for every artifact and every failure, newest first."""
    before = observed.status
    reason, message = state.reason, cut(_message(observed, state), 1024)
    if state.kind is StateKind.READY and state.known.artifact is not None:
        old = before.artifact
        news = old is None or old.request_digest != state.known.artifact.request_digest
    elif state.kind in {StateKind.FAILED, StateKind.REFUSED}:
        last = before.history[0] if before.history else None
        news = last is None or (last.generation, last.reason, last.message) != (observed.generation, reason, message)
    else:
        news = False
    if not news:
        return before.history
    entry = HistoryEntry(time=timestamp(now), generation=observed.generation, reason=reason, message=message)
    return (entry, *before.history)[:MAX_HISTORY]
