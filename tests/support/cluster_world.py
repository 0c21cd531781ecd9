"""What the cluster tests share: resources as dicts, waiting for conditions, the operator's pod."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterlib.client import Client
from clusterlib.install import NAMESPACE as OPERATOR_NAMESPACE

from support.kubernetes_api import KubernetesApi

NAMESPACE = "models"
MODELS = "models"
"""Claim with the tiny model and its broken variants."""
TEXTS = Path(__file__).resolve().parents[2] / "builder-image" / "trtllm_builder" / "texts"
PATHS = {
    "qm": "/apis/trtllm.dev/v1alpha1/namespaces/{}/quantizedmodels",
    "eb": "/apis/trtllm.dev/v1alpha1/namespaces/{}/enginebuilds",
    "job": "/apis/batch/v1/namespaces/{}/jobs",
    "deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "leaderworkerset": "/apis/leaderworkerset.x-k8s.io/v1/namespaces/{}/leaderworkersets",
    **{kind: f"/api/v1/namespaces/{{}}/{kind}s" for kind in ("pod", "service", "event", "secret", "configmap")},
}
"""Kinds that the tests look at often: through a kept connection, where others go through kubectl."""
POLL = 0.2
LIMITS = {"cpu": "1", "memory": "4Gi"}
"""One thread of torch each: several that share two processors would wait for each other's."""


