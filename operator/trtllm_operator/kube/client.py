"""A thin client of the API server: plain dicts in and out, one field manager, a time limit for every request.

It sends over the session of `kubernetes.aio`, whose configuration knows kubeconfigs, tokens and certificates.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from trtllm_operator.kube.resources import BY_KIND, Resource
from trtllm_operator.manifests.identity import MANAGER
from trtllm_operator.metrics import API_REQUESTS

_PAGE = 500
_LOG_BYTES = 1 << 20
"""The API server cuts at the end: far more than the lines that are asked for."""
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"


class KubeError(Exception):
    """The API server said no, or nothing. `status` is the HTTP status; 0 when there was no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason

    @property
    def permanent(self) -> bool:
        """The same request will be refused again until somebody changes something."""
        return self.status in {400, 403, 404, 405, 413, 422}


class KubeClient:
    """Requests by kind, namespace and name. Raises KubeError for every answer that is not 2xx."""

    def __init__(self, api: ApiClient, timeout: float = 30.0) -> None:
        self._api = api
        self._timeout = timeout

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        try:
            return await self._json("GET", resource, resource.path(namespace, name))
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def serves(self, resource: Resource) -> bool:
        """The API server knows the kind."""
        try:
            found = await self._json("GET", resource, resource.group_path())
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return any(item.get("name") == resource.plural for item in found.get("resources") or ())

    async def list(
        self, resource: Resource, namespace: str | None = None, selector: str | None = None, fields: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """All objects, page by page; kind and apiVersion are filled in."""
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = await self._json("GET", resource, resource.path(namespace), query)
            for item in page.get("items") or ():
                yield {"apiVersion": resource.api_version, "kind": resource.kind, **item}
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def apply(self, manifest: Mapping[str, Any], subresource: str | None = None) -> dict[str, Any]:
        """Server-side apply as the operator's one field manager; the object as it is afterwards."""
        resource = BY_KIND[manifest["kind"]]
        meta = manifest["metadata"]
        path = resource.path(meta["namespace"], meta["name"], subresource)
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._json("PATCH", resource, path, query, manifest, _APPLY)

    async def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """A new object; KubeError 409 when there is one of that name."""
        resource = BY_KIND[manifest["kind"]]
        path = resource.path(manifest["metadata"]["namespace"])
        return await self._json("POST", resource, path, {"fieldManager": MANAGER}, manifest)

    async def replace(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The whole object; KubeError 409 when its resourceVersion is not the present one."""
        resource = BY_KIND[manifest["kind"]]
        meta = manifest["metadata"]
        path = resource.path(meta["namespace"], meta["name"])
        return await self._json("PUT", resource, path, {"fieldManager": MANAGER}, manifest)

    async def scale(self, resource: Resource, namespace: str, name: str, replicas: int) -> dict[str, Any]:
        """Another number of replicas; the object as it is afterwards."""
        path, query = resource.path(namespace, name), {"fieldManager": MANAGER}
        return await self._json("PATCH", resource, path, query, {"spec": {"replicas": replicas}}, _MERGE)

    async def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        """Delete, dependents in the background; False if it was gone."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            await self._json("DELETE", resource, resource.path(namespace, name), None, options)
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def log_tail(self, resource: Resource, namespace: str, pod: str, container: str, lines: int) -> str:
        """The last lines of a container's log."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(_LOG_BYTES)}
        body = await self._request("GET", resource, resource.path(namespace, pod, "log"), query)
        return body.decode(errors="replace")

    async def _json(
        self,
        method: str,
        resource: Resource,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        answer = json.loads(await self._request(method, resource, path, query, body, content_type))
        return answer if isinstance(answer, dict) else {}

    async def _request(
        self,
        method: str,
        resource: Resource,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        url = f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": MANAGER}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        try:
            response = await self._api.call_api(method, url, headers, body, _request_timeout=self._timeout)
            data: bytes = await response.read()  # type: ignore[no-untyped-call]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            API_REQUESTS.labels(method, resource.plural, "0").inc()
            raise KubeError(0, type(error).__name__, f"the API server does not answer: {error}") from error
        API_REQUESTS.labels(method, resource.plural, str(response.status)).inc()
        if 200 <= response.status < 300:
            return data
        reason, message = _status_of(data)
        raise KubeError(response.status, reason, message)


def _status_of(data: bytes) -> tuple[str, str]:
    try:
        status = json.loads(data)
        return str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        return "", data.decode(errors="replace")[:500]
