"""List everything anew, at the start and now and then: what the watches missed is repaired here.

After a "410 Gone" kopf lists again, but tells nobody of objects that vanished meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import Object
from trtllm_operator.kube.resources import OF_THE_CLUSTER, OWN, WATCHED_CHILDREN, Resource
from trtllm_operator.loop.cache import Key, key_of
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.manifests.identity import MANAGER
from trtllm_operator.metrics import RESYNC_REPAIRS, RESYNC_TIME
from trtllm_operator.settings import Settings

log = logging.getLogger(__name__)
CHILDREN_SELECTOR = f"app.kubernetes.io/managed-by={MANAGER}"

_ORDER = (*OF_THE_CLUSTER, *WATCHED_CHILDREN, *OWN)
"""Nodes and children first, so that no resource seems to lack them."""


class Resync:
    """Lists with the watches' own scope and selectors."""

    def __init__(self, settings: Settings, client: KubeClient, reconciler: Reconciler) -> None:
        self._settings = settings
        self._client = client
        self._reconciler = reconciler

    async def prime(self) -> None:
        """Fill the store before the first pass."""
        for resource in _ORDER:
            await self._list(resource)
        RESYNC_TIME.set(time.time())

    async def run(self) -> None:
        """Again and again; a LIST that fails is left to the next time."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
            try:
                for resource in _ORDER:
                    repaired = await self._list(resource)
                    if repaired:
                        RESYNC_REPAIRS.labels(resource.kind).inc(repaired)
                self._reconciler.enqueue_all()
                RESYNC_TIME.set(time.time())
            except KubeError as error:
                log.warning("resync: %s", error)

    async def _list(self, resource: Resource) -> int:
        cache = self._reconciler.world.cache
        since, found, repaired = cache.newest_version(), set[Key](), 0
        selector = CHILDREN_SELECTOR if resource in WATCHED_CHILDREN else None
        for namespace in (None,) if resource in OF_THE_CLUSTER else self._settings.namespaces or (None,):
            async for obj in self._client.list(resource, namespace, selector):
                found.add(key_of(obj))
                repaired += self._reconciler.heard(obj)
        vanished: list[Object] = cache.vanished(resource, found, since)
        for lost in vanished:
            self._reconciler.gone(lost)
        return repaired + len(vanished)
