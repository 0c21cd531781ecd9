"""Settings of a local cluster: where it keeps things and which addresses are its own; every module reads them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.36.3"


def cache_directory() -> Path:
    """Where everything built is kept by a key of its inputs, outside the repository."""
    return Path(os.environ.get("TRTLLM_CACHE") or Path.home() / ".cache" / "trtllm-operator")


@dataclass(frozen=True)
class Settings:
    """One cluster. Two with different `index` run side by side: no address, port or directory is shared."""

    name: str = "trtllm"
    index: int = 0
    nodes: int = 1
    gpus_per_node: int = 0
    gpu_product: str = "NVIDIA-H100-80GB-HBM3"
    gpu_memory_mib: int = 81559
    gpu_compute: str = "9.0"

    @property
    def state(self) -> Path:
        """Everything of this cluster that is not cached."""
        root = Path(os.environ.get("CLUSTER_STATE") or "/var/lib/trtllm-cluster")
        return root / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def control_plane_only(self) -> bool:
        """No nodes: etcd, API server and controller manager on loopback, for API tests."""
        return self.nodes == 0

    @property
    def network_namespace(self) -> str | None:
        """All of the cluster's programs run in it: their ports, rules and interfaces are theirs, and go with it."""
        return None if self.control_plane_only else f"trtllm-{self.name}"

    @property
    def uplink(self) -> str:
        """The host's end of the pair of interfaces that leads into the cluster's network namespace."""
        return f"k8s{self.index}"

    @property
    def host_address(self) -> str:
        """The host as the cluster's pods see it, on `uplink`."""
        return f"10.{77 + self.index}.254.1"

    @property
    def uplink_address(self) -> str:
        """The cluster's end of the pair."""
        return f"10.{77 + self.index}.254.2"

    @property
    def node_cidr(self) -> str:
        """The addresses of the API server and of the nodes."""
        return f"10.{77 + self.index}.0.0/24"

    @property
    def api_address(self) -> str:
        """Of the API server, DNS and node ports."""
        return "127.0.0.1" if self.control_plane_only else f"10.{77 + self.index}.0.1"

    @property
    def api_port(self) -> int:
        """The API server's port; its own on loopback, where clusters share the address."""
        return 16443 + self.index if self.control_plane_only else 6443

    @property
    def etcd_port(self) -> int:
        """Client port of etcd on loopback; its peer port is the next."""
        return 23790 + 10 * self.index

    @property
    def pod_cidr(self) -> str:
        """Addresses of pods, of all nodes together."""
        return f"10.{244 - self.index}.0.0/16"

    @property
    def pod_gateway(self) -> str:
        """The bridge's own address among the pods."""
        return f"10.{244 - self.index}.0.1"

    @property
    def service_cidr(self) -> str:
        """Addresses of Services."""
        return f"10.{96 + self.index}.0.0/16"

    @property
    def kubernetes_address(self) -> str:
        """ClusterIP of the Service `kubernetes`."""
        return f"10.{96 + self.index}.0.1"

    @property
    def dns_address(self) -> str:
        """ClusterIP of kube-dns."""
        return f"10.{96 + self.index}.0.10"

    def node_name(self, number: int) -> str:
        """Name of the 1-based node."""
        return f"node{number}"

    def node_address(self, number: int) -> str:
        """Address of the 1-based node's kubelet."""
        return f"10.{77 + self.index}.0.{10 + number}"

    @property
    def registry_port(self) -> int:
        """The image registry's, on the network namespace's loopback."""
        return 5000

    @property
    def node_numbers(self) -> range:
        """1-based."""
        return range(1, self.nodes + 1)