@dataclass(frozen=True)
class World:
    """A cluster with the operator on it, and the namespace that the tests work in."""

    client: Client
    api: KubernetesApi

    def quantized_model(self, name: str, **changes: Any) -> None:
        """Create one from the tiny model, INT8WeightOnly on a CPU, with a store of its own unless changed."""
        spec: dict[str, Any] = {
            "source": {"persistentVolumeClaim": {"claimName": MODELS, "path": "tiny"}},
            "device": "CPU",
            "quantization": {"method": "INT8WeightOnly"},
            "quality": {"evaluation": {"tokens": 1024, "sequenceLength": 256}},
            "storage": {"claimName": f"store-{name}", "size": "1Gi"},
            "podTemplate": {"resources": {"requests": {"cpu": "100m", "memory": "500Mi"}, "limits": LIMITS}},
        }
        self.apply("qm", "trtllm.dev/v1alpha1", "QuantizedModel", name, spec={**spec, **changes})

    def serve(self, name: str, model: str) -> None:
        """An EngineBuild that serves a QuantizedModel on a CPU."""
        template = {"resources": {"requests": {"cpu": "50m", "memory": "400Mi"}, "limits": LIMITS}}
        spec = {"modelRef": {"name": model}, "device": "CPU", "serving": {"podTemplate": template}}
        self.apply("eb", "trtllm.dev/v1alpha1", "EngineBuild", name, spec=spec)

    def secret(self, name: str, key: str, value: str) -> None:
        """A Secret with one key."""
        self.apply("secret", "v1", "Secret", name, stringData={key: value})

    def texts(self, name: str, text: str) -> dict[str, Any]:
        """A ConfigMap with a text; the dataset of a spec that it is."""
        self.apply("configmap", "v1", "ConfigMap", name, data={"texts.txt": text})
        return {"dataset": {"configMap": {"name": name, "key": "texts.txt"}}}

    def apply(self, short: str, version: str, kind: str, name: str, **fields: Any) -> None:
        """Server-side apply of an object of the tests' namespace."""
        meta = {"name": name, "namespace": NAMESPACE}
        self.api.apply(path_of(short, name), {"apiVersion": version, "kind": kind, "metadata": meta, **fields})

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object, empty when there is none."""
        return self.api.find(path_of(kind, name))

    def items(self, kind: str, namespace: str = NAMESPACE, **selectors: str) -> list[dict[str, Any]]:
        """Objects of a kind; selectors are labelSelector and fieldSelector."""
        found: list[dict[str, Any]] = self.api.get(path_of(kind, namespace=namespace), **selectors)["items"]
        return found

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        """A merge patch."""
        self.api.merge(path_of(kind, name), patch).succeeded()

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        """One condition of a resource, empty when it has none of that type."""
        return _condition(self.get(kind, name), condition)

    def stalled(self, name: str, timeout: float = 240, kind: str = "qm") -> tuple[str, str]:
        """Reason and message of a resource that cannot get on."""
        self.wait_for(kind, name, "Stalled", timeout)
        found = self.condition(kind, name, "Stalled")
        return found["reason"], found["message"]

    def ready(self, name: str, timeout: float = 480, kind: str = "qm") -> dict[str, Any]:
        """The status of a resource that is Ready."""
        self.wait_for(kind, name, "Ready", timeout)
        status: dict[str, Any] = self.get(kind, name)["status"]
        return status

    def wait_for(self, kind: str, name: str, condition: str, timeout: float) -> None:
        """As `kubectl wait` does: a condition of an older generation does not count.

        The test ends with what the resource says when the condition does not come, or never will.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self.get(kind, name)
            if _holds(found, condition):
                return
            if time.monotonic() > deadline or (condition == "Ready" and _holds(found, "Stalled")):
                raise AssertionError(f"{kind}/{name} did not become {condition}: {found.get('status')}")
            time.sleep(POLL)

    def jobs(self, name: str, kind: str = "QuantizedModel") -> list[dict[str, Any]]:
        """The Jobs of a resource."""
        return self.items("job", labelSelector=f"trtllm.dev/resource-kind={kind},trtllm.dev/resource={name}")

    def pods(self, name: str, stage: str) -> list[dict[str, Any]]:
        """The pods of one stage of a resource."""
        return self.items("pod", labelSelector=f"trtllm.dev/resource={name},trtllm.dev/stage={stage}")

    def kill_pod(self, name: str, namespace: str = NAMESPACE) -> None:
        """At once, without a chance to say goodbye."""
        self.api.send("DELETE", path_of("pod", name, namespace), {"gracePeriodSeconds": 0})

    def kill_operator(self) -> None:
        """Every pod of it."""
        for pod in self.items("pod", OPERATOR_NAMESPACE):
            self.kill_pod(pod["metadata"]["name"], OPERATOR_NAMESPACE)

    def logs(self, pod: str) -> str:
        """What a pod has said; empty while it has not begun."""
        answer = self.api.send("GET", f"{path_of('pod', pod)}/log")
        return answer.text if answer.good else ""

    def on_claim(self, claim: str, *command: str) -> str:
        """What a command says in a pod that mounts a claim at /claim."""
        pod = f"on-{claim}"
        self.api.apply(path_of("pod", pod), restricted_pod(pod, self.operator_image(), list(command), claim))
        eventually(lambda: self.get("pod", pod)["status"].get("phase") in {"Succeeded", "Failed"}, f"the end of {pod}")
        ended, text = self.get("pod", pod)["status"], self.logs(pod)
        self.kill_pod(pod)
        assert ended["phase"] == "Succeeded", text
        eventually(lambda: not self.get("pod", pod), f"{pod} is gone")
        return text

    def operator_image(self) -> str:
        """Any image with a shell will do; this one is on the nodes."""
        deployment = self.api.get(path_of("deployment", "trtllm-operator", OPERATOR_NAMESPACE))
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def delete(self, kind: str, name: str) -> None:
        """Delete a resource and wait until it is gone."""
        uid = self.get(kind, name)["metadata"]["uid"]
        self.api.send("DELETE", path_of(kind, name))
        eventually(lambda: self.get(kind, name).get("metadata", {}).get("uid") != uid, f"the end of {kind}/{name}")

    def ask(self, service: str, path: str, body: dict[str, Any] | None = None) -> str:
        """A server's answer, over the Service's cluster address, which the host reaches."""
        found = self.get("service", service)["spec"]
        data = json.dumps(body).encode() if body is not None else None
        url = f"http://{found['clusterIP']}:{found['ports'][0]['port']}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http, to the cluster
            return str(answer.read().decode())


def path_of(kind: str, name: str = "", namespace: str = NAMESPACE) -> str:
    """Where the API server has an object, or all of its kind."""
    collection = PATHS[kind].format(namespace)
    return f"{collection}/{name}" if name else collection


def _condition(resource: dict[str, Any], condition: str) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = (resource.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == condition), {})


def _holds(resource: dict[str, Any], condition: str) -> bool:
    found = _condition(resource, condition)
    current = found.get("observedGeneration", 0) >= resource.get("metadata", {}).get("generation", 0)
    return found.get("status") == "True" and current


def restricted_pod(name: str, image: str, command: list[str], claim: str) -> dict[str, Any]:
    """A pod that the restricted Pod Security Standard admits, with a claim at /claim."""
    context = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532}
    container = {
        "name": "main",
        "image": image,
        "command": command,
        "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {**context, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }


def eventually(true: Callable[[], object], what: str, timeout: float = 60, pause: float = POLL) -> None:
    """Poll; the assertion names what did not come."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:.0f} s"
        time.sleep(pause)
