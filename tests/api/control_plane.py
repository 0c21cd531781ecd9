"""A control plane without nodes, and a client of its API server that sends hundreds of objects in seconds."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterlib.settings import Settings

from support.kubernetes_api import Answer, KubernetesApi
from trtllm_api import API_VERSION, GROUP, VERSION

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
SETTINGS = Settings(name="apitest", index=7, nodes=0)
KUBECONFIG = SETTINGS.kubeconfig
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


class ApiServer(KubernetesApi):
    """The API server, with what the tests of both kinds do."""

    def try_create(self, kind: Kind, spec: Spec, name: str = "example", *, validation: str = "Strict") -> Answer:
        """Everything that a create does, but nothing is kept."""
        return self.send("POST", kind.at(), kind.object(spec, name), dryRun="All", fieldValidation=validation)

    def create(self, kind: Kind, spec: Spec, name: str) -> dict[str, Any]:
        """A create that lasts, anew."""
        self.send("DELETE", kind.at(name))
        self.send("POST", kind.at(), kind.object(spec, name), fieldValidation="Strict").succeeded()
        return self.get(kind.at(name))


class Cluster:
    """`hack/cluster/cluster` with nothing but a control plane, on loopback."""

    command = (
        str(ROOT / "hack/cluster/cluster"),
        *("--name", SETTINGS.name, "--index", str(SETTINGS.index), "--nodes", str(SETTINGS.nodes)),
    )

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
