"""What watches and lists tell reaches the reconciler: news, deletions, and objects that vanished unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.resources import JOBS, Resource
from trtllm_operator.loop.cache import Cache, Key
from trtllm_operator.loop.events import EventRecorder
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.loop.resync import Resync
from trtllm_operator.loop.watch import _feed
from trtllm_operator.loop.world import World
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.settings import Settings

BUILDER = BuilderSettings(image="none")
LABELS = {"trtllm.dev/resource-kind": "QuantizedModel", "trtllm.dev/resource": "m"}


def job(name: str, version: int) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(version), "labels": LABELS}
    return {"kind": "Job", "metadata": meta}


class ApiServer:
    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = jobs

    async def list(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        for found in self.jobs if resource == JOBS else ():
            yield found


def reconciler(server: ApiServer) -> Reconciler:
    client = cast("KubeClient", server)
    world = World(Cache(), client, BUILDER)
    kinds: Any = {"QuantizedModel": None, "EngineBuild": None}
    return Reconciler(Settings(builder=BUILDER, lease=None), client, world, kinds, EventRecorder(client, "test"))


async def test_a_watch_tells_of_a_new_object_and_wakes_its_owner() -> None:
    subject = reconciler(ApiServer())
    await _feed(subject, JOBS)(event={"type": "ADDED", "object": job("a", 1)})
    assert subject.world.cache.get("Job", "ns", "a") is not None
    assert await subject.queue.take() == Key("QuantizedModel", "ns", "m")


async def test_a_watch_tells_of_a_deletion_and_wakes_its_owner() -> None:
    subject = reconciler(ApiServer())
    subject.world.cache.put(job("a", 1))
    await _feed(subject, JOBS)(event={"type": "DELETED", "object": job("a", 2)})
    assert subject.world.cache.get("Job", "ns", "a") is None
    assert await subject.queue.take() == Key("QuantizedModel", "ns", "m")


async def test_a_list_forgets_what_vanished_unseen_and_wakes_its_owner() -> None:
    server = ApiServer(job("stays", 1))
    subject = reconciler(server)
    for known in (job("stays", 1), job("vanished", 2)):
        subject.world.cache.put(known)
    await Resync(Settings(builder=BUILDER, lease=None), cast("KubeClient", server), subject).prime()
    assert subject.world.cache.get("Job", "ns", "vanished") is None
    assert subject.world.cache.get("Job", "ns", "stays") is not None
    assert await subject.queue.take() == Key("QuantizedModel", "ns", "m")
