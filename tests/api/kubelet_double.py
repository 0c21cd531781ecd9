"""A double of kubelet, scheduler and GPU nodes: it writes the states that a test names, and runs nothing.

The API server, the controllers and the operator around it are real.
"""

from __future__ import annotations

from typing import Any

from control_plane import NAMESPACE, ApiServer
from operator_process import eventually

from support.kubernetes_api import MERGE_PATCH
from trtllm_api.contract import BuildResult

_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_NODES = "/api/v1/nodes"
_Object = dict[str, Any]


class KubeletDouble:
    """Ends and starts pods by a resource's name and stage."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def gpu_nodes(self, count: int, product: str, *, gpus: int, capability: str, memory_mib: int) -> None:
        """Replace all nodes by these, labelled as gpu-feature-discovery labels them."""
        for node in self._api.get(_NODES)["items"]:
            self._api.send("DELETE", f"{_NODES}/{node['metadata']['name']}")
        major, minor = capability.split(".")
        labels = {
            "nvidia.com/gpu.product": product,
            "nvidia.com/gpu.count": str(gpus),
            "nvidia.com/gpu.memory": str(memory_mib),
            "nvidia.com/gpu.compute.major": major,
            "nvidia.com/gpu.compute.minor": minor,
        }
        for number in range(count):
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"gpu-{number}", "labels": labels}}
            self._api.send("POST", _NODES, node).succeeded()
            there = {"status": {"allocatable": {"nvidia.com/gpu": str(gpus)}}}
            self._api.send("PATCH", f"{_NODES}/gpu-{number}/status", there, content=MERGE_PATCH).succeeded()

    def pods(self, resource: str, stage: str) -> list[_Object]:
        """Pods of a stage, without those that are being deleted."""
        selector = f"trtllm.dev/resource={resource},trtllm.dev/stage={stage}"
        found = self._api.get(f"{_PODS}?labelSelector={selector}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, resource: str, stage: str) -> _Object:
        """The one pod of a stage, once it is there."""
        eventually(lambda: self.pods(resource, stage), f"the {stage} pod of {resource}", 120)
        (pod,) = self.pods(resource, stage)
        return pod

    def end(self, resource: str, stage: str, result: BuildResult) -> None:
        """End the stage's pod with this result, once it is there."""
        pod = self.pod(resource, stage)
        end = {"exitCode": result.exit_code, "message": result.to_termination_message().decode()}
        phase = "Succeeded" if result.exit_code == 0 else "Failed"
        self._set(pod, {"phase": phase, "containerStatuses": [_container(pod, {"terminated": end})]})

    def serve(self, resource: str, replicas: int) -> None:
        """Make the servers' pods ready, once all of them are there."""
        eventually(lambda: len(self.pods(resource, "serve")) == replicas, f"the servers of {resource}", 120)
        for pod in self.pods(resource, "serve"):
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}
            running = {"startedAt": "2026-01-02T03:04:05Z"}
            status = {"phase": "Running", "conditions": [ready]}
            self._set(pod, {**status, "containerStatuses": [{**_container(pod, {"running": running}), "ready": True}]})

    def _set(self, pod: _Object, status: _Object) -> None:
        path = f"{_PODS}/{pod['metadata']['name']}/status"
        self._api.send("PATCH", path, {"status": status}, content=MERGE_PATCH).succeeded()


def _container(pod: _Object, state: _Object) -> _Object:
    container = pod["spec"]["containers"][0]
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
