"""The operator on a real API server: latency of the first Job, a burst, writes, a restart, memory; run.py calls it.

Pods stay pending: there is a control plane, but no node. A bare asyncio client gives the floor in the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from clusterlib.client import Client
from clusterlib.local import LocalCluster
from clusterlib.settings import Settings
from figure import Figure

from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.connect import connect
from trtllm_operator.kube.resources import JOBS, QUANTIZED_MODELS

REPOSITORY = Path(__file__).resolve().parents[1]
SETTINGS = Settings(name="trtllm-bench", index=3, nodes=0)
METRICS = "http://127.0.0.1:29090/metrics"
SINGLE = 60
BURST = 200
_LABEL = "trtllm.dev/resource"
_WRITES = re.compile(
    r'trtllm_operator_api_requests_total\{code="2..",resource="(\w+)",verb="(POST|PATCH|PUT|DELETE)"\} ([0-9.]+)'
)


def measure() -> list[Figure]:
    """All figures, on a control plane that is made for it and removed."""
    cluster = LocalCluster(SETTINGS)
    cluster.down()
    cluster.up()
    try:
        client = Client(cluster, SETTINGS)
        client.kubectl("apply", "--server-side", "-f", str(REPOSITORY / "charts/trtllm-operator/crds"))
        client.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        os.environ["KUBECONFIG"] = str(SETTINGS.kubeconfig)
        return asyncio.run(_measure())
    finally:
        cluster.down()


async def _measure() -> list[Figure]:
    client = KubeClient(await connect())
    figures = []
    try:
        floor = await _floor(client)
        operator = _start()
        await _started()
        single = await _one_at_a_time(client)
        before = _writes()
        rate, last = await _burst(client)
        await _settled()
        writes = (_writes() - before) / BURST
        rss = _rss(operator.pid)
        _stop(operator)
        again = _start()
        await _started()
        await asyncio.sleep(5)
        restart = _writes()
        _stop(again)
    finally:
        await client.close()
    single.sort()
    p50, p99 = statistics.median(single), single[min(len(single) - 1, int(len(single) * 0.99))]
    figures += [
        Figure("first Job, one at a time, p50", f"{p50:.1f} ms", "25 ms", p50 <= 25),
        Figure("first Job, one at a time, p99", f"{p99:.1f} ms", "75 ms", p99 <= 75),
        Figure(f"burst of {BURST}: first Jobs", f"{rate:.0f}/s (the last after {last:.1f} s)", "80/s", rate >= 80),
        Figure("floor of a bare client, the same writes", f"{floor:.0f} resources/s", "", True),
        Figure("writes per resource, settled", f"{writes:.2f}", "4 until its first Job", writes <= 4),
        Figure(f"writes on a restart with {BURST + SINGLE} settled", f"{restart:.0f}", "0", restart == 0),
        Figure(f"memory with {BURST + SINGLE}", f"{rss:.0f} MiB", "120 MiB", rss <= 120),
    ]
    return figures


def _start() -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "trtllm_operator", "--builder-image=localhost/none:1", "--bind=127.0.0.1"),
        *("--metrics-port=29090", "--health-port=28080", "--log-level=warning", "--log-format=plain"),
    ]
    return subprocess.Popen(command)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


async def _started() -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen("http://127.0.0.1:28080/readyz", timeout=2) as answer:
            if answer.status == 200:
                await asyncio.sleep(1)
                return
        await asyncio.sleep(0.1)
    raise RuntimeError("the operator did not become ready")


def _model(name: str) -> dict[str, Any]:
    return {
        "apiVersion": QUANTIZED_MODELS.api_version,
        "kind": QUANTIZED_MODELS.kind,
        "metadata": {"namespace": "default", "name": name},
        "spec": {
            "source": {"persistentVolumeClaim": {"claimName": "models", "path": name}},
            "quantization": {"method": "FP8"},
        },
    }


@contextlib.asynccontextmanager
async def _jobs_seen(client: KubeClient) -> AsyncIterator[dict[str, float]]:
    """When the first Job of each resource was seen by a watch; a private way in, for the benchmark alone."""
    seen: dict[str, float] = {}
    api = client._api  # noqa: SLF001
    session = api.rest_client.pool_manager or api.rest_client._create_pool_manager()  # noqa: SLF001
    api.rest_client.pool_manager = session

    async def watch() -> None:
        url = f"{api.configuration.host}{JOBS.path('default')}?watch=1"
        timeout = aiohttp.ClientTimeout(total=None)
        async with session.get(url, timeout=timeout) as stream:
            async for line in stream.content:
                job = json.loads(line)["object"]
                seen.setdefault(job["metadata"]["labels"].get(_LABEL, job["metadata"]["name"]), time.monotonic())

    task = asyncio.create_task(watch())
    await asyncio.sleep(0.5)
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _one_at_a_time(client: KubeClient) -> list[float]:
    """Milliseconds from the answer to the create until the Job was seen."""
    times = []
    async with _jobs_seen(client) as seen:
        for number in range(SINGLE):
            name = f"single-{number}"
            await client.create(_model(name))
            accepted = time.monotonic()
            while name not in seen:
                await asyncio.sleep(0.0005)
            times.append(1000 * (seen[name] - accepted))
            await asyncio.sleep(0.2)
    return times


async def _burst(client: KubeClient) -> tuple[float, float]:
    """First Jobs a second, from the first create to the last Job."""
    async with _jobs_seen(client) as seen:
        names = [f"burst-{number}" for number in range(BURST)]
        started = time.monotonic()
        gate = asyncio.Semaphore(16)

        async def create(name: str) -> None:
            async with gate:
                await client.create(_model(name))

        await asyncio.gather(*(create(name) for name in names))
        while any(name not in seen for name in names):
            await asyncio.sleep(0.005)
        last = max(seen[name] for name in names) - started
    return BURST / last, last


async def _floor(client: KubeClient) -> float:
    """Resources a second of a client that creates a ConfigMap and a Job for each, sixteen at a time."""
    gate = asyncio.Semaphore(16)
    labels = {"floor": "true"}
    pod = {"restartPolicy": "Never", "containers": [{"name": "none", "image": "none"}]}

    async def make(number: int) -> None:
        async with gate:
            meta = {"namespace": "default", "name": f"floor-{number}", "labels": labels}
            await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}})
            spec = {"suspend": True, "template": {"spec": pod}}
            await client.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})

    started = time.monotonic()
    await asyncio.gather(*(make(number) for number in range(BURST)))
    return BURST / (time.monotonic() - started)


async def _settled() -> None:
    """No write for two seconds."""
    before, since = -1.0, time.monotonic()
    while time.monotonic() - since < 2:
        now = _writes()
        if now != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(0.25)


def _writes() -> float:
    """The operator's own writes; without Events and its lease."""
    text = urllib.request.urlopen(METRICS, timeout=5).read().decode()
    return sum(float(count) for resource, _, count in _WRITES.findall(text) if resource != "leases")


def _rss(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
