"""The reconcile path with a fake API server and a kind made for the test."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from trtllm_api.meta import Progress
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_operator.kube.client import KubeError
from trtllm_operator.kube.objects import Object
from trtllm_operator.kube.resources import JOBS, QUANTIZED_MODELS, Resource
from trtllm_operator.loop.cache import Cache, Key
from trtllm_operator.loop.controller import World
from trtllm_operator.loop.events import EventRecorder
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.settings import Settings
from trtllm_operator.shared.conditions import conditions, reconciling
from trtllm_operator.shared.steps import Apply, Requeue, Steps

KEY = Key("QuantizedModel", "default", "m")


class FakeClient:
    """The calls that the engine makes: as strict about names and versions as the API server."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refuse: KubeError | None = None
        self._version = 100

    def accept(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self._version += 1
        stored = copy.deepcopy(dict(manifest))
        meta = {**stored["metadata"], "resourceVersion": str(self._version)}
        meta["uid"] = meta.get("uid") or str(self._version)
        stored["metadata"] = meta
        self.objects[stored["kind"], meta["name"]] = stored
        return copy.deepcopy(stored)

    async def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(f"create {manifest['kind']}")
        if self.refuse is not None and manifest["kind"] == "Job":
            raise self.refuse
        if (manifest["kind"], manifest["metadata"].get("name")) in self.objects:
            raise KubeError(409, "AlreadyExists", "it exists")
        return self.accept(manifest)

    async def apply(self, manifest: Mapping[str, Any], subresource: str | None = None) -> dict[str, Any]:
        self.calls.append(f"{subresource or 'apply'} {manifest['kind']}")
        known = self.objects.get((manifest["kind"], manifest["metadata"]["name"]))
        if subresource == "status":
            if known is None:
                raise KubeError(404, "NotFound", "no such object")
            return self.accept({**known, "status": manifest["status"]})
        return self.accept(manifest)

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    async def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        self.calls.append(f"delete {resource.kind}")
        return self.objects.pop((resource.kind, name), None) is not None


@dataclass(frozen=True)
class Seen:
    resource: Object
    jobs: tuple[Object, ...]
    now: datetime


class OneJob:
    """A kind whose resources want one Job."""

    resource = QUANTIZED_MODELS
    message = "one Job runs"
    percent: int | None = None
    broken = False
    never_satisfied = False

    async def observe(self, resource: Object, world: World, now: datetime) -> Seen:
        if self.broken:
            raise ValueError("a defect")
        key = Key("QuantizedModel", "default", resource["metadata"]["name"])
        return Seen(resource, tuple(world.cache.children(key, "Job")), now)

    def determine_state(self, observed: Seen) -> str:
        return "missing" if self.never_satisfied or not observed.jobs else "there"

    def steps(self, observed: Seen, state: str) -> Steps:
        if state == "there":
            return (Requeue(3600),)
        name = observed.resource["metadata"]["name"]
        labels = {"trtllm.dev/resource-kind": "QuantizedModel", "trtllm.dev/resource": name}
        suffix = f"-{len(observed.jobs)}" if self.never_satisfied else ""
        meta = {"name": f"{name}-job{suffix}", "namespace": "default", "labels": labels}
        return (Apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}),)

    def compute_status(self, observed: Seen, state: str, now: datetime) -> QuantizedModelStatus:
        told = conditions(reconciling("Working", self.message), (), 1, datetime(2026, 1, 1))  # noqa: DTZ001
        progress = None if self.percent is None else Progress(stage="Building", percent=self.percent)
        return QuantizedModelStatus(stage=state, conditions=told, progress=progress)

    def dependents(self, before: Object | None, after: Object | None, cache: Cache) -> Iterable[Key]:
        return ()


@dataclass
class Bench:
    client: FakeClient
    engine: Reconciler
    kind: OneJob

    def add(self, name: str = "m") -> None:
        spec = {"apiVersion": QUANTIZED_MODELS.api_version, "kind": "QuantizedModel", "spec": {}}
        self.engine.heard(self.client.accept({**spec, "metadata": {"name": name, "namespace": "default"}}))

    async def until(self, what: str) -> None:
        async with asyncio.timeout(5):
            while what not in self.client.calls:
                await asyncio.sleep(0.01)

    def condition(self, name: str = "m") -> dict[str, Any]:
        status = self.client.objects["QuantizedModel", name].get("status") or {}
        return next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    client: Any = FakeClient()
    kind = OneJob()
    world = World(Cache(), client, BuilderSettings(image="none"))
    settings = Settings(builder=BuilderSettings(image="none"), lease=None)
    engine = Reconciler(settings, client, world, {"QuantizedModel": kind}, EventRecorder(client, "test"))
    workers = [asyncio.create_task(engine.work()) for _ in range(2)]
    yield Bench(client, engine, kind)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_children_come_before_status(bench: Bench) -> None:
    bench.add()
    await bench.until("status QuantizedModel")
    assert bench.client.calls.index("create Job") < bench.client.calls.index("status QuantizedModel")


