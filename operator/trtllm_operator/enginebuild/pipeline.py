"""The pipeline of an EngineBuild: checkpoint, plan, engine; pure.

Each part is known already, is being made, or is refused; nothing that is known is made again.
"""

from __future__ import annotations

from dataclasses import replace

from trtllm_api.contract import EngineResult
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.enginestatus import EngineArtifact
from trtllm_api.reasons import Reason
from trtllm_api.source import Source
from trtllm_operator.enginebuild.checkpoint import Subject, subject_of_model, subject_of_source, wanted_source
from trtllm_operator.enginebuild.desired_jobs import Engine
from trtllm_operator.enginebuild.digests import engine_digest, engine_inputs
from trtllm_operator.enginebuild.known import Known
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.planning import preflight
from trtllm_operator.enginebuild.state import WORKING, State, StateKind
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import DesiredJob
from trtllm_operator.outcomes.job import JobFailed, JobSucceeded
from trtllm_operator.shared.fetch import fetch_job, source_status
from trtllm_operator.shared.jobs import foreign_result, outcome_of, said

_DOING = {
    ChildStage.FETCH: "the source is being fetched and verified",
    ChildStage.CONVERT: "the checkpoint is being converted for TensorRT-LLM",
    ChildStage.BUILD: "the engine is being built",
    ChildStage.PUBLISH: "the engine's ranks are being checked and published",
}


def make(observed: Observed, spec: EngineBuildSpec) -> State:
    """BUILT once there is something to serve: with the engine, or, for the other runtimes, without one."""
    if spec.source is not None:
        return _with_source(observed, spec, spec.source)
    subject = subject_of_model(observed.model)
    if subject is None:
        return _without_artifact(observed, spec)
    known = Known(subject=subject)
    if spec.runtime is Runtime.TRANSFORMERS:
        return State(StateKind.BUILT, Reason.MODEL_READY, subject.title, known=known)
    return _with_subject(
        observed, spec, subject, State(StateKind.BUILT, Reason.MODEL_READY, subject.title, known=known)
    )


def _without_artifact(observed: Observed, spec: EngineBuildSpec) -> State:
    model, name = observed.model, spec.model_ref.name if spec.model_ref else ""
    if model is None:
        message = f"QuantizedModel {name} does not exist in namespace {observed.owner.namespace}. Create it"
        return State(StateKind.WAITING, Reason.MODEL_NOT_FOUND, message)
    if model.stalled is not None:
        message = (
            f"QuantizedModel {model.name} has failed ({model.stalled.reason}): {model.stalled.message} "
            f"(kubectl describe qm/{model.name})"
        )
        return State(StateKind.MODEL_FAILED, Reason.MODEL_FAILED, message)
    stage = f" (stage {model.status.stage})" if model.status.stage else ""
    message = f"QuantizedModel {model.name} has no artifact yet{stage}"
    return State(StateKind.WAITING, Reason.MODEL_NOT_READY, message)


def _with_source(observed: Observed, spec: EngineBuildSpec, source: Source) -> State:
    wanted = wanted_source(observed.owner, spec, source)
    job = fetch_job(wanted, observed.settings, spec.pod_template, observed.retry)
    own, elsewhere = observed.status, observed.fetched_by
    outcome = None
    if own.source is not None and own.model_facts is not None and own.source.request_digest == wanted.digest:
        known = Known(own.source, own.model_facts)
    elif elsewhere is not None:
        known = Known(elsewhere.source, elsewhere.facts, elsewhere.name)
    else:
        known = Known()
        outcome = outcome_of(job, observed.children, observed.now)
        if isinstance(outcome, JobSucceeded):
            fetch = outcome.result.fetch
            if fetch is not None:
                known = Known(source_status(wanted, fetch), fetch.facts)
            else:
                outcome = foreign_result(outcome)
    state = State(StateKind.FETCHING, Reason.FETCHING, "", known=known, jobs=(job,))
    if known.source is not None and known.facts is not None:
        subject = subject_of_source(spec, known.source, known.facts)
        return _with_subject(observed, spec, subject, replace(state, known=replace(known, subject=subject)))
    state = replace(state, stage=ChildStage.FETCH, outcome=outcome)
    older = next((leader for leader in observed.leaders if leader.same_source), None)
    if older is not None and outcome is None:
        return _waiting(state, f"EngineBuild {older.name} is fetching the same source")
    return _working(state)


