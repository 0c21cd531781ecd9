"""A client of an API server for tests that look often: connections are kept, where kubectl is a program each time."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """What the API server answers: an object, or text where it is a log."""

    code: int
    data: bytes

    @property
    def good(self) -> bool:
        """Whether the request was done."""
        return self.code in {200, 201, 202}

    @property
    def text(self) -> str:
        """The answer as it is."""
        return self.data.decode(errors="replace")

    @property
    def body(self) -> dict[str, Any]:
        """The answer's object."""
        found: dict[str, Any] = json.loads(self.data)
        return found

    @property
    def message(self) -> str:
        """The message of a refusal."""
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and message of each error; the note that CEL rules wait for the schema's errors is no error."""
        causes = self.body.get("details", {}).get("causes", [])
        found = [(str(cause.get("field", "")), str(cause["message"])) for cause in causes]
        return [cause for cause in found if "some validation rules were not checked" not in cause[1]]

    def succeeded(self) -> dict[str, Any]:
        """The object; the test ends with the server's message when there is none."""
        assert self.good, self.text[:2000]
        return self.body


@dataclass
class KubernetesApi:
    """The administrator's requests; every thread has a connection of its own."""

    server: str
    context: ssl.SSLContext
    _threads: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(cls, kubeconfig: dict[str, Any]) -> Self:
        """The server and the user of a kubeconfig that has everything embedded."""
        cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.TemporaryDirectory() as directory:  # the ssl module reads certificates from files only
            certificate = Path(directory, "client.pem")
            certificate.write_bytes(
                base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
            )
            context.load_cert_chain(certificate)
        return cls(urlsplit(cluster["server"]).netloc, context)

    def send(
        self, method: str, path: str, body: object = None, *, accept: str = JSON, content: str = JSON, **query: str
    ) -> Answer:
        """One request. A server that closed the kept connection gets it once more, on a new one."""
        target = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body)
        headers = {"Accept": accept, "Content-Type": content}
        try:
            return self._send(method, target, data, headers)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
            self.close()
            return self._send(method, target, data, headers)

    def _send(self, method: str, target: str, data: str | None, headers: dict[str, str]) -> Answer:
        kept: http.client.HTTPSConnection | None = getattr(self._threads, "connection", None)
        if kept is None:
            kept = http.client.HTTPSConnection(self.server, context=self.context, timeout=30)
            self._threads.connection = kept
        kept.request(method, target, data, headers)
        response = kept.getresponse()
        return Answer(response.status, response.read())

    def get(self, path: str, *, accept: str = JSON, **query: str) -> dict[str, Any]:
        """What is there."""
        return self.send("GET", path, accept=accept, **query).succeeded()

    def find(self, path: str) -> dict[str, Any]:
        """The object, empty when there is none."""
        answer = self.send("GET", path)
        return {} if answer.code == 404 else answer.succeeded()

    def apply(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply of the whole manifest: what it no longer names is removed."""
        query = {"fieldManager": "tests", "force": "true", "fieldValidation": "Strict"}
        return self.send("PATCH", path, manifest, content=APPLY, **query).succeeded()

    def merge(self, path: str, patch: dict[str, Any]) -> Answer:
        """A merge patch."""
        return self.send("PATCH", path, patch, content=MERGE_PATCH, fieldValidation="Strict")

    def close(self) -> None:
        """Let go of this thread's connection."""
        kept: http.client.HTTPSConnection | None = getattr(self._threads, "connection", None)
        if kept is not None:
            kept.close()
            self._threads.connection = None