async def test_a_settled_resource_is_not_written_again(bench: Bench) -> None:
    bench.add()
    await bench.until("status QuantizedModel")
    await asyncio.sleep(0.1)
    before = list(bench.client.calls)
    bench.engine.enqueue_all()
    await asyncio.sleep(0.2)
    assert bench.client.calls == before


async def test_progress_alone_is_written_now_and_then_and_with_any_other_news_at_once(bench: Bench) -> None:
    bench.add()
    await bench.until("status QuantizedModel")
    bench.client.calls.clear()
    for percent in (10, 20, 30):
        bench.kind.percent = percent
        bench.engine.enqueue_all()
        await asyncio.sleep(0.1)
    assert bench.client.calls == []
    bench.kind.message = "news"
    bench.engine.enqueue_all()
    await bench.until("status QuantizedModel")
    assert bench.client.objects["QuantizedModel", "m"]["status"]["progress"]["percent"] == 30


async def test_a_child_that_somebody_deletes_is_made_again(bench: Bench) -> None:
    bench.add()
    await bench.until("create Job")
    job = bench.client.objects.pop(("Job", "m-job"))
    bench.client.calls.clear()
    bench.engine.gone(job)
    await bench.until("create Job")


async def test_a_refusal_of_the_api_server_is_told_in_its_words_and_tried_again(bench: Bench) -> None:
    bench.client.refuse = KubeError(403, "Forbidden", "exceeded quota: jobs=0")
    bench.add()
    await bench.until("status QuantizedModel")
    assert bench.condition()["reason"] == "ApplyRefused"
    assert "Job m-job is refused by the API server: exceeded quota: jobs=0" in bench.condition()["message"]
    bench.client.refuse = None
    async with asyncio.timeout(5):
        while ("Job", "m-job") not in bench.client.objects:
            await asyncio.sleep(0.01)


async def test_a_server_that_does_not_answer_is_tried_again_without_a_word_to_the_user(bench: Bench) -> None:
    bench.client.refuse = KubeError(503, "ServiceUnavailable", "later")
    bench.add()
    await asyncio.sleep(0.1)
    assert "status QuantizedModel" not in bench.client.calls
    bench.client.refuse = None
    await bench.until("status QuantizedModel")


async def test_a_defect_in_the_way_of_one_resource_does_not_stop_the_others(bench: Bench) -> None:
    bench.kind.broken = True
    bench.add("first")
    await asyncio.sleep(0.05)
    bench.kind.broken = False
    bench.add("second")
    async with asyncio.timeout(5):
        while ("Job", "second-job") not in bench.client.objects or ("Job", "first-job") not in bench.client.objects:
            await asyncio.sleep(0.01)


async def test_a_deleted_resource_is_forgotten(bench: Bench) -> None:
    bench.add()
    await bench.until("status QuantizedModel")
    bench.engine.gone(bench.client.objects.pop(("QuantizedModel", "m")))
    bench.client.calls.clear()
    await asyncio.sleep(0.7)
    assert bench.client.calls == []


async def test_an_event_is_posted_for_a_transition(bench: Bench) -> None:
    bench.add()
    await bench.until("create Event")
    events = [found for (kind, _), found in bench.client.objects.items() if kind == "Event"]
    assert [(event["reason"], event["type"]) for event in events] == [("Working", "Normal")]
    assert events[0]["involvedObject"]["name"] == "m"


async def test_an_object_made_by_an_earlier_process_is_taken_as_it_is(bench: Bench) -> None:
    labels = {"trtllm.dev/resource-kind": "QuantizedModel", "trtllm.dev/resource": "m"}
    meta = {"name": "m-job", "namespace": "default", "labels": labels}
    existing = bench.client.accept({"apiVersion": "batch/v1", "kind": JOBS.kind, "metadata": meta})
    bench.add()
    await bench.until("status QuantizedModel")
    assert bench.client.objects["Job", "m-job"]["metadata"]["uid"] == existing["metadata"]["uid"]
