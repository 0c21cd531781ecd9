"""Reconciler: gather -> observe -> determine_state -> steps -> apply -> status; workers take keys from the queue.

Objects and logs are foreign text: everything that reads them runs in a thread, so that no resource holds up the others.

A pass that changed something in the cluster ends there: the status follows with the next pass, after the first
children of all others. Status is written only when it differs from what the API server holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trtllm_api.problem import Problem
from trtllm_api.reasons import Reason
from trtllm_operator.kube.client import KubeClient, KubeError
from trtllm_operator.kube.objects import Manifest, Object, dig, is_owned, items, name_of, uid_of
from trtllm_operator.kube.resources import BY_KIND, CLAIMS, NODES, PODS, WATCHED_CHILDREN
from trtllm_operator.loop.cache import Key, key_of, owner_of
from trtllm_operator.loop.controller import AnyController
from trtllm_operator.loop.events import EventRecorder
from trtllm_operator.loop.queue import WorkQueue
from trtllm_operator.loop.world import World
from trtllm_operator.metrics import EVENTS_SEEN, RECONCILE_SECONDS, RECONCILES
from trtllm_operator.outcomes.progress import last_progress
from trtllm_operator.settings import Settings
from trtllm_operator.shared.conditions import blocked, broken
from trtllm_operator.shared.steps import Apply, Delete, ReadLogs, Requeue, Scale, Step, Steps

log = logging.getLogger(__name__)

_MANY_PASSES = 20
"""So many passes with changes in a row mean that two parties undo each other's work."""
_FAILURES_UNTIL_TOLD = 3
"""A request that fails so many times in a row is written to status."""
_LOG_LINES = 20
_MOST_CAUSE = 300
"""Characters of a fault that status shows."""
_LOOK_AGAIN_SECONDS = 30.0
"""Pause until a name that was taken is tried again: foreign objects are not watched."""
_RENAME = "Delete or rename it, or give this resource another name."
_CONTESTED = (
    "The operator changed its objects {} times in a row and finds them changed again. Find the other writer with "
    "kubectl get -o yaml --show-managed-fields, and stop it."
)
_SETTLE_SECONDS = 0.5
"""Pause after which new children have mostly begun: one status write instead of two, after the children of others."""
_NEVER_CHANGED = frozenset({"Job", "ConfigMap", "PersistentVolumeClaim"})
"""Named by their content, or the user's from then on."""


class NameTaken(Exception):
    """An object with the name of a child is somebody else's."""


