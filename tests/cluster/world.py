"""What the cluster tests share: resources as dicts, waiting for conditions, the operator's pod."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusterlib.client import Client
from clusterlib.install import NAMESPACE as OPERATOR_NAMESPACE
from clusterlib.problem import Problem

NAMESPACE = "models"
MODELS = "models"
"""Claim with the tiny model and its broken variants."""


@dataclass(frozen=True)
class World:
    """A cluster with the operator on it, and the namespace that the tests work in."""

    client: Client

    def quantized_model(self, name: str, **changes: Any) -> dict[str, Any]:
        """Create one from the tiny model, INT8WeightOnly on a CPU, with a store of its own unless changed."""
        spec: dict[str, Any] = {
            "source": {"persistentVolumeClaim": {"claimName": MODELS, "path": "tiny"}},
            "device": "CPU",
            "quantization": {"method": "INT8WeightOnly"},
            "quality": {"evaluation": {"tokens": 1024, "sequenceLength": 256}},
            "storage": {"claimName": f"store-{name}", "size": "1Gi"},
            "podTemplate": {"resources": {"requests": {"cpu": "100m", "memory": "500Mi"}, "limits": {"memory": "4Gi"}}},
        }
        manifest = {
            "apiVersion": "trtllm.dev/v1alpha1",
            "kind": "QuantizedModel",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {**spec, **changes},
        }
        self.client.apply(manifest)
        return manifest

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object, empty when there is none."""
        return self.client.get(kind, name, "-n", NAMESPACE)

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        """One condition of a resource, empty when it has none of that type."""
        conditions = (self.get(kind, name).get("status") or {}).get("conditions") or ()
        return next((c for c in conditions if c["type"] == condition), {})

    def stalled(self, name: str, timeout: float = 120) -> tuple[str, str]:
        """Reason and message of a QuantizedModel that cannot get on."""
        self.wait_for("qm", name, "Stalled", timeout)
        found = self.condition("qm", name, "Stalled")
        return found["reason"], found["message"]

    def ready(self, name: str, timeout: float = 240) -> dict[str, Any]:
        """The status of a QuantizedModel that is Ready."""
        self.wait_for("qm", name, "Ready", timeout)
        status: dict[str, Any] = self.get("qm", name)["status"]
        return status

    def wait_for(self, kind: str, name: str, condition: str, timeout: float) -> None:
        """As users wait, with kubectl; what the resource says is told when it does not come, or never will."""
        deadline = time.monotonic() + timeout
        words = ("wait", f"--for=condition={condition}", f"{kind}/{name}", "-n", NAMESPACE, "--timeout=10s")
        while True:
            try:
                self.client.kubectl(*words)
            except Problem as error:
                hopeless = condition == "Ready" and self.condition(kind, name, "Stalled").get("status") == "True"
                if hopeless or time.monotonic() > deadline:
                    status = self.get(kind, name).get("status")
                    raise AssertionError(f"{kind}/{name} did not become {condition}: {status}") from error
            else:
                return

    def jobs(self, name: str, kind: str = "QuantizedModel") -> list[dict[str, Any]]:
        """The Jobs of a resource."""
        selector = f"trtllm.dev/resource-kind={kind},trtllm.dev/resource={name}"
        return self._items("jobs", NAMESPACE, "-l", selector)

    def pods(self, name: str, stage: str) -> list[dict[str, Any]]:
        """The pods of one stage of a resource."""
        selector = f"trtllm.dev/resource={name},trtllm.dev/stage={stage}"
        return self._items("pods", NAMESPACE, "-l", selector)

    def kill_pod(self, name: str, namespace: str = NAMESPACE) -> None:
        """At once, without a chance to say goodbye."""
        self.client.kubectl("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force", "--wait=false")

    def kill_operator(self) -> None:
        """Every pod of it."""
        for pod in self._items("pods", OPERATOR_NAMESPACE):
            self.kill_pod(pod["metadata"]["name"], OPERATOR_NAMESPACE)

    def logs(self, pod: str) -> str:
        """What a pod has said; empty while it has not begun."""
        return self.client.kubectl("logs", pod, "-n", NAMESPACE, check=False)

    def _items(self, kind: str, namespace: str, *selection: str) -> list[dict[str, Any]]:
        """Empty when there is none, where kubectl would print nothing."""
        found: list[dict[str, Any]] = self.client.get(kind, "-n", namespace, *selection).get("items") or []
        return found

    def on_claim(self, claim: str, *command: str) -> str:
        """What a command says in a pod that mounts a claim at /claim."""
        pod = f"on-{claim}"
        self.client.apply(restricted_pod(pod, self.operator_image(), list(command), claim))
        ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
        self.client.kubectl("wait", f"pod/{pod}", "-n", NAMESPACE, f"{ended}=0", "--timeout=60s")
        text = self.logs(pod)
        self.client.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force")
        return text

    def operator_image(self) -> str:
        """Any image with a shell will do; this one is on the nodes."""
        deployment = self.client.get("deployment", "trtllm-operator", "-n", OPERATOR_NAMESPACE)
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def delete(self, kind: str, name: str) -> None:
        """Delete a resource and wait until it is gone."""
        self.client.kubectl("delete", kind, name, "-n", NAMESPACE, "--timeout=60s")


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


def eventually(true: Callable[[], object], what: str, timeout: float = 60, pause: float = 0.3) -> None:
    """Poll; the assertion names what did not come."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:.0f} s"
        time.sleep(pause)
