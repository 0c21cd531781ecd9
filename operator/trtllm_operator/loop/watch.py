"""kopf's part: it watches, and every event feeds the store and the queue; no handler of it writes anything."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

import kopf

from trtllm_operator.kube.connect import in_cluster
from trtllm_operator.kube.resources import WATCHED, WATCHED_CHILDREN, Resource
from trtllm_operator.loop.reconciler import Reconciler
from trtllm_operator.loop.resync import CHILDREN_SELECTOR
from trtllm_operator.settings import Settings


def watch_registry(reconciler: Reconciler) -> kopf.OperatorRegistry:
    """Handlers of both kinds, of the children, and of nodes."""
    registry = kopf.OperatorRegistry()
    login = kopf.login_with_service_account if in_cluster() else kopf.login_with_kubeconfig
    kopf.on.login(registry=registry)(login)
    for resource in WATCHED:
        kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(_feed(reconciler, resource))
    return registry


class _NoDiffs(kopf.AnnotationsDiffBaseStorage):
    """kopf copies every object, twice, to find out what changed since it last wrote; nothing here asks for that."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None


def watch_settings(settings: Settings) -> kopf.OperatorSettings:
    """Settings that make kopf a watcher and nothing more; docs/adr gives the reasons."""
    result = kopf.OperatorSettings()
    result.peering.standalone = True
    result.posting.enabled = False
    result.scanning.disabled = True
    result.persistence.finalizer = "trtllm.dev/unused"
    result.persistence.diffbase_storage = _NoDiffs()
    result.watching.server_timeout = 300
    result.networking.request_timeout = settings.request_timeout
    result.networking.connect_timeout = 10
    for resource in WATCHED_CHILDREN:
        result.watching.label_selectors[resource.group, resource.version, resource.plural] = CHILDREN_SELECTOR
    return result


def _feed(reconciler: Reconciler, resource: Resource) -> Callable[..., Coroutine[Any, Any, None]]:
    async def feed(event: dict[str, Any], **_: Any) -> None:
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **event["object"]}
        if event["type"] == "DELETED":
            reconciler.gone(obj)
        else:
            reconciler.heard(obj)

    feed.__name__ = f"feed_{resource.plural}"
    return feed
