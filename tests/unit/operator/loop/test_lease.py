"""Leadership: it ends the process rather than work past its Lease."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.loop.lease import Leadership, LeaseLostError
from trtllm_operator.settings import LeaseSettings

SETTINGS = LeaseSettings("lease", "ns", "me", duration=0.3, renew_deadline=0.2, retry_period=0.02)


class ApiServer:
    def __init__(self, lease: dict[str, Any] | None = None) -> None:
        self.lease = lease
        self.down = False

    async def get(self, *_: Any) -> dict[str, Any] | None:
        if self.down:
            raise KubeError(503, "ServiceUnavailable", "later")
        return self.lease

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.lease = manifest
        return manifest

    async def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.lease = manifest
        return manifest


def leadership(server: ApiServer) -> Leadership:
    return Leadership(cast("KubeClient", server), SETTINGS)


async def test_a_lease_that_cannot_be_renewed_in_time_ends_the_leadership() -> None:
    server = ApiServer()
    leader = leadership(server)
    run = asyncio.create_task(leader.run())
    await asyncio.wait_for(leader.held.wait(), 2)
    server.down = True
    with pytest.raises(LeaseLostError, match="lease"):
        await asyncio.wait_for(run, 3)


async def test_an_answer_that_fails_once_ends_nothing() -> None:
    server = ApiServer()
    leader = leadership(server)
    run = asyncio.create_task(leader.run())
    await asyncio.wait_for(leader.held.wait(), 2)
    server.down = True
    await asyncio.sleep(0.06)
    server.down = False
    await asyncio.sleep(0.4)
    assert not run.done()
    run.cancel()


async def test_a_lease_that_another_replica_renews_is_not_taken_and_one_that_it_leaves_is() -> None:
    spec = {"holderIdentity": "other", "leaseDurationSeconds": 0.1, "renewTime": "1"}
    server = ApiServer({"metadata": {"name": "lease", "namespace": "ns"}, "spec": spec})
    leader = leadership(server)
    run = asyncio.create_task(leader.run())
    for turn in range(10):
        spec["renewTime"] = str(turn + 2)
        await asyncio.sleep(0.04)
    assert not leader.held.is_set()
    await asyncio.wait_for(leader.held.wait(), 2)
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "me"
    run.cancel()
