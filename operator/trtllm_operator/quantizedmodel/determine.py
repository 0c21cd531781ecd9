"""determine_state: the meaning of a snapshot of a QuantizedModel; pure.

A known artifact ends it at once; else the pipeline decides: the source, the rules, the quantization.
"""

from __future__ import annotations

from dataclasses import replace

from trtllm_api.modelstatus import QuantizationPlan
from trtllm_api.reasons import Reason
from trtllm_operator.quantizedmodel.known import (
    Known,
    known_artifact,
)
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.pipeline import title, work_on
from trtllm_operator.quantizedmodel.state import State, StateKind


def determine_state(observed: Observed) -> State:
    """Total: every snapshot has a state."""
    if observed.deleting:
        return State(StateKind.DELETING, Reason.DELETING, "the resource is being deleted")
    spec = observed.spec
    if spec is None:
        return State(StateKind.INVALID, Reason.INVALID_SPEC, observed.spec_error)
    state = _with_artifact(observed) or work_on(observed, spec)
    if spec.suspend and state.kind in {StateKind.WAITING, StateKind.FETCHING, StateKind.QUANTIZING}:
        done = f"{state.stage} was stopped" if state.stage else "work was stopped"
        return replace(state, kind=StateKind.SUSPENDED, reason=Reason.SUSPENDED, message=f"{done} by spec.suspend")
    return state


def _with_artifact(observed: Observed) -> State | None:
    known = known_artifact(observed)
    if known is None or known.artifact is None:
        return None
    artifact, known = known.artifact, _own_ladder(observed, known)
    what = f"{title(known)} at {artifact.path}"
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
