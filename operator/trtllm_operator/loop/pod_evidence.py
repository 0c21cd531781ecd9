"""EvidenceReader: asks the API server for Events and logs, seldom and only where a status does not say enough."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import Object, dig, name_of, uid_of
from trtllm_operator.kube.resources import EVENTS, PODS
from trtllm_operator.manifests.job import CONTAINER
from trtllm_operator.outcomes.evidence import (
    Evidence,
    group_lacks_pods,
    lacks_pods,
    newest_refusal,
    wants_events,
    wants_log,
)

log = logging.getLogger(__name__)
_EVENTS_SECONDS = 15.0
"""Age up to which Events are used again."""
_MOST_EVENTS = 200
"""Events of one object that are read."""
_LOG_LINES = 2000
_LOG_BYTES = 64 << 10
"""Bytes that are kept of the end of one log."""
_ALL_LOGS_BYTES = 8 << 20
"""Bytes that are kept of all logs; the oldest go first."""


class EvidenceReader:
    """Keeps what it read, within bounds; an answer that does not come is left out."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._events: dict[str, tuple[float, tuple[Object, ...]]] = {}
        self._logs: OrderedDict[str, str] = OrderedDict()
        self._logs_bytes = 0

    async def of(
        self, pods: Iterable[Object], jobs: Iterable[Object], groups: Object | None, now: datetime
    ) -> Evidence:
        """Evidence about these pods, and about pods that controllers could not create."""
        pods, jobs = tuple(pods), tuple(jobs)
        events: dict[str, tuple[Object, ...]] = {}
        logs: dict[str, str] = {}
        refusals: dict[str, str] = {}
        for pod in pods:
            try:
                if wants_events(pod, now):
                    events[name_of(pod)] = await self._events_of(pod)
                if wants_log(pod, CONTAINER):
                    logs[name_of(pod)] = await self._log_of(pod)
            except KubeError as error:
                log.debug("no evidence of pod %s: %s", name_of(pod), error)
        for made, wanted in _makers(pods, jobs, groups):
            try:
                found = newest_refusal(await self._events_by(uid_of(made), _namespace(made), wanted), made)
            except KubeError as error:
                log.debug("no Events of %s: %s", name_of(made), error)
                continue
            if found:
                refusals[name_of(made)] = found
        return Evidence(events, logs, refusals)

    def forget(self, pod: Object) -> None:
        """Drop what was kept about a pod that is gone."""
        self._events.pop(uid_of(pod), None)
        self._logs_bytes -= len(self._logs.pop(uid_of(pod), ""))

    async def _events_of(self, pod: Object) -> tuple[Object, ...]:
        return await self._events_by(uid_of(pod), _namespace(pod), f"involvedObject.uid={uid_of(pod)}")

    async def _events_by(self, uid: str, namespace: str, fields: str) -> tuple[Object, ...]:
        asked, known = self._events.get(uid, (-_EVENTS_SECONDS, ()))
        if time.monotonic() - asked < _EVENTS_SECONDS:
            return known
        found: list[Object] = []
        async for event in self._client.list(EVENTS, namespace, fields=fields):
            found.append(event)
            if len(found) == _MOST_EVENTS:
                break
        self._events[uid] = (time.monotonic(), tuple(found))
        return self._events[uid][1]

    async def _log_of(self, pod: Object) -> str:
        uid = uid_of(pod)
        if uid not in self._logs:
            text = await self._client.log_tail(PODS, _namespace(pod), name_of(pod), CONTAINER, _LOG_LINES)
            self._logs[uid] = text[-_LOG_BYTES:]
            self._logs_bytes += len(self._logs[uid])
            while self._logs_bytes > _ALL_LOGS_BYTES and len(self._logs) > 1:
                self._logs_bytes -= len(self._logs.popitem(last=False)[1])
        else:
            self._logs.move_to_end(uid)
        return self._logs[uid]


def _makers(pods: tuple[Object, ...], jobs: tuple[Object, ...], groups: Object | None) -> Iterator[tuple[Object, str]]:
    """Objects whose controllers may have failed to create pods, and the fields that select their Events."""
    for job in jobs:
        if lacks_pods(job, pods):
            yield job, f"involvedObject.uid={uid_of(job)},reason=FailedCreate"
    if groups is not None and group_lacks_pods(groups, pods):
        yield groups, "involvedObject.kind=StatefulSet,reason=FailedCreate"


def _namespace(obj: Object) -> str:
    return str(dig(obj, "metadata", "namespace") or "")
