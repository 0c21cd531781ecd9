"""The reconcile path with a fake API server and a kind made for the test."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from trtllm_api.meta import Progress
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.reasons import Reason
from trtllm_operator.kube.client import KubeError
from trtllm_operator.kube.objects import Object
from trtllm_operator.kube.resources import JOBS, QUANTIZED_MODELS, Resource
from trtllm_operator.loop import reconciler
from trtllm_operator.loop.cache import Cache, Key
from trtllm_operator.loop.events import EventRecorder
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.loop.world import World
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
        self.refuse_stage = "none"
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
            if manifest["status"].get("stage") == self.refuse_stage:
                raise KubeError(422, "Invalid", "spec.stage: Unsupported value")
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
    held: threading.Event | None = None
    """Set by the test to let the judgement of resource "held" go on."""

    async def gather(self, resource: Object, world: World, now: datetime) -> Seen:
        key = Key("QuantizedModel", "default", resource["metadata"]["name"])
        return Seen(resource, tuple(world.cache.children(key, "Job")), now)

    def observe(self, gathered: Seen) -> Seen:
        if self.broken:
            raise ValueError("a defect")
        if self.held is not None and gathered.resource["metadata"]["name"] == "held" and not self.held.wait(5):
            raise TimeoutError("the loop stood still")
        return gathered

    def determine_state(self, observed: Seen) -> str:
        return "missing" if self.never_satisfied or not observed.jobs else "there"

    def steps(self, observed: Seen, state: str) -> Steps:
        if state == "there":
            return (Requeue(3600),)
        name = observed.resource["metadata"]["name"]
        labels = {"trtllm.dev/resource-kind": "QuantizedModel", "trtllm.dev/resource": name}
        suffix = f"-{len(observed.jobs)}" if self.never_satisfied else ""
        owner = {"kind": "QuantizedModel", "controller": True, "uid": observed.resource["metadata"]["uid"]}
        meta = {"name": f"{name}-job{suffix}", "namespace": "default", "labels": labels, "ownerReferences": [owner]}
        return (Apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}),)

    def compute_status(self, observed: Seen, state: str, now: datetime) -> QuantizedModelStatus:
        told = conditions(reconciling(Reason.QUANTIZING, self.message), (), 1, datetime(2026, 1, 1))  # noqa: DTZ001
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
    await bench.until("create Event")
    await asyncio.sleep(0.1)
    before = list(bench.client.calls)
    bench.engine.enqueue_all()
    await asyncio.sleep(0.2)
    assert bench.client.calls == before


async def test_progress_alone_is_written_now_and_then_and_with_any_other_news_at_once(bench: Bench) -> None:
    bench.add()
    await bench.until("create Event")
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
    assert "The API server refuses Job m-job: exceeded quota: jobs=0." in bench.condition()["message"]
    bench.client.refuse = None
    async with asyncio.timeout(5):
        while ("Job", "m-job") not in bench.client.objects:
            await asyncio.sleep(0.01)


async def test_an_api_server_that_keeps_failing_is_told_in_its_own_words_after_a_few_tries(bench: Bench) -> None:
    bench.client.refuse = KubeError(500, "InternalError", 'failed calling webhook "vjob.kb.io": no endpoints')
    bench.add()
    await bench.until("status QuantizedModel")
    tries = bench.client.calls[: bench.client.calls.index("status QuantizedModel")]
    assert tries == ["create Job"] * 3
    assert (bench.condition()["status"], bench.condition()["reason"]) == ("False", "ApiServerError")
    assert 'failed calling webhook "vjob.kb.io": no endpoints' in bench.condition()["message"]


async def test_a_defect_is_told_in_status_and_tried_again(bench: Bench) -> None:
    bench.kind.broken = True
    bench.add()
    await bench.until("status QuantizedModel")
    assert bench.condition()["reason"] == "InternalError"
    assert bench.condition()["message"] == "The operator has a fault here: ValueError: a defect"
    bench.kind.broken = False
    await bench.until("create Job")


async def test_a_status_that_the_api_server_refuses_is_told_in_a_status_that_it_takes(bench: Bench) -> None:
    bench.client.refuse_stage = "there"
    bench.add()
    await bench.until("create Event")
    assert bench.condition()["reason"] == "InternalError"
    assert "spec.stage: Unsupported value" in bench.condition()["message"]


async def test_an_object_of_somebody_else_with_a_childs_name_is_left_alone(bench: Bench) -> None:
    owner = {"kind": "CronJob", "name": "nightly", "controller": True, "uid": "another"}
    meta = {"name": "m-job", "namespace": "default", "ownerReferences": [owner]}
    theirs = bench.client.accept({"apiVersion": "batch/v1", "kind": JOBS.kind, "metadata": meta})
    bench.add()
    await bench.until("status QuantizedModel")
    assert bench.condition()["reason"] == "NameTaken"
    assert bench.condition()["message"].startswith(
        "Job m-job exists and is not this resource's. It belongs to CronJob nightly."
    )
    assert bench.client.objects["Job", "m-job"] == theirs


async def test_children_that_somebody_else_keeps_changing_are_told_and_not_fought_over(bench: Bench) -> None:
    bench.kind.never_satisfied = True
    settling, reconciler._SETTLE_SECONDS = reconciler._SETTLE_SECONDS, 0.0
    try:
        bench.add()
        await bench.until("status QuantizedModel")
    finally:
        reconciler._SETTLE_SECONDS = settling
    assert bench.condition()["reason"] == "ChildrenContested"
    assert "21 times in a row" in bench.condition()["message"]
    await asyncio.sleep(0.15)
    assert bench.client.calls.count("create Job") == 21


async def test_a_slow_judgement_holds_up_nobody_else(bench: Bench) -> None:
    bench.kind.held = threading.Event()
    bench.add("held")
    bench.add("other")
    async with asyncio.timeout(20):
        while not bench.condition("other"):
            await asyncio.sleep(0.01)
        assert not bench.condition("held")
        bench.kind.held.set()
        while not bench.condition("held"):
            await asyncio.sleep(0.01)
    assert bench.condition("held")["reason"] == bench.condition("other")["reason"] == "Quantizing"


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
    await bench.until("create Event")
    bench.engine.gone(bench.client.objects.pop(("QuantizedModel", "m")))
    bench.client.calls.clear()
    await asyncio.sleep(0.7)
    assert bench.client.calls == []


async def test_an_event_is_posted_for_a_transition(bench: Bench) -> None:
    bench.add()
    await bench.until("create Event")
    events = [found for (kind, _), found in bench.client.objects.items() if kind == "Event"]
    assert [(event["reason"], event["type"]) for event in events] == [("Quantizing", "Normal")]
    assert events[0]["involvedObject"]["name"] == "m"


async def test_an_object_made_by_an_earlier_process_is_taken_as_it_is(bench: Bench) -> None:
    bench.add()
    await bench.until("create Event")
    existing = bench.client.objects["Job", "m-job"]
    bench.client.calls.clear()
    bench.engine.gone(existing)
    await bench.until("create Job")
    await asyncio.sleep(0.1)
    assert bench.client.objects["Job", "m-job"] == existing
    assert bench.engine.world.cache.get("Job", "default", "m-job") is not None
