"""plan: the steps from a State of a QuantizedModel to the next; pure."""

from __future__ import annotations

from trtllm_api.reasons import Reason
from trtllm_operator.manifests.store_claim import store_claim
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.state import State, StateKind
from trtllm_operator.shared.jobs import obsolete_steps, work_steps
from trtllm_operator.shared.steps import Requeue, Step, Steps

DATASET_POLL_SECONDS = 5.0
"""Users' ConfigMaps are not watched."""


def steps(observed: Observed, state: State) -> Steps:
    """The steps; if the spec is invalid, leave existing children alone."""
    if state.kind in {StateKind.DELETING, StateKind.INVALID}:
        return ()
    steps: list[Step] = list(
        obsolete_steps(
            observed.children.jobs,
            {job.name for job in state.jobs},
            observed.now,
            stopped=state.kind is StateKind.SUSPENDED,
            settled=state.kind is StateKind.READY,
        )
    )
    working = state.kind in {StateKind.FETCHING, StateKind.QUANTIZING} and _recorded(observed, state)
    if working and state.job is not None and observed.spec:
        claim = store_claim(observed.owner.namespace, observed.spec.storage, observed.settings)
        steps += work_steps(state.job, observed.children.jobs, state.outcome, None if observed.store_exists else claim)
    if state.reason == Reason.DATASET_MISSING:
        steps.append(Requeue(DATASET_POLL_SECONDS))
    return tuple(steps)


def _recorded(observed: Observed, state: State) -> bool:
    """A ladder is in status before its Job exists: from then on no node that comes or goes changes the request."""
    plan, before = state.known.plan, observed.status.plan
    if plan is None or plan.ladder is None:
        return True
    return before is not None and before.ladder == plan.ladder
