"""The kinds that the operator reads or writes, and their paths; used by the client, the store and the watches."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api import GROUP, VERSION, enginebuild, quantizedmodel


@dataclass(frozen=True)
class Resource:
    """A kind of object; those of the cluster (nodes) have paths without a namespace."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """The amount as manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def group_path(self) -> str:
        """URL path of its API group: what lists the group's kinds."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path; without a namespace that of the whole cluster, or of an object of the cluster."""
        parts = [self.group_path()]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/".join(parts)


QUANTIZED_MODELS = Resource(GROUP, VERSION, quantizedmodel.PLURAL, quantizedmodel.KIND)
ENGINE_BUILDS = Resource(GROUP, VERSION, enginebuild.PLURAL, enginebuild.KIND)
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICES = Resource("", "v1", "services", "Service")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
LEADER_WORKER_SETS = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
NODES = Resource("", "v1", "nodes", "Node")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("", "v1", "events", "Event")

OWN = (QUANTIZED_MODELS, ENGINE_BUILDS)
WATCHED_CHILDREN = (JOBS, PODS, DEPLOYMENTS, REPLICA_SETS, SERVICES)
"""Children that change by themselves or that people delete. ConfigMaps of requests do neither before their Job ends."""
WATCHED = (*OWN, *WATCHED_CHILDREN, NODES)
OF_THE_CLUSTER = (NODES,)
"""Kinds without a namespace: read whole, whatever namespaces the operator serves."""
OPTIONAL_CHILDREN = (LEADER_WORKER_SETS,)
"""Children of kinds that a cluster may lack."""
BY_KIND = {
    resource.kind: resource
    for resource in (*OWN, *WATCHED_CHILDREN, *OPTIONAL_CHILDREN, CONFIG_MAPS, CLAIMS, NODES, LEASES, EVENTS)
}
