"""The seam between the engine and a kind: everything that the engine knows of QuantizedModels and EngineBuilds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from trtllm_api.base import ApiModel
from trtllm_api.contract import ProgressLine
from trtllm_operator.children.objects import Object, dig, name_of
from trtllm_operator.children.settings import BuilderSettings
from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.resources import CLAIMS, CONFIG_MAPS, Resource
from trtllm_operator.steps import Plan
from trtllm_operator.store import Key, Store

_CLAIM_SECONDS = 30.0
O = TypeVar("O")  # noqa: E741 - an Observed
S = TypeVar("S")


class World:
    """What controllers observe: the store, the users' own objects, and the running pods' progress."""

    def __init__(self, store: Store, client: KubeClient, builder: BuilderSettings) -> None:
        self.store = store
        self.builder = builder
        self.progress: dict[tuple[str, str], ProgressLine] = {}
        """Last progress line by namespace and pod."""
        self._client = client
        self._claims: dict[tuple[str, str], float] = {}
        """When each claim was last known to exist."""

    async def config_map(self, namespace: str, name: str) -> Object | None:
        """A user's ConfigMap; these are not watched."""
        return await self._client.get(CONFIG_MAPS, namespace, name)

    async def claim_exists(self, namespace: str, name: str) -> bool:
        """Asked now and then for each claim: people make claims themselves, so these are not watched by a label."""
        if time.monotonic() - self._claims.get((namespace, name), -_CLAIM_SECONDS) < _CLAIM_SECONDS:
            return True
        if await self._client.get(CLAIMS, namespace, name) is None:
            self._claims.pop((namespace, name), None)
            return False
        self.claim_made(namespace, name)
        return True

    def claim_made(self, namespace: str, name: str) -> None:
        """It exists."""
        self._claims[namespace, name] = time.monotonic()

    def progress_of(self, pods: Iterable[Object]) -> ProgressLine | None:
        """Of the first of these pods that runs."""
        for pod in pods:
            if dig(pod, "status", "phase") == "Running":
                namespace = str(dig(pod, "metadata", "namespace") or "")
                return self.progress.get((namespace, name_of(pod)))
        return None


class Controller(Protocol[O, S]):
    """One kind's way from what is seen to what is done and said; all but `observe` is pure."""

    resource: Resource

    async def observe(self, resource: Object, world: World, now: datetime) -> O:
        """Gather everything that decides about the resource."""
        ...

    def determine_state(self, observed: O) -> S:
        """What it means."""
        ...

    def plan(self, observed: O, state: S) -> Plan:
        """What to do."""
        ...

    def compute_status(self, observed: O, state: S, now: datetime) -> ApiModel:
        """What to say."""
        ...

    def dependents(self, before: Object | None, after: Object | None, store: Store) -> Iterable[Key]:
        """Resources of this kind that must look again because another custom resource changed."""
        ...


AnyController = Controller[Any, Any]