class Reconciler:
    """Owns the queue; knows no kind by name."""

    def __init__(
        self,
        settings: Settings,
        client: KubeClient,
        world: World,
        controllers: Mapping[str, AnyController],
        events: EventRecorder,
    ) -> None:
        self.queue: WorkQueue[Key] = WorkQueue()
        self.world = world
        self._settings = settings
        self._client = client
        self._controllers = controllers
        self._events = events
        self._changes: dict[Key, int] = {}
        self._contested: dict[Key, tuple[float, object]] = {}
        """The time until which a contested resource rests, and the generation that is contested."""
        self._logs_read: dict[tuple[str, str], float] = {}
        self._progress_written: dict[Key, float] = {}

    def heard(self, obj: dict[str, Any]) -> bool:
        """Take an object in, from wherever it comes, and wake whom it concerns; False when it was no news."""
        before = self.world.cache.get(str(obj.get("kind")), str(dig(obj, "metadata", "namespace") or ""), name_of(obj))
        if not self.world.cache.put(obj):
            return False
        EVENTS_SEEN.labels(str(obj.get("kind"))).inc()
        self._wake(before, obj)
        return True

    def gone(self, obj: Object) -> None:
        """Forget an object, and wake whom it concerns."""
        known = self.world.cache.remove(key_of(obj), dig(obj, "metadata", "uid"))
        if known is None:
            return
        if known.get("kind") == PODS.kind:
            pod = (str(dig(known, "metadata", "namespace")), name_of(known))
            self.world.progress.pop(pod, None)
            self._logs_read.pop(pod, None)
            self.world.evidence.forget(known)
        self._wake(known, None)

    def enqueue_all(self) -> None:
        """Every resource, after a take-over or a resync."""
        for kind in self._controllers:
            for obj in self.world.cache.all(kind):
                self.queue.add(key_of(obj))

    async def work(self) -> None:
        """Reconcile keys until cancelled."""
        while True:
            key = await self.queue.take()
            started = time.monotonic()
            try:
                result = await self._pass(key)
                if result != "contested":
                    self.queue.succeeded(key)
            except KubeError as error:
                result = "error"
                pause = self.queue.retry(key)
                log.warning("%s; tried again in %.1f s", error, pause, extra={"resource": key})
                if not error.permanent and self.queue.failures(key) >= _FAILURES_UNTIL_TOLD:
                    await self._tell(key, Reason.API_SERVER_ERROR, f"The API server fails: {error}", final=False)
            except Exception as error:
                # a defect in one resource's path must not end the work on all others
                result = "panic"
                self.queue.retry(key)
                log.exception("unexpected", extra={"resource": key})
                cause = f"{type(error).__name__}: {error}"[:_MOST_CAUSE]
                await self._tell(key, Reason.INTERNAL_ERROR, f"The operator has a fault here: {cause}", final=True)
            finally:
                self.queue.done(key)
            RECONCILES.labels(key.kind, result).inc()
            RECONCILE_SECONDS.labels(key.kind).observe(time.monotonic() - started)

    async def _pass(self, key: Key) -> str:
        resource = self.world.cache.get(key.kind, key.namespace, key.name)
        if resource is None:
            self._forget(key)
            return "gone"
        until, generation = self._contested.get(key, (0.0, None))
        if time.monotonic() < until and generation == dig(resource, "metadata", "generation"):
            self.queue.add(key, until - time.monotonic())
            return "contested"
        controller, now = self._controllers[key.kind], datetime.now(UTC)
        decided = await self._decide(controller, resource, now)
        blocked_by: Problem | None = None
        refused: KubeError | None = None
        changed, looked = False, False
        for step in decided.steps:
            try:
                acted = await self._take(key, resource, step)
            except NameTaken as taken:
                blocked_by = Problem(Reason.NAME_TAKEN, str(taken), _RENAME)
                break
            except KubeError as error:
                if not error.permanent:
                    raise
                refused = error
                blocked_by = Problem(Reason.APPLY_REFUSED, f"The API server refuses {_object(step)}: {error}")
                break
            changed |= acted and not isinstance(step, ReadLogs)
            looked |= acted
        if changed and blocked_by is None:
            self._changes[key] = self._changes.get(key, 0) + 1
            if self._changes[key] <= _MANY_PASSES:
                self.queue.add(key, _SETTLE_SECONDS)
                return "changed"
            blocked_by = Problem(Reason.CHILDREN_CONTESTED, _CONTESTED.format(self._changes[key]))
            log.warning("%s", blocked_by.message, extra={"resource": key})
            # what this pass changed wakes the resource at once: it must not undo the pause
            until = time.monotonic() + self.queue.retry(key)
            self._contested[key] = (until, dig(resource, "metadata", "generation"))
        elif not changed:
            self._changes.pop(key, None)
        if looked:
            decided = await self._decide(controller, resource, now)
        status = decided.status
        if blocked_by is not None:
            status["conditions"] = blocked(status["conditions"], blocked_by.reason, blocked_by.sentence)
        try:
            await self._write_status(key, resource, status)
        except KubeError as error:
            if error.permanent:
                await self._tell(key, Reason.INTERNAL_ERROR, f"The API server refuses the status: {error}", final=True)
            raise
        if refused is not None:
            raise refused
        if blocked_by is not None and blocked_by.reason is Reason.NAME_TAKEN:
            self.queue.add(key, _LOOK_AGAIN_SECONDS)
        return "contested" if blocked_by is not None else "settled"

    async def _decide(self, controller: AnyController, resource: Object, now: datetime) -> _Decided:
        """Gather on the loop; judge in a thread."""
        gathered = await controller.gather(resource, self.world, now)
        return await asyncio.to_thread(_judge, controller, gathered, now)

    async def _tell(self, key: Key, reason: Reason, message: str, *, final: bool) -> None:
        """Write a status when the ordinary way to one failed; a status that cannot be written is only logged."""
        resource = self.world.cache.get(key.kind, key.namespace, key.name)
        if resource is None:
            return
        before, generation = resource.get("status") or {}, int(dig(resource, "metadata", "generation") or 0)
        status = broken(before, generation, datetime.now(UTC), reason, message, final=final)
        try:
            await self._write_status(key, resource, status)
        except KubeError as error:
            log.warning("no status: %s", error, extra={"resource": key})

    async def _take(self, key: Key, resource: Object, step: Step) -> bool:
        """Take one step; True when the next observation will differ."""
        match step:
            case Apply(manifest):
                applied = await self._make(manifest, uid_of(resource))
                if BY_KIND[manifest["kind"]] in WATCHED_CHILDREN:
                    self.heard(applied)
                elif manifest["kind"] == CLAIMS.kind:
                    self.world.claim_made(applied)
                return True
            case Delete(kind, name):
                known = self.world.cache.get(kind, key.namespace, name)
                await self._client.delete(BY_KIND[kind], key.namespace, name)
                if known is not None:
                    self.gone(known)
                return known is not None
            case Scale(kind, name, replicas):
                scaled = await self._client.scale(BY_KIND[kind], key.namespace, name, replicas)
                if BY_KIND[kind] in WATCHED_CHILDREN:
                    self.heard(scaled)
                return True
            case ReadLogs(pod, container):
                return await self._read_logs(key, pod, container)
            case Requeue(seconds):
                self.queue.add(key, seconds)
                return False

    async def _make(self, manifest: Manifest, uid: str) -> dict[str, Any]:
        """Server-side apply; what never changes is created, which costs the API server half as much.

        Raises NameTaken where an object of that name exists and the resource does not control it.
        """
        kind, meta = manifest["kind"], manifest["metadata"]
        if kind not in _NEVER_CHANGED:
            if self.world.cache.get(kind, meta["namespace"], meta["name"]) is None:
                _check_owner(manifest, await self._client.get(BY_KIND[kind], meta["namespace"], meta["name"]), uid)
            return await self._client.apply(manifest)
        try:
            return await self._client.create(manifest)
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise
        found = await self._client.get(BY_KIND[kind], meta["namespace"], meta["name"])
        _check_owner(manifest, found, uid)
        return found if found is not None else await self._client.create(manifest)

    async def _read_logs(self, key: Key, pod: str, container: str) -> bool:
        where, now = (key.namespace, pod), time.monotonic()
        due = self._logs_read.get(where, 0.0) + self._settings.log_seconds
        self.queue.add(key, max(due - now, 0.0) if due > now else self._settings.log_seconds)
        if due > now:
            return False
        self._logs_read[where] = now
        try:
            tail = await self._client.log_tail(PODS, key.namespace, pod, container, _LOG_LINES)
        except KubeError as error:
            # progress is a courtesy: a log that cannot be read yet holds nothing up
            log.debug("no log: %s", error, extra={"resource": key})
            return False
        line = last_progress(tail)
        if line is None or line == self.world.progress.get(where):
            return False
        self.world.progress[where] = line
        return True

    async def _write_status(self, key: Key, resource: Object, status: dict[str, Any]) -> None:
        before = resource.get("status") or {}
        if status == before:
            return
        if before and _without_progress(status) == _without_progress(before):
            due = self._progress_written.get(key, 0.0) + self._settings.progress_seconds
            left = due - time.monotonic()
            if left > 0:
                self.queue.add(key, left)
                return
        self._progress_written[key] = time.monotonic()
        written = await self._client.apply(
            {
                "apiVersion": resource["apiVersion"],
                "kind": key.kind,
                "metadata": {"namespace": key.namespace, "name": key.name, "uid": dig(resource, "metadata", "uid")},
                "status": status,
            },
            "status",
        )
        self.heard(written)
        self._events.transition(resource, before, status)

    def _wake(self, before: Object | None, after: Object | None) -> None:
        obj = after if after is not None else before
        if obj is None:
            return
        kind = str(obj.get("kind"))
        if kind in self._controllers or kind == NODES.kind:
            if kind in self._controllers:
                self.queue.add(key_of(obj), urgent=before is None and not obj.get("status"))
            for controller in self._controllers.values():
                for key in controller.dependents(before, after, self.world.cache):
                    self.queue.add(key)
            return
        owner = owner_of(obj)
        if owner is not None and owner.kind in self._controllers:
            self.queue.add(owner)

    def _forget(self, key: Key) -> None:
        self.queue.forget(key)
        for memory in (self._changes, self._contested, self._progress_written):
            memory.pop(key, None)


