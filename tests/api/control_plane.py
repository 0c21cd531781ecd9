"""A control plane without nodes, and a client of its API server that sends hundreds of objects in seconds."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from trtllm_api import API_VERSION, GROUP, VERSION

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

Spec = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A custom resource's names."""

    name: str
    plural: str
    short_name: str

    @property
    def crd(self) -> str:
        """Path of its CustomResourceDefinition."""
        return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{self.plural}.{GROUP}"

    def at(self, name: str = "", subresource: str = "") -> str:
        """Path of the collection, of one object, or of its subresource."""
        parts = [f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{self.plural}", name, subresource]
        return "/".join(part for part in parts if part)

    def object(self, spec: Spec, name: str = "example") -> dict[str, Any]:
        """A manifest."""
        return {"apiVersion": API_VERSION, "kind": self.name, "metadata": {"name": name}, "spec": spec}


QUANTIZED_MODEL = Kind("QuantizedModel", "quantizedmodels", "qm")
ENGINE_BUILD = Kind("EngineBuild", "enginebuilds", "eb")


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

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
        assert self.code in {200, 201}, self.message
        return self.body


class ApiServer:
    """One kept-alive connection with the administrator's certificate."""

    def __init__(self, kubeconfig: dict[str, Any], directory: Path) -> None:
        cluster = kubeconfig["clusters"][0]["cluster"]
        user = kubeconfig["users"][0]["user"]
        certificate = directory / "client.pem"
        certificate.touch(mode=0o600)
        certificate.write_bytes(
            base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
        )
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        context.load_cert_chain(certificate)
        self._connection = http.client.HTTPSConnection(urlsplit(cluster["server"]).netloc, context=context, timeout=30)

    def send(
        self, method: str, path: str, body: object = None, *, accept: str = JSON, content: str = JSON, **query: str
    ) -> Answer:
        """One request."""
        target = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body)
        self._connection.request(method, target, data, {"Accept": accept, "Content-Type": content})
        response = self._connection.getresponse()
        return Answer(response.status, json.loads(response.read()))

    def get(self, path: str, *, accept: str = JSON) -> dict[str, Any]:
        """What is there."""
        return self.send("GET", path, accept=accept).succeeded()

    def try_create(self, kind: Kind, spec: Spec, name: str = "example", *, validation: str = "Strict") -> Answer:
        """Everything that a create does, but nothing is kept."""
        return self.send("POST", kind.at(), kind.object(spec, name), dryRun="All", fieldValidation=validation)

    def create(self, kind: Kind, spec: Spec, name: str) -> dict[str, Any]:
        """A create that lasts, anew."""
        self.send("DELETE", kind.at(name))
        self.send("POST", kind.at(), kind.object(spec, name), fieldValidation="Strict").succeeded()
        return self.get(kind.at(name))

    def merge(self, path: str, patch: dict[str, Any]) -> Answer:
        """A merge patch."""
        return self.send("PATCH", path, patch, content=MERGE_PATCH, fieldValidation="Strict")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


class Cluster:
    """`hack/cluster/cluster` with nothing but a control plane, on loopback."""

    command = (str(ROOT / "hack/cluster/cluster"), "--name", "apitest", "--index", "7", "--nodes", "0")

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints; the test ends with what it complains of."""
        done = subprocess.run(
            [*self.command, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [*self.command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator."""
        return self.run("kubectl", *arguments, stdin=stdin)
