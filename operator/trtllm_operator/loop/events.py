"""Kubernetes Events for people: one for each transition of Ready; the Reconciler posts it after a status write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import Object, dig
from trtllm_operator.manifests.identity import MANAGER
from trtllm_operator.metrics import FAILURES
from trtllm_operator.shared.conditions import READY, STALLED

log = logging.getLogger(__name__)
_MAX_NOTE = 1000


class EventRecorder:
    """Posts in the background: an Event that is lost holds nothing up."""

    def __init__(self, client: KubeClient, identity: str) -> None:
        self._client = client
        self._identity = identity
        self._posting: set[asyncio.Task[None]] = set()

    def transition(self, resource: Object, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """An Event when the reason of Ready has changed."""
        event = transition_event(resource, before, after, self._identity, datetime.now(UTC))
        if event is not None:
            if event["type"] == "Warning":
                FAILURES.labels(resource["kind"], event["reason"]).inc()
            task = asyncio.create_task(self._post(event))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def drain(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._posting, return_exceptions=True)

    async def _post(self, event: dict[str, Any]) -> None:
        try:
            await self._client.create(event)
        except KubeError as error:
            log.debug("an Event was not accepted: %s", error)


def transition_event(
    resource: Object, before: Mapping[str, Any], after: Mapping[str, Any], identity: str, now: datetime
) -> dict[str, Any] | None:
    """The Event of a status change; None when Ready has the reason that it had."""
    old, new = _condition(before, READY), _condition(after, READY)
    if not new or (old.get("status"), old.get("reason")) == (new["status"], new["reason"]):
        return None
    meta = resource["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name'][:200]}.{uuid4().hex[:16]}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": resource["apiVersion"],
            "kind": resource["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": dig(meta, "uid"),
            "resourceVersion": dig(meta, "resourceVersion"),
        },
        "type": "Warning" if _condition(after, STALLED) else "Normal",
        "reason": new["reason"],
        "message": (new.get("message") or new["reason"])[:_MAX_NOTE],
        "action": "Reconcile",
        "reportingComponent": MANAGER,
        "reportingInstance": identity[:128],
        "source": {"component": MANAGER},
        "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "count": 1,
    }


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), {})
