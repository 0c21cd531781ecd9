"""Probes and metrics over HTTP; main.py starts both servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from trtllm_operator.kube.objects import dig
from trtllm_operator.kube.resources import OWN
from trtllm_operator.loop.cache import Cache
from trtllm_operator.metrics import REGISTRY, RESOURCES
from trtllm_operator.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def servers(
    settings: Settings, cache: Cache, alive: Callable[[], str], ready: Callable[[], str]
) -> AsyncIterator[None]:
    """Serve while the context lasts; `alive` and `ready` say what is wrong, nothing when all is well."""
    runners = []
    if settings.health_port is not None:
        health = web.Application()
        health.router.add_get("/healthz", _probe(alive))
        health.router.add_get("/readyz", _probe(ready))
        runners.append(await _serve(health, settings.bind, settings.health_port))
    if settings.metrics_port is not None:
        metrics = web.Application()
        metrics.router.add_get("/metrics", _metrics(cache))
        runners.append(await _serve(metrics, settings.bind, settings.metrics_port))
    try:
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


async def _serve(app: web.Application, address: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address or None, port).start()
    return runner


def _probe(wrong: Callable[[], str]) -> Handler:
    async def probe(_: web.Request) -> web.Response:
        problem = wrong()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return probe


def _metrics(cache: Cache) -> Handler:
    async def metrics(_: web.Request) -> web.Response:
        RESOURCES.clear()
        for resource in OWN:
            stages = Counter(str(dig(obj, "status", "stage") or "New") for obj in cache.all(resource.kind))
            for stage, count in stages.items():
                RESOURCES.labels(resource.kind, stage).set(count)
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return metrics
