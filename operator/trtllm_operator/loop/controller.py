"""The seam between the engine and a kind: everything that the engine knows of QuantizedModels and EngineBuilds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from trtllm_api.base import ApiModel
from trtllm_api.contract import ProgressLine
from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.objects import Object, dig, name_of
from trtllm_operator.kube.resources import CLAIMS, CONFIG_MAPS, LEADER_WORKER_SETS, Resource
from trtllm_operator.loop.cache import Cache, Key
from trtllm_operator.loop.pod_evidence import EvidenceReader
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.outcomes.progress import ended, summed
from trtllm_operator.shared.steps import Steps

_ASK_SECONDS = 30.0
"""Answers about what is not watched are good for that long."""
O = TypeVar("O")  # noqa: E741 - an Observed
S = TypeVar("S")


class World:
    """What controllers observe: the cache, the users' own objects, and the running pods' progress."""

    def __init__(self, cache: Cache, client: KubeClient, builder: BuilderSettings) -> None:
        self.cache = cache
        self.builder = builder
        self.progress: dict[tuple[str, str], ProgressLine] = {}
        """Last progress line by namespace and pod."""
        self.evidence = EvidenceReader(client)
        self._client = client
        self._claims: dict[tuple[str, str], tuple[float, Object]] = {}
        """Each claim that exists, and when it was read."""
        self._groups_served = (-_ASK_SECONDS, False)
        """When the API server was asked whether it serves LeaderWorkerSets, and its answer."""

    async def config_map(self, namespace: str, name: str) -> Object | None:
        """A user's ConfigMap; these are not watched."""
        return await self._client.get(CONFIG_MAPS, namespace, name)

    async def claim(self, namespace: str, name: str) -> Object | None:
        """Asked now and then for each claim: people make claims themselves, so these are not watched by a label."""
        asked, known = self._claims.get((namespace, name), (-_ASK_SECONDS, None))
        if time.monotonic() - asked < _ASK_SECONDS:
            return known
        found = await self._client.get(CLAIMS, namespace, name)
        if found is None:
            self._claims.pop((namespace, name), None)
        else:
            self.claim_made(found)
        return found

    def claim_made(self, claim: Object) -> None:
        """It exists."""
        self._claims[str(dig(claim, "metadata", "namespace")), name_of(claim)] = (time.monotonic(), claim)

    async def leader_worker_sets(self, namespace: str, name: str) -> tuple[bool, Object | None]:
        """Whether the cluster knows this kind, and the one of that name; it is not watched, for many lack the kind."""
        asked, served = self._groups_served
        if time.monotonic() - asked > _ASK_SECONDS:
            served = await self._client.serves(LEADER_WORKER_SETS)
            self._groups_served = (time.monotonic(), served)
        return served, await self._client.get(LEADER_WORKER_SETS, namespace, name) if served else None

    def progress_of(self, pods: Iterable[Object]) -> ProgressLine | None:
        """Of the first of these pods that runs and says something, and of those beside it that do the same."""
        told = [(pod, line) for pod in {name_of(pod): pod for pod in pods}.values() if (line := self._line(pod))]
        first = next(((pod, line) for pod, line in told if _phase(pod) == "Running"), None)
        if first is None:
            return None
        alike = (_controller(first[0]), first[1].stage, first[1].unit)
        same = [(pod, line) for pod, line in told if (_controller(pod), line.stage, line.unit) == alike]
        return summed([line if _phase(pod) == "Running" else ended(line) for pod, line in same])

    def _line(self, pod: Object) -> ProgressLine | None:
        if _phase(pod) not in {"Running", "Succeeded"}:
            return None
        return self.progress.get((str(dig(pod, "metadata", "namespace") or ""), name_of(pod)))


def _phase(pod: Object) -> object:
    return dig(pod, "status", "phase")


def _controller(pod: Object) -> object:
    """Who made it: pods of one Job share it."""
    owners = dig(pod, "metadata", "ownerReferences") or ()
    return next((owner.get("name") for owner in owners if owner.get("controller")), None)


class Controller(Protocol[O, S]):
    """One kind's way from what is seen to what is done and said; all but `observe` is pure."""

    resource: Resource

    async def observe(self, resource: Object, world: World, now: datetime) -> O:
        """Gather everything that decides about the resource."""
        ...

    def determine_state(self, observed: O) -> S:
        """What it means."""
        ...

    def steps(self, observed: O, state: S) -> Steps:
        """What to do."""
        ...

    def compute_status(self, observed: O, state: S, now: datetime) -> ApiModel:
        """What to say."""
        ...

    def dependents(self, before: Object | None, after: Object | None, cache: Cache) -> Iterable[Key]:
        """Resources of this kind that must look again because another custom resource changed."""
        ...


AnyController = Controller[Any, Any]
