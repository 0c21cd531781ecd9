"""The pipeline of a QuantizedModel: source, rules, quantization; pure.

Each stage is known already, at work, waiting, refused or failed; nothing that is known is made again.
"""

from __future__ import annotations

from dataclasses import replace

from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_api.reasons import Reason
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import DesiredJob
from trtllm_operator.outcomes.job import JobFailed, JobOutcome, JobSucceeded
from trtllm_operator.quantizedmodel.desired_jobs import quantize_job
from trtllm_operator.quantizedmodel.digests import wanted_source
from trtllm_operator.quantizedmodel.known import (
    Known,
    fetched,
    known_source,
    leader,
    measured,
    published,
)
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.state import State, StateKind
from trtllm_operator.shared.fetch import fetch_job
from trtllm_operator.shared.jobs import foreign_result, outcome_of, said
from trtllm_planner.quantization.decide import decide_quantization


def work_on(observed: Observed, spec: QuantizedModelSpec) -> State:
    """The first stage that has not ended; READY once the last one has."""
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


def _preflight(observed: Observed, spec: QuantizedModelSpec, known: Known, jobs: tuple[DesiredJob, ...]) -> State:
    if known.facts is None or known.source is None:
        raise ValueError("a known source has facts")
    decided = decide_quantization(spec, known.facts, observed.ladder)
    refused, verdicts = decided.refused, decided.verdicts
    if refused:
        message = " ".join(verdict.sentence for verdict in refused)
        return State(StateKind.REFUSED, refused[0].reason, message, known, jobs=jobs, verdicts=verdicts)
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
        f"No schedulable node{which} has a labelled NVIDIA GPU, so no method could be chosen. Waiting for one (labels "
        "nvidia.com/gpu.product, nvidia.com/gpu.memory and nvidia.com/gpu.compute.major of gpu-feature-discovery); or "
        "set spec.quantization.method"
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
            message = f"{title(known)} at {artifact.path}"
            return replace(
                state, kind=StateKind.READY, reason=Reason.ARTIFACT_READY, message=message, known=known, outcome=outcome
            )
        outcome = foreign_result(outcome)
    older = leader(observed, whole_request=True)
    if older is not None and outcome is None:
        message = f"QuantizedModel {older.name} is making the same artifact"
        return replace(state, kind=StateKind.WAITING, reason=Reason.WAITING_FOR_SIBLING, message=message)
    methods = ", then ".join(str(candidate.method) for candidate in plan.candidates)
    until = ", until one passes the quality gate" if len(plan.candidates) > 1 else ""
    return _working(replace(state, outcome=outcome), f"quantizing and measuring {methods}{until}")


def _outcome(observed: Observed, plan: DesiredJob) -> JobOutcome | None:
    return outcome_of(plan, observed.children, observed.now)


def _working(state: State, doing: str) -> State:
    """Interpret the outcome of the stage's Job."""
    outcome, told = state.outcome, said(state.outcome, doing)
    if isinstance(outcome, JobFailed):
        known = replace(state.known, quality=measured(outcome.result) or state.known.quality)
        state = replace(state, kind=StateKind.FAILED, known=known)
    return replace(state, reason=told.reason or state.reason, message=told.message)


def title(known: Known) -> str:
    """The artifact for messages: `INT4WeightOnly (group size 64)`; empty while there is none."""
    artifact = known.artifact
    if artifact is None:
        return ""
    return f"{artifact.method} (group size {artifact.group_size})" if artifact.group_size else str(artifact.method)