def _with_subject(observed: Observed, spec: EngineBuildSpec, subject: Subject, state: State) -> State:
    """Rules and planner, then the engine where the runtime has one."""
    judged = preflight(observed, spec, subject)
    state = replace(state, verdicts=judged.verdicts)
    plan = judged.plan
    if plan is None:
        refused = judged.refused
        message = " ".join(verdict.sentence for verdict in refused)
        if judged.would_fit and refused[0].reason is not Reason.NO_LAYOUT_FITS:  # whose remedy names them
            message += f" Would fit: {' | '.join(judged.would_fit)}."
        return replace(state, kind=StateKind.REFUSED, reason=refused[0].reason, message=message)
    if spec.serving is not None and plan.nodes > 1 and not observed.children.groups_served:
        message = (
            f"A replica of {plan.nodes} nodes needs LeaderWorkerSets, which this cluster does not know. "
            "Install LeaderWorkerSet (lws.sigs.k8s.io) 0.9 or newer, or use GPUs of one node"
        )
        return replace(state, kind=StateKind.REFUSED, reason=Reason.LEADER_WORKER_SET_MISSING, message=message)
    state = replace(state, known=replace(state.known, plan=plan))
    if spec.runtime is Runtime.PYTORCH:
        return replace(state, kind=StateKind.BUILT, reason=Reason.MODEL_READY, message=subject.title)
    inputs = engine_inputs(observed, spec, subject, plan)
    return _engine(observed, Engine(observed, spec, subject, plan, inputs, engine_digest(inputs)), state)


def _engine(observed: Observed, engine: Engine, state: State) -> State:
    """Known, a sibling's, or the first of its Jobs that has not ended."""
    known = _known_engine(observed, engine.digest)
    if known is not None:
        return _built(state, known)
    older = next((leader for leader in observed.leaders if leader.same_build and leader.building), None)
    jobs = engine.jobs()
    state = replace(state, jobs=(*state.jobs, *jobs))
    for job in jobs:
        outcome = outcome_of(job, observed.children, observed.now)
        state = replace(state, kind=WORKING[job.stage], stage=job.stage, outcome=outcome)
        if older is not None and outcome is None:
            return _waiting(state, f"EngineBuild {older.name} is building the same engine")
        if not isinstance(outcome, JobSucceeded):
            return _working(state)
        if job.stage is ChildStage.PUBLISH:
            result = outcome.result.engine
            if result is None:
                return _working(replace(state, outcome=foreign_result(outcome)))
            return _built(state, _artifact(engine, result))
    raise ValueError("the last Job of an engine publishes it")


def _known_engine(observed: Observed, digest: str) -> EngineArtifact | None:
    """The resource's own, or else a sibling's."""
    own = observed.status.engine
    if own is not None and own.request_digest == digest:
        return own
    built = observed.engines.get(digest)
    if built is None:
        return None
    return built.engine.model_copy(update={"reused_from": built.engine.reused_from or built.name})


def _artifact(engine: Engine, result: EngineResult) -> EngineArtifact:
    return EngineArtifact(
        request_digest=engine.digest,
        digest=result.digest,
        claim_name=engine.subject.store,
        path=result.path,
        bytes=result.bytes,
        version=result.version,
        product=result.product,
        compute_capability=result.compute_capability,
        world=result.world,
        limits=result.limits,
    )


def _built(state: State, engine: EngineArtifact) -> State:
    reason, shared = Reason.ENGINE_READY, ""
    if engine.reused_from:
        reason, shared = Reason.ENGINE_REUSED, f", built for EngineBuild {engine.reused_from} from the same request"
    message = f"{engine_title(engine)} at {engine.path}{shared}"
    known = replace(state.known, engine=engine)
    return replace(state, kind=StateKind.BUILT, reason=reason, message=message, known=known, stage=None)


def engine_title(engine: EngineArtifact) -> str:
    """Title for messages: `engine 0123456789ab of 16 ranks for NVIDIA-L4`."""
    ranks = "1 rank" if engine.world == 1 else f"{engine.world} ranks"
    return f"engine {engine.digest[7:19]} of {ranks} for {engine.product}"


def _waiting(state: State, message: str) -> State:
    return replace(state, kind=StateKind.WAITING, reason=Reason.WAITING_FOR_SIBLING, message=message)


def _working(state: State) -> State:
    """Interpret the outcome of the stage's Job."""
    if state.stage is None:
        raise ValueError("no stage works")
    told = said(state.outcome, _doing(state.stage, state.job))
    kind = StateKind.FAILED if isinstance(state.outcome, JobFailed) else WORKING[state.stage]
    return replace(state, kind=kind, reason=told.reason or Reason[WORKING[state.stage].name], message=told.message)


def _doing(stage: ChildStage, job: DesiredJob | None) -> str:
    ranks = job.request.ranks if job else None
    if ranks is None:
        return _DOING[stage]
    pods = "1 pod" if ranks.pods == 1 else f"{ranks.pods} pods"
    gpus = "1 GPU" if ranks.gpus_per_pod == 1 else f"{ranks.gpus_per_pod} GPUs each"
    return f"{ranks.world} {'rank' if ranks.world == 1 else 'ranks'} being built by {pods} with {gpus}"