@dataclass(frozen=True)
class _Decided:
    """The steps of one pass, and the status that they lead to."""

    steps: Steps
    status: dict[str, Any]


def _judge(controller: AnyController, gathered: Any, now: datetime) -> _Decided:
    observed = controller.observe(gathered)
    state = controller.determine_state(observed)
    steps = controller.steps(observed, state)
    return _Decided(steps, controller.compute_status(observed, state, now).to_wire())


def _check_owner(manifest: Manifest, found: Object | None, uid: str) -> None:
    """Nothing foreign is adopted; a claim has no owner, because resources share it."""
    if found is None or manifest["kind"] == CLAIMS.kind or is_owned(found, uid):
        return
    owner = next((ref for ref in items(found, "metadata", "ownerReferences") if ref.get("controller")), None)
    whose = f"It belongs to {owner.get('kind')} {owner.get('name')}" if owner else "Nothing controls it"
    raise NameTaken(f"{manifest['kind']} {manifest['metadata']['name']} exists and is not this resource's. {whose}.")


def _without_progress(status: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name != "progress"}


def _object(step: Step) -> str:
    if isinstance(step, Apply):
        return f"{step.manifest['kind']} {step.manifest['metadata']['name']}"
    if isinstance(step, Delete | Scale):
        return f"the {'deletion' if isinstance(step, Delete) else 'scaling'} of {step.kind} {step.name}"
    return type(step).__name__
