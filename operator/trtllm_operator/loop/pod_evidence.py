"""Asks the API server for what pods say beside their status, seldom and only where it is needed; the World has one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import Object, dig, name_of
from trtllm_operator.kube.resources import EVENTS, PODS
from trtllm_operator.manifests.job import CONTAINER
from trtllm_operator.outcomes.evidence import Evidence, wants_events, wants_log

log = logging.getLogger(__name__)
_EVENTS_SECONDS = 15.0
"""Events are good for that long."""
_LOG_LINES = 2000


class EvidenceReader:
    """Nothing that it asks for is indispensable: an answer that does not come is left out."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._events: dict[str, tuple[float, tuple[Object, ...]]] = {}
        self._logs: dict[str, str] = {}

    async def of(self, pods: Iterable[Object], now: datetime) -> Evidence:
        """What is worth asking for of these pods."""
        events: dict[str, tuple[Object, ...]] = {}
        logs: dict[str, str] = {}
        for pod in pods:
            try:
                if wants_events(pod, now):
                    events[name_of(pod)] = await self._events_of(pod)
                if wants_log(pod, CONTAINER):
                    logs[name_of(pod)] = await self._log_of(pod)
            except KubeError as error:
                log.debug("no evidence of pod %s: %s", name_of(pod), error)
        return Evidence(events, logs)

    def forget(self, pod: Object) -> None:
        """It is gone."""
        self._events.pop(_uid(pod), None)
        self._logs.pop(_uid(pod), None)

    async def _events_of(self, pod: Object) -> tuple[Object, ...]:
        asked, known = self._events.get(_uid(pod), (-_EVENTS_SECONDS, ()))
        if time.monotonic() - asked < _EVENTS_SECONDS:
            return known
        namespace, fields = str(dig(pod, "metadata", "namespace")), f"involvedObject.uid={_uid(pod)}"
        found = tuple([event async for event in self._client.list(EVENTS, namespace, fields=fields)])
        self._events[_uid(pod)] = (time.monotonic(), found)
        return found

    async def _log_of(self, pod: Object) -> str:
        if _uid(pod) not in self._logs:
            namespace = str(dig(pod, "metadata", "namespace"))
            self._logs[_uid(pod)] = await self._client.log_tail(PODS, namespace, name_of(pod), CONTAINER, _LOG_LINES)
        return self._logs[_uid(pod)]


def _uid(pod: Object) -> str:
    return str(dig(pod, "metadata", "uid") or "")
