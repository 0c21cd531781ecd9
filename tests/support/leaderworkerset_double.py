"""A double of the LeaderWorkerSet controller, which cannot be had from package registries: its CRD and its pods.

It makes the leader and worker pods as the controller does (names, labels, injected environment, the headless Service),
makes a group anew when one of its pods restarts or goes (RecreateGroupOnPodRestart), and keeps status. It plays no
rolling update and no restart policy but that one, and refuses an object that asks for either.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from typing import Any, Self

from support.cluster_world import World, path_of

GROUP = "leaderworkerset.x-k8s.io"
LABEL = "leaderworkerset.sigs.k8s.io"
_PERIOD = 0.5


def custom_resource_definition() -> dict[str, Any]:
    """LeaderWorkerSet v1, as far as its documentation describes it; whatever is not described is refused."""
    template = {
        "type": "object",
        "properties": {
            "metadata": _strings("labels", "annotations"),
            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "required": ["containers"]},
        },
    }
    rolling = {
        "type": "object",
        "properties": {name: {"type": "integer", "minimum": 0} for name in ("partition", "maxUnavailable", "maxSurge")},
    }
    group = {
        "type": "object",
        "required": ["workerTemplate"],
        "properties": {
            "leaderTemplate": template,
            "workerTemplate": template,
            "size": {"type": "integer", "minimum": 1, "default": 1},
            "restartPolicy": {"type": "string", "enum": ["RecreateGroupOnPodRestart", "None"]},
        },
    }
    spec = {
        "type": "object",
        "required": ["leaderWorkerTemplate"],
        "properties": {
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
            "leaderWorkerTemplate": group,
            "rolloutStrategy": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"type": "string", "enum": ["RollingUpdate"]},
                    "rollingUpdateConfiguration": rolling,
                },
            },
            "startupPolicy": {"type": "string", "enum": ["LeaderCreated", "LeaderReady"]},
            "networkConfig": {
                "type": "object",
                "properties": {"subdomainPolicy": {"type": "string", "enum": ["Shared", "UniquePerReplica"]}},
            },
        },
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {
        "plural": "leaderworkersets",
        "singular": "leaderworkerset",
        "kind": "LeaderWorkerSet",
        "shortNames": ["lws"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"leaderworkersets.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _strings(*names: str) -> dict[str, Any]:
    values = {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": "object", "properties": dict.fromkeys(names, values)}


class LeaderWorkerSetDouble:
    """Works in a thread, in one namespace, until it is stopped."""

    def __init__(self, world: World, namespace: str) -> None:
        self._world = world
        self._namespace = namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._groups: dict[str, set[str]] = {}
        """Pods of each group that were seen, by their leader: one that is gone takes the others with it."""
        self.faults: list[str] = []
        """What went wrong, for the test that waits in vain."""

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(_PERIOD):
            for lws in self._world.items("leaderworkerset", self._namespace):
                try:
                    self._reconcile(lws)
                except (AssertionError, ValueError) as problem:
                    self.faults.append(str(problem))

    def _reconcile(self, lws: dict[str, Any]) -> None:
        name, spec = lws["metadata"]["name"], lws["spec"]
        if spec["leaderWorkerTemplate"].get("restartPolicy") != "RecreateGroupOnPodRestart":
            raise ValueError(f"{name}: only RecreateGroupOnPodRestart is played")
        found = self._world.items("pod", self._namespace, labelSelector=f"{LABEL}/name={name}")
        pods = {pod["metadata"]["name"]: pod for pod in found}
        self._world.api.apply(path_of("service", name, self._namespace), self._service(lws))
        size, ready = int(spec["leaderWorkerTemplate"]["size"]), 0
        for group in range(int(spec["replicas"])):
            leader = pods.get(f"{name}-{group}")
            workers = [pods.get(f"{name}-{group}-{index}") for index in range(1, size)]
            ready += self._group(lws, group, leader, workers)
        self._status(lws, len([pod for pod in pods if pod.count("-") == name.count("-") + 1]), ready)

    def _group(
        self, lws: dict[str, Any], group: int, leader: dict[str, Any] | None, workers: list[dict[str, Any] | None]
    ) -> bool:
        name = lws["metadata"]["name"]
        if leader is None:
            if any(worker is not None for worker in workers):
                return False  # the old group is still going
            self._create(self._pod(lws, group, 0, lws))
            return False
        if leader["metadata"].get("deletionTimestamp"):
            return False
        known = [leader, *(worker for worker in workers if worker is not None)]
        uids = {pod["metadata"]["uid"] for pod in known}
        seen = self._groups.setdefault(leader["metadata"]["uid"], set())
        lost = seen - uids
        seen |= uids
        if lost or any(_restarted(pod) or pod["metadata"].get("deletionTimestamp") for pod in known):
            self._world.api.send("DELETE", path_of("pod", f"{name}-{group}", self._namespace))
            return False
        for index, worker in enumerate(workers, start=1):
            if worker is None:
                self._create(self._pod(lws, group, index, leader))
        return len(known) == len(workers) + 1 and all(_ready(pod) for pod in known)

    def _pod(self, lws: dict[str, Any], group: int, index: int, owner: dict[str, Any]) -> dict[str, Any]:
        name, parts = lws["metadata"]["name"], lws["spec"]["leaderWorkerTemplate"]
        leads, leader = index == 0, f"{name}-{group}"
        template = copy.deepcopy(parts["leaderTemplate"] if leads else parts["workerTemplate"])
        pod_name, size = leader if leads else f"{leader}-{index}", str(parts["size"])
        meta, spec = template.setdefault("metadata", {}), template["spec"]
        key = hashlib.sha1(f"{self._namespace}/{leader}".encode(), usedforsecurity=False).hexdigest()
        meta["labels"] = {
            **meta.get("labels", {}),
            f"{LABEL}/name": name,
            f"{LABEL}/group-index": str(group),
            f"{LABEL}/worker-index": str(index),
            f"{LABEL}/group-key": key,
        }
        meta["annotations"] = {**meta.get("annotations", {}), f"{LABEL}/size": size}
        if not leads:
            meta["annotations"][f"{LABEL}/leader-name"] = leader
        reference = {
            "apiVersion": owner.get("apiVersion", "v1"),
            "kind": owner.get("kind", "Pod"),
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        meta |= {"name": pod_name, "namespace": self._namespace, "ownerReferences": [reference]}
        spec |= {"hostname": pod_name, "subdomain": name}
        injected = {
            "LWS_LEADER_ADDRESS": f"{leader}.{name}.{self._namespace}",
            "LWS_GROUP_SIZE": size,
            "LWS_WORKER_INDEX": str(index),
        }
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            own = [variable for variable in container.get("env", ()) if variable["name"] not in injected]
            container["env"] = [*({"name": key, "value": value} for key, value in injected.items()), *own]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}

    def _service(self, lws: dict[str, Any]) -> dict[str, Any]:
        """Headless, and with the addresses of pods that are not ready: they find each other before they are."""
        name = lws["metadata"]["name"]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": {
                "clusterIP": "None",
                "selector": {f"{LABEL}/name": name},
                "publishNotReadyAddresses": True,
            },
        }

    def _status(self, lws: dict[str, Any], replicas: int, ready: int) -> None:
        wanted = int(lws["spec"]["replicas"])
        done = ready == wanted
        status = {
            "replicas": replicas,
            "readyReplicas": ready,
            "updatedReplicas": replicas,
            "observedGeneration": lws["metadata"]["generation"],
            "conditions": [
                _condition(lws, "Available", "True" if done else "False"),
                _condition(lws, "Progressing", "False" if done else "True"),
            ],
        }
        if lws.get("status") == status:
            return
        path = f"{path_of('leaderworkerset', lws['metadata']['name'], self._namespace)}/status"
        self._world.api.merge(path, {"status": status}).succeeded()

    def _create(self, pod: dict[str, Any]) -> None:
        self._world.api.send("POST", path_of("pod", namespace=self._namespace), pod).succeeded()


def _condition(lws: dict[str, Any], kind: str, status: str) -> dict[str, Any]:
    before = next((c for c in (lws.get("status") or {}).get("conditions", ()) if c["type"] == kind), None)
    since = before["lastTransitionTime"] if before and before["status"] == status else None
    return {
        "type": kind,
        "status": status,
        "reason": "AllGroupsReady" if kind == "Available" else "GroupsProgressing",
        "message": "",
        "lastTransitionTime": since or lws["metadata"]["creationTimestamp"],
    }


def _statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    return found


def _restarted(pod: dict[str, Any]) -> bool:
    over = (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}
    return over or any(status.get("restartCount") for status in _statuses(pod))


def _ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
