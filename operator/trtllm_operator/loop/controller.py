"""Controller: the interface between the reconcile loop and one kind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from trtllm_api.base import ApiModel
from trtllm_operator.kube.objects import Object
from trtllm_operator.kube.resources import Resource
from trtllm_operator.loop.cache import Cache, Key
from trtllm_operator.loop.world import World
from trtllm_operator.shared.steps import Steps

G = TypeVar("G")
"""Everything that was gathered, as plain objects."""
O = TypeVar("O")  # noqa: E741 - an Observed
S = TypeVar("S")


class Controller(Protocol[G, O, S]):
    """One kind's way from the cluster's objects to steps and status; everything but `gather` is pure."""

    resource: Resource

    async def gather(self, resource: Object, world: World, now: datetime) -> G:
        """Collect the objects that decide about the resource."""
        ...

    def observe(self, gathered: G) -> O:
        """Turn them into a snapshot."""
        ...

    def determine_state(self, observed: O) -> S:
        """Judge the snapshot."""
        ...

    def steps(self, observed: O, state: S) -> Steps:
        """List what to do."""
        ...

    def compute_status(self, observed: O, state: S, now: datetime) -> ApiModel:
        """Write what users see."""
        ...

    def dependents(self, before: Object | None, after: Object | None, cache: Cache) -> Iterable[Key]:
        """Resources of this kind that another resource's or node's change may concern."""
        ...


AnyController = Controller[Any, Any, Any]
