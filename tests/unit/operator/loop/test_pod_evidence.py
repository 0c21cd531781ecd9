"""Which pods are worth a request, and that one request is enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.loop.pod_evidence import EvidenceReader
from trtllm_operator.outcomes.evidence import QUIET, Evidence, wants_events, wants_log

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PLACED = [{"type": "PodScheduled", "status": "True"}]


def pod(state: dict[str, Any] | None = None, *, age: timedelta = QUIET, phase: str = "Pending") -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "team", "uid": "u1"},
        "status": {
            "phase": phase,
            "startTime": (NOW - age).isoformat(),
            "conditions": PLACED,
            "containerStatuses": [{"name": "builder", "state": state or {"waiting": {"reason": "ContainerCreating"}}}],
        },
    }


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return pod({"terminated": {"exitCode": code, "message": message, "reason": reason}}, phase="Failed")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (pod(), True),
        (pod(age=QUIET / 2), False),
        (pod({"waiting": {"reason": "ImagePullBackOff"}}), False),
        (pod({"running": {}}, phase="Running"), False),
        (ended(137), True),
        (ended(143), True),
        (ended(137, reason="OOMKilled"), False),
        (ended(1), False),
        ({"status": {"phase": "Pending"}}, False),
    ],
    ids=[
        "quiet for long",
        "just made",
        "its status tells",
        "it runs",
        "killed",
        "told to stop",
        "its end tells",
        "ended by itself",
        "not placed",
    ],
)
def test_events_are_asked_for_where_the_status_tells_nothing(given: dict[str, Any], wanted: bool) -> None:
    assert wants_events(given, NOW) is wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (ended(137, reason="OOMKilled"), True),
        (ended(1, "Traceback"), True),
        (ended(137, '{"progress": {"stage": "Quantizing"}}', "OOMKilled"), True),
        (ended(137, '{"progress": {}}\n{"progress": {}}\n', "OOMKilled"), True),
        (ended(69, '{"stage": "Fetch", "exitCode": 69}'), False),
        (ended(0), False),
        (pod(), False),
    ],
    ids=[
        "killed for memory",
        "crashed",
        "killed at its only line",
        "killed at its second line",
        "it said why",
        "ended well",
        "not begun",
    ],
)
def test_the_log_is_asked_for_where_the_builder_left_no_result(given: dict[str, Any], wanted: bool) -> None:
    assert wants_log(given, "builder") is wanted


class FakeClient:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: KubeError | None = None
        self.events: list[dict[str, Any]] = [{"reason": "FailedMount"}]
        self.log = "last words"

    async def list(self, _resource: object, namespace: str, fields: str) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(f"{namespace} {fields}")
        if self.answer is not None:
            raise self.answer
        for event in self.events:
            yield event

    async def log_tail(self, _resource: object, namespace: str, pod: str, container: str, _lines: int) -> str:
        self.asked.append(f"{namespace} {pod} {container}")
        if self.answer is not None:
            raise self.answer
        return self.log


def test_each_is_asked_for_once_until_the_pod_is_gone() -> None:
    client = FakeClient()
    reader = EvidenceReader(cast("KubeClient", client))
    pods = [pod(), {**ended(1), "metadata": {"name": "q", "namespace": "team", "uid": "u2"}}]
    found = [asyncio.run(reader.of(pods, (), None, NOW)) for _ in range(2)]
    assert found == [Evidence({"p": ({"reason": "FailedMount"},)}, {"q": "last words"})] * 2
    assert client.asked == ["team involvedObject.uid=u1", "team q builder"]
    for one in pods:
        reader.forget(one)
    asyncio.run(reader.of(pods, (), None, NOW))
    assert len(client.asked) == 4


def test_an_answer_that_does_not_come_holds_nothing_up_and_is_asked_for_again() -> None:
    client = FakeClient()
    client.answer = KubeError(500, "InternalError", "no")
    reader = EvidenceReader(cast("KubeClient", client))
    assert asyncio.run(reader.of([pod(), ended(1)], (), None, NOW)) == Evidence()
    client.answer = None
    assert asyncio.run(reader.of([ended(1)], (), None, NOW)).logs == {"p": "last words"}


def job(**spec: Any) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {"name": "j", "namespace": "team", "uid": "uj"}, "spec": spec}


def refused(message: str, when: str, name: str = "j") -> dict[str, Any]:
    return {"message": message, "lastTimestamp": when, "involvedObject": {"name": name}}


def test_the_newest_refusal_of_a_jobs_pods_is_read_from_its_events() -> None:
    client = FakeClient()
    client.events = [refused("exceeded quota: old", "2026-11-25T11:00:00Z"), refused("new", "2026-11-25T11:59:00Z")]
    reader = EvidenceReader(cast("KubeClient", client))
    assert asyncio.run(reader.of((), [job()], None, NOW)).refusal_of(job()) == "new"
    assert client.asked == ["team involvedObject.uid=uj,reason=FailedCreate"]


@pytest.mark.parametrize(
    "given",
    [
        job(suspend=True),
        {**job(), "status": {"conditions": [{"type": "Complete", "status": "True"}]}},
        {**job(), "status": {"conditions": [{"type": "Failed", "status": "True"}]}},
    ],
    ids=["suspended", "complete", "failed"],
)
def test_nobody_asks_about_the_pods_of_a_job_that_makes_none(given: dict[str, Any]) -> None:
    client = FakeClient()
    asyncio.run(EvidenceReader(cast("KubeClient", client)).of((), [given], None, NOW))
    assert client.asked == []


def test_a_groups_refusals_are_those_of_its_own_stateful_sets() -> None:
    client = FakeClient()
    client.events = [
        refused("of another", "2026-11-25T11:59:59Z", "llama-servers-more"),
        refused("of a worker", "2026-11-25T11:59:00Z", "llama-servers-0"),
        refused("of the leaders", "2026-11-25T11:58:00Z", "llama-servers"),
    ]
    groups = {
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "llama-servers", "namespace": "team", "uid": "ug"},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": 2}},
    }
    reader = EvidenceReader(cast("KubeClient", client))
    assert asyncio.run(reader.of((), (), groups, NOW)).refusal_of(groups) == "of a worker"


def test_the_logs_of_many_dead_pods_are_bounded_in_sum() -> None:
    client = FakeClient()
    client.log = "x" * (1 << 20) + "end"
    reader = EvidenceReader(cast("KubeClient", client))
    dead = [{**ended(1), "metadata": {"name": f"p{i}", "namespace": "team", "uid": f"u{i}"}} for i in range(300)]
    asyncio.run(reader.of(dead, (), None, NOW))
    kept = asyncio.run(reader.of(dead[-1:], (), None, NOW)).logs["p299"]
    assert kept.endswith("end")
    assert len(kept) <= 64 << 10
    assert sum(map(len, reader._logs.values())) == reader._logs_bytes <= 8 << 20
