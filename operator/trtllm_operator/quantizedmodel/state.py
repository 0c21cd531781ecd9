"""determine_state: what a snapshot of a QuantizedModel means; pure, called by the engine.

The order is the pipeline's: an artifact that is known ends it at once, then the source, the rules, the quantization.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from trtllm_api.quantizedmodel import QuantizationPlan, QuantizedModelSpec
from trtllm_api.verdict import Verdict
from trtllm_operator.children.identity import ChildStage
from trtllm_operator.children.job import JobPlan
from trtllm_operator.children.joboutcome import JobFailed, JobOutcome, JobSucceeded
from trtllm_operator.jobs import foreign_result, outcome_of, said
from trtllm_operator.quantizedmodel.desired import quantize_job
from trtllm_operator.quantizedmodel.digests import wanted_source
from trtllm_operator.quantizedmodel.knowledge import (
    Known,
    fetched,
    known_artifact,
    known_source,
    leader,
    measured,
    published,
)
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.reasons import Reason
from trtllm_operator.source import fetch_job
from trtllm_planner.quantization.decide import decide_quantization


class StateKind(StrEnum):
    """Where the resource is."""

    DELETING = "Deleting"
    INVALID = "Invalid"
    SUSPENDED = "Suspended"
    WAITING = "Waiting"
    FETCHING = "Fetching"
    REFUSED = "Refused"
    QUANTIZING = "Quantizing"
    FAILED = "Failed"
    READY = "Ready"


@dataclass(frozen=True)
class State:
    """What the snapshot means; the plan and the status follow from it alone."""

    kind: StateKind
    reason: str
    """CamelCase: a Reason, a FailureReason, a DiagnosisReason, a PodReason or a rule's name."""
    message: str
    known: Known = field(default_factory=Known)
    stage: ChildStage | None = None
    """The stage that works, waits or has failed."""
    jobs: tuple[JobPlan, ...] = ()
    """Jobs that belong to this request, whether they exist or not: all others are obsolete."""
    outcome: JobOutcome | None = None
    """Of the Job of `stage`; None while it does not exist."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def job(self) -> JobPlan | None:
        """The Job of `stage`."""
        return next((job for job in self.jobs if job.stage is self.stage), None)


def determine_state(observed: Observed) -> State:
    """Total: every snapshot has a state."""
    if observed.deleting:
        return State(StateKind.DELETING, Reason.DELETING, "the resource is being deleted")
    spec = observed.spec
    if spec is None:
        return State(StateKind.INVALID, Reason.INVALID_SPEC, observed.spec_error)
    state = _with_artifact(observed) or _source(observed, spec)
    if spec.suspend and state.kind in {StateKind.WAITING, StateKind.FETCHING, StateKind.QUANTIZING}:
        done = f"{state.stage} was stopped" if state.stage else "work was stopped"
        return replace(state, kind=StateKind.SUSPENDED, reason=Reason.SUSPENDED, message=f"{done} by spec.suspend")
    return state


def _with_artifact(observed: Observed) -> State | None:
    known = known_artifact(observed)
    if known is None or known.artifact is None:
        return None
    artifact, known = known.artifact, _own_ladder(observed, known)
    what = f"{_title(known)} at {artifact.path}"
    if artifact.reused_from:
        message = f"{what}, made for QuantizedModel {artifact.reused_from} from the same request"
        return State(StateKind.READY, Reason.ARTIFACT_REUSED, message, known)
    return State(StateKind.READY, Reason.ARTIFACT_READY, what, known)


def _own_ladder(observed: Observed, known: Known) -> Known:
    """A sibling's is for its own inputs: this resource keeps what was decided for it."""
    if observed.ladder is None:
        return known
    made = known.plan or QuantizationPlan(candidates=())
    return replace(known, plan=made.model_copy(update={"ladder": observed.ladder}))


def _title(known: Known) -> str:
    artifact = known.artifact
    if artifact is None:
        return ""
    return f"{artifact.method} (group size {artifact.group_size})" if artifact.group_size else str(artifact.method)


