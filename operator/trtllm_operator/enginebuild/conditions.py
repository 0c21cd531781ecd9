"""The conditions of an EngineBuild as facts: Ready, ModelReady, PreflightPassed, EngineReady, Available; for status."""

from __future__ import annotations

from trtllm_api.enginebuild import Runtime
from trtllm_api.meta import ConditionStatus
from trtllm_api.reasons import Reason
from trtllm_api.verdict import warnings
from trtllm_operator.enginebuild.observed import Model, Observed
from trtllm_operator.enginebuild.pipeline import engine_title
from trtllm_operator.enginebuild.state import State, StateKind
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.shared.conditions import Fact, ready, reconciling, stalled, suspended

_PENDING = "waiting for an earlier stage"


def status_facts(observed: Observed, state: State) -> tuple[Fact, ...]:
    """The conditions in the order in which a reader asks."""
    spec = observed.spec
    facts = [*_overall(state)]
    if spec is not None and spec.source is not None:
        facts.append(_source_ready(observed, state))
    else:
        facts.append(_model_ready(observed))
    if spec is not None and spec.runtime is not Runtime.TRANSFORMERS:
        facts.append(_preflight_passed(state))
    if spec is not None and spec.runtime is Runtime.TENSORRT:
        facts.append(_engine_ready(state))
    if spec is None or spec.serving is not None or spec.runtime is not Runtime.TENSORRT:
        facts.append(_available(state))
    return tuple(facts)


def _overall(state: State) -> tuple[Fact, ...]:
    match state.kind:
        case StateKind.SERVING | StateKind.BUILT:
            return ready(state.reason, state.message)
        case StateKind.FAILED | StateKind.MODEL_FAILED | StateKind.INVALID | StateKind.REFUSED:
            return stalled(state.reason, state.message)
        case StateKind.SUSPENDED:
            return suspended(state.reason, state.message)
        case _:
            return reconciling(state.reason, state.message)


def _source_ready(observed: Observed, state: State) -> Fact:
    kind, known = "ModelReady", state.known
    if known.source is not None and known.facts is not None:
        facts, source = known.facts, known.source
        where = f"revision {source.revision}" if source.revision else source.digest[:19]
        said = f"{facts.title}, {where}"
        before = next((c for c in observed.status.conditions if c.type == kind), None)
        if known.source_from is None and before is not None and before.reason == Reason.SOURCE_REUSED:
            return Fact(kind, ConditionStatus.TRUE, Reason.SOURCE_REUSED, before.message)
        if known.source_from is not None:
            shared = f"{said}; fetched for {known.source_from}"
            return Fact(kind, ConditionStatus.TRUE, Reason.SOURCE_REUSED, shared)
        return Fact(kind, ConditionStatus.TRUE, Reason.FETCHED, said)
    if state.stage is ChildStage.FETCH:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)


def _model_ready(observed: Observed) -> Fact:
    kind, model = "ModelReady", observed.model
    if model is None:
        ref = observed.spec.model_ref if observed.spec else None
        name = ref.name if ref else ""
        return Fact(kind, ConditionStatus.FALSE, Reason.MODEL_NOT_FOUND, f"QuantizedModel {name} does not exist")
    artifact = model.status.artifact
    if artifact is None:
        if model.stalled is not None:
            return Fact(kind, ConditionStatus.FALSE, Reason.MODEL_FAILED, model.stalled.message)
        said = f"QuantizedModel {model.name} has no artifact yet"
        return Fact(kind, ConditionStatus.FALSE, Reason.MODEL_NOT_READY, said)
    what = f"QuantizedModel {model.name}: {artifact.method} artifact {artifact.digest[7:19]}"
    return _last_good(kind, model, what)


def _last_good(kind: str, model: Model, what: str) -> Fact:
    if model.ready:
        return Fact(kind, ConditionStatus.TRUE, Reason.MODEL_READY, what)
    if model.stalled is not None:
        said = f"{what} is its last good one; its present spec fails: {model.stalled.message}"
        return Fact(kind, ConditionStatus.TRUE, Reason.LAST_GOOD_ARTIFACT, said)
    said = f"{what} is its last good one; a new one is being made"
    return Fact(kind, ConditionStatus.TRUE, Reason.MODEL_UPDATING, said)


def _preflight_passed(state: State) -> Fact:
    kind, plan = "PreflightPassed", state.known.plan
    if state.kind is StateKind.REFUSED:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    if plan is None:
        return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)
    told = [verdict.sentence for verdict in warnings(state.verdicts)]
    return Fact(kind, ConditionStatus.TRUE, Reason.PASSED, " ".join(dict.fromkeys([*told, *plan.why])))


def _engine_ready(state: State) -> Fact:
    kind, engine = "EngineReady", state.known.engine
    if engine is not None:
        reason = Reason.ENGINE_REUSED if engine.reused_from else Reason.ENGINE_READY
        shared = f", built for EngineBuild {engine.reused_from}" if engine.reused_from else ""
        said = f"{engine_title(engine)}, TensorRT-LLM {engine.version}, {engine.bytes / 1024**2:.0f} MiB{shared}"
        return Fact(kind, ConditionStatus.TRUE, reason, said)
    if state.stage in {ChildStage.CONVERT, ChildStage.BUILD, ChildStage.PUBLISH}:
        return Fact(kind, ConditionStatus.FALSE, state.reason, state.message)
    return Fact(kind, ConditionStatus.UNKNOWN, Reason.NOT_REACHED, _PENDING)


def _available(state: State) -> Fact:
    kind, rollout = "Available", state.rollout
    if rollout is not None and rollout.ready > 0:
        said = f"{rollout.ready} of {rollout.replicas} servers answer"
        return Fact(kind, ConditionStatus.TRUE, Reason.AVAILABLE, said)
    if state.reason == Reason.SCALED_TO_ZERO:
        return Fact(kind, ConditionStatus.FALSE, Reason.SCALED_TO_ZERO, "spec.serving.replicas is 0")
    return Fact(kind, ConditionStatus.FALSE, Reason.UNAVAILABLE, "no server answers")
