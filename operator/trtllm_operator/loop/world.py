"""World: everything that controllers observe; the only part of a pass that asks the API server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.objects import Object, dig, is_owned, is_true, labels_of, name_of, owner_uids, uid_of
from trtllm_operator.kube.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    LEADER_WORKER_SETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
)
from trtllm_operator.loop.cache import Cache, key_of
from trtllm_operator.loop.pod_evidence import EvidenceReader
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import STAGE_LABEL, ChildStage
from trtllm_operator.manifests.leader_worker_set import NAME_LABEL
from trtllm_operator.outcomes.progress import ended, summed
from trtllm_operator.shared.children import Children

_ASK_SECONDS = 30.0
"""Age up to which an answer about an object that is not watched is used again."""


class World:
    """The cache, the users' own objects, and what pods report beside their status."""

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
        """The time of the last question whether the API server serves LeaderWorkerSets, and its answer."""

    async def children(self, resource: Object, now: datetime, group: str = "") -> Children:
        """The children of a resource; with `group`, its LeaderWorkerSet of that name, which is not watched."""
        key, uid = key_of(resource), uid_of(resource)

        def owned(kind: str) -> tuple[Object, ...]:
            return tuple(obj for obj in self.cache.children(key, kind) if is_owned(obj, uid))

        served, groups = True, None
        if group:
            served, groups = await self._leader_worker_sets(key.namespace, group)
            if groups is not None and not is_owned(groups, uid):
                groups = None
        jobs, deployments = owned(JOBS.kind), owned(DEPLOYMENTS.kind)
        replica_sets = _owned_by(self.cache.children(key, REPLICA_SETS.kind), deployments)
        pods = self.cache.children(key, PODS.kind)
        pods_of_group = [pod for pod in pods if group and labels_of(pod).get(NAME_LABEL) == group]
        mine = (*_owned_by(pods, (*jobs, *replica_sets)), *pods_of_group)
        at_work = (pod for pod in mine if not _serves(pod) or not is_true(pod, "Ready"))
        return Children(
            jobs=jobs,
            pods=mine,
            replica_sets=replica_sets,
            deployment=next(iter(deployments), None),
            groups=groups,
            groups_served=served,
            service=next(iter(owned(SERVICES.kind)), None),
            progress=self.progress_of(at_work),
            evidence=await self.evidence.of(mine, jobs, groups, now),
        )

    async def config_map(self, namespace: str, name: str) -> Object | None:
        """A user's ConfigMap; these are not watched."""
        return await self._client.get(CONFIG_MAPS, namespace, name)

    async def claim(self, namespace: str, name: str) -> Object | None:
        """A PersistentVolumeClaim; people make them without our labels, so they are read now and then."""
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
        """Keep a claim that was read or made."""
        self._claims[str(dig(claim, "metadata", "namespace")), name_of(claim)] = (time.monotonic(), claim)

    async def _leader_worker_sets(self, namespace: str, name: str) -> tuple[bool, Object | None]:
        asked, served = self._groups_served
        if time.monotonic() - asked > _ASK_SECONDS:
            served = await self._client.serves(LEADER_WORKER_SETS)
            self._groups_served = (time.monotonic(), served)
        return served, await self._client.get(LEADER_WORKER_SETS, namespace, name) if served else None

    def progress_of(self, pods: Iterable[Object]) -> ProgressLine | None:
        """Progress of the first running pod that reports any, summed with its Job's other pods at the same step."""
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


def _owned_by(objects: Iterable[Object], owners: Iterable[Object]) -> tuple[Object, ...]:
    uids = {uid_of(owner) for owner in owners}
    return tuple(obj for obj in objects if owner_uids(obj) & uids)


def _serves(pod: Object) -> bool:
    return labels_of(pod).get(STAGE_LABEL) == ChildStage.SERVE


def _phase(pod: Object) -> object:
    return dig(pod, "status", "phase")


def _controller(pod: Object) -> object:
    """The name of the controller that made the pod: pods of one Job share it."""
    owners = dig(pod, "metadata", "ownerReferences") or ()
    return next((owner.get("name") for owner in owners if owner.get("controller")), None)