def _source(observed: Observed, spec: QuantizedModelSpec) -> State:
    plan = fetch_job(wanted_source(observed.owner, spec), observed.settings, spec.pod_template, observed.retry)
    known = known_source(observed)
    if known is not None:
        return _preflight(observed, spec, known, (plan,))
    outcome = _outcome(observed, plan)
    if isinstance(outcome, JobSucceeded):
        known = fetched(observed, spec, outcome.result)
        if known is not None:
            return _preflight(observed, spec, known, (plan,))
        outcome = foreign_result(outcome)
    state = State(StateKind.FETCHING, Reason.FETCHING, "", stage=ChildStage.FETCH, jobs=(plan,), outcome=outcome)
    older = leader(observed, whole_request=False)
    if older is not None and outcome is None:
        message = f"QuantizedModel {older.name} is fetching the same source"
        return replace(state, kind=StateKind.WAITING, reason=Reason.WAITING_FOR_SIBLING, message=message)
    return _working(state, "the source is being fetched and verified")


def _preflight(observed: Observed, spec: QuantizedModelSpec, known: Known, jobs: tuple[JobPlan, ...]) -> State:
    if known.facts is None or known.source is None:
        raise ValueError("a known source has facts")
    decided = decide_quantization(spec, known.facts, observed.ladder)
    refused, verdicts = decided.refused, decided.verdicts
    if refused:
        message = "; ".join(verdict.sentence() for verdict in refused)
        return State(StateKind.REFUSED, refused[0].rule, message, known, jobs=jobs, verdicts=verdicts)
    if decided.plan is None:
        message = _no_gpu(spec)
        return State(StateKind.WAITING, Reason.NO_GPU_NODES, message, known, jobs=jobs, verdicts=verdicts)
    known = replace(known, plan=decided.plan)
    state = State(StateKind.QUANTIZING, Reason.QUANTIZING, "", known, ChildStage.QUANTIZE, jobs, verdicts=verdicts)
    if observed.missing_dataset:
        return replace(state, kind=StateKind.WAITING, reason=Reason.DATASET_MISSING, message=observed.missing_dataset)
    return _quantize(observed, spec, state)


def _no_gpu(spec: QuantizedModelSpec) -> str:
    selector = spec.pod_template.node_selector or {}
    which = f" with {', '.join(f'{key}={value}' for key, value in sorted(selector.items()))}" if selector else ""
    return (
        f"quantization.method is omitted, and no node{which} has a GPU to plan it for: waiting for one that pods may "
        "be sent to, with the labels of gpu-feature-discovery (nvidia.com/gpu.product, memory and compute.major); "
        "or set quantization.method"
    )


def _quantize(observed: Observed, spec: QuantizedModelSpec, state: State) -> State:
    source, facts, plan = state.known.source, state.known.facts, state.known.plan
    if source is None or facts is None or plan is None:
        raise ValueError("quantizing needs a source, its facts and a plan")
    job = quantize_job(observed, spec, source, facts, plan)
    outcome = _outcome(observed, job)
    state = replace(state, jobs=(*state.jobs, job))
    if isinstance(outcome, JobSucceeded):
        artifact = published(observed, spec, outcome.result)
        if artifact is not None:
            known = replace(state.known, artifact=artifact, quality=measured(outcome.result))
            message = f"{_title(known)} at {artifact.path}"
            return replace(
                state, kind=StateKind.READY, reason=Reason.ARTIFACT_READY, message=message, known=known, outcome=outcome
            )
        outcome = foreign_result(outcome)
    older = leader(observed, whole_request=True)
    if older is not None and outcome is None:
        message = f"QuantizedModel {older.name} is making the same artifact"
        return replace(state, kind=StateKind.WAITING, reason=Reason.WAITING_FOR_SIBLING, message=message)
    methods = ", then ".join(str(candidate.method) for candidate in plan.candidates)
    return _working(replace(state, outcome=outcome), f"{methods}: being quantized and measured")


def _outcome(observed: Observed, plan: JobPlan) -> JobOutcome | None:
    return outcome_of(plan, observed.jobs, observed.pods, observed.now, observed.evidence)


def _working(state: State, doing: str) -> State:
    """Interpret the outcome of the stage's Job."""
    outcome, told = state.outcome, said(state.outcome, doing)
    if isinstance(outcome, JobFailed):
        known = replace(state.known, quality=measured(outcome.result) or state.known.quality)
        state = replace(state, kind=StateKind.FAILED, known=known)
    return replace(state, reason=told.reason or state.reason, message=told.message)
