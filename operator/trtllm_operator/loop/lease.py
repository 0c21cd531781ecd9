"""Leader election over a Lease: every replica watches, one works; main.py runs it.

`kubernetes.aio.leaderelection` keeps on leading past its lease when the API server hangs; this ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import dig
from trtllm_operator.kube.resources import LEASES
from trtllm_operator.metrics import LEADER
from trtllm_operator.settings import LeaseSettings

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """The lease could not be renewed in time: somebody else may be working."""


class Leadership:
    """Acquire, renew, release. Other holders' clocks are not trusted: only whether their lease still changes."""

    def __init__(self, client: KubeClient, settings: LeaseSettings) -> None:
        self._client = client
        self._settings = settings
        self._seen: tuple[str, float] = ("", 0.0)
        """Another holder's last renewal, and when it was first seen."""
        self.held = asyncio.Event()

    async def run(self) -> None:
        """Acquire and renew until cancelled. Raises LeaseLostError when the lease ran out while it was held."""
        renewed = 0.0
        while True:
            started = time.monotonic()
            try:
                async with asyncio.timeout(self._settings.renew_deadline / 2):
                    mine = await self._try()
            except (KubeError, TimeoutError) as error:
                mine = False
                log.warning("lease: %s", error or "no answer")
            if mine:
                renewed = started
                if not self.held.is_set():
                    log.info("leading as %s", self._settings.identity)
                    self.held.set()
                    LEADER.set(1)
            elif self.held.is_set() and time.monotonic() - renewed > self._settings.renew_deadline:
                LEADER.set(0)
                raise LeaseLostError(f"the Lease {self._settings.name} was not renewed in time")
            await asyncio.sleep(self._settings.retry_period)

    async def release(self) -> None:
        """Let the next one in at once."""
        if not self.held.is_set():
            return
        try:
            lease = await self._client.get(LEASES, self._settings.namespace, self._settings.name)
            if lease is not None and dig(lease, "spec", "holderIdentity") == self._settings.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._client.replace({"apiVersion": LEASES.api_version, "kind": LEASES.kind, **lease})
        except KubeError as error:
            log.warning("the Lease was not released: %s", error)

    async def _try(self) -> bool:
        settings = self._settings
        lease = await self._client.get(LEASES, settings.namespace, settings.name)
        if lease is None:
            meta = {"namespace": settings.namespace, "name": settings.name}
            await self._client.create(_lease(meta, {}, settings))
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", settings.identity} and not self._expired(spec):
            return False
        try:
            await self._client.replace(_lease(lease["metadata"], spec, settings))
        except KubeError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _expired(self, spec: dict[str, Any]) -> bool:
        seen = f"{spec.get('holderIdentity')} {spec.get('renewTime')}"
        if seen != self._seen[0]:
            self._seen = (seen, time.monotonic())
        return time.monotonic() - self._seen[1] > float(spec.get("leaseDurationSeconds") or 0)


def _lease(meta: dict[str, Any], before: dict[str, Any], settings: LeaseSettings) -> dict[str, Any]:
    taken = before.get("holderIdentity") != settings.identity
    spec = {
        **before,
        "holderIdentity": settings.identity,
        "leaseDurationSeconds": int(settings.duration),
        "renewTime": _now(),
    }
    if taken:
        spec |= {"acquireTime": _now(), "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": spec}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
