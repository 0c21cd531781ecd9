"""Puts the parts together and runs them until a signal; called by cli.py and by tests."""

from __future__ import annotations

import asyncio
import logging
import socket

import kopf

from trtllm_operator.enginebuild import controller as enginebuild
from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.connect import connect
from trtllm_operator.kube.resources import ENGINE_BUILDS, QUANTIZED_MODELS
from trtllm_operator.loop.cache import Cache
from trtllm_operator.loop.controller import AnyController
from trtllm_operator.loop.events import EventRecorder
from trtllm_operator.loop.lease import Leadership, LeaseLostError
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.loop.resync import Resync
from trtllm_operator.loop.watch import watch_registry, watch_settings
from trtllm_operator.loop.web import servers
from trtllm_operator.loop.world import World
from trtllm_operator.metrics import LEADER
from trtllm_operator.quantizedmodel import controller as quantizedmodel
from trtllm_operator.settings import Settings

log = logging.getLogger(__name__)
_GRACE_SECONDS = 10.0


async def run(settings: Settings) -> int:
    """Watch and work until SIGTERM or SIGINT; the exit code."""
    client = KubeClient(await connect(), settings.request_timeout)
    try:
        return await _run(settings, client)
    except KubeError as error:
        log.error("%s", _explained(error))  # noqa: TRY400 - the cause is in the sentence, a traceback adds nothing
        return 1
    except LeaseLostError as error:
        log.error("%s", error)  # noqa: TRY400 - as above
        return 1
    finally:
        await client.close()


async def _run(settings: Settings, client: KubeClient) -> int:
    indexes = {QUANTIZED_MODELS.kind: quantizedmodel.INDEXES, ENGINE_BUILDS.kind: enginebuild.INDEXES}
    world = World(Cache(indexes), client, settings.builder)
    controllers: dict[str, AnyController] = {
        QUANTIZED_MODELS.kind: quantizedmodel.QuantizedModelController(),
        ENGINE_BUILDS.kind: enginebuild.EngineBuildController(),
    }
    identity = settings.lease.identity if settings.lease else socket.gethostname()
    events = EventRecorder(client, identity)
    reconciler = Reconciler(settings, client, world, controllers, events)
    resync = Resync(settings, client, reconciler)
    leadership = Leadership(client, settings.lease) if settings.lease else None
    watching = asyncio.Event()

    background: list[asyncio.Task[None]] = []

    def alive() -> str:
        ended = [task.get_name() for task in background if task.done()]
        return f"{', '.join(ended)} ended" if ended else ""

    def ready() -> str:
        return "" if watching.is_set() else "the watches have not begun"

    async with servers(settings, world.cache, alive, ready):
        await resync.prime()
        background.append(asyncio.create_task(resync.run(), name="resync"))
        workers = asyncio.create_task(_work(settings, reconciler, leadership), name="workers")
        background.append(workers)
        if leadership is not None:
            background.append(asyncio.create_task(leadership.run(), name="lease"))
        watches = asyncio.create_task(
            kopf.operator(
                registry=watch_registry(reconciler),
                settings=watch_settings(settings),
                standalone=True,
                # kopf would look the user up by name, and a container's user has none
                identity=identity,  # type: ignore[arg-type]
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                ready_flag=watching,
            ),
            name="watches",
        )
        await asyncio.wait((watches, *background), return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        for task in (watches, *background):
            task.cancel()
        ended = await asyncio.gather(watches, *background, return_exceptions=True)
        await events.drain()
        if leadership is not None:
            await leadership.release()
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome
    return 0


async def _work(settings: Settings, reconciler: Reconciler, leadership: Leadership | None) -> None:
    """The workers, from the moment this replica leads; passes that are under way may end before they do."""
    if leadership is not None:
        await leadership.held.wait()
    LEADER.set(1)
    reconciler.enqueue_all()
    workers = [asyncio.create_task(reconciler.work()) for _ in range(settings.workers)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers, timeout=_GRACE_SECONDS)


def _explained(error: KubeError) -> str:
    if error.status == 404:
        return "the CustomResourceDefinitions of trtllm.dev are not installed: kubectl apply -f crds/, or use the chart"
    if error.status == 403:
        return f"the operator's service account may not read what it must: {error}; install the chart's RBAC"
    return str(error)
