"""plan: the steps from a State of an EngineBuild to the next; pure, called by the engine."""

from __future__ import annotations

from trtllm_operator.children.server import CONTAINER
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.state import State, StateKind
from trtllm_operator.enginebuild.target import is_applied
from trtllm_operator.steps import Apply, Plan, ReadLogs, Step


def plan(observed: Observed, state: State) -> Plan:
    """Deployment and Service as the target has them; nothing while changes are held back or there is no target."""
    if state.target is None or state.kind is StateKind.DELETING or (observed.spec and observed.spec.suspend):
        return ()
    steps: list[Step] = []
    for desired, found in ((state.target.deployment, observed.deployment), (state.target.service, observed.service)):
        if not is_applied(desired, found):
            steps.append(Apply(desired))
    if state.kind is StateKind.ROLLING_OUT and state.rollout is not None and state.rollout.starting is not None:
        steps.append(ReadLogs(state.rollout.starting, CONTAINER))
    return tuple(steps)
