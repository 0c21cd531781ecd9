"""Settings of a local cluster: its directories and its addresses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.36.3"


def cache_directory() -> Path:
    """Directory of everything that is built, outside the repository."""
    return Path(os.environ.get("TRTLLM_CACHE") or Path.home() / ".cache" / "trtllm-operator")


@dataclass(frozen=True)
class Settings:
    """Settings of one cluster. Clusters with different `index` share no address, port or directory."""

    name: str = "trtllm"
    index: int = 0
    nodes: int = 1
    gpus_per_node: int = 0
    gpu_product: str = "NVIDIA-H100-80GB-HBM3"
    gpu_memory_mib: int = 81559
    gpu_compute: str = "9.0"

    @property
    def state(self) -> Path:
        """Directory of this cluster, for everything that is not cached."""
        root = Path(os.environ.get("CLUSTER_STATE") or "/var/lib/trtllm-cluster")
        return root / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def control_plane_only(self) -> bool:
        """True without nodes: etcd, API server and controller manager run on loopback, for API tests."""
        return self.nodes == 0

    @property
    def network_namespace(self) -> str | None:
        """Network namespace of the cluster's programs. Its removal removes their ports, rules and interfaces."""
        return None if self.control_plane_only else f"trtllm-{self.name}"

    @property
    def uplink(self) -> str:
        """Host's interface of the pair that connects the host with the cluster's network namespace."""
        return f"k8s{self.index}"

    @property
    def host_address(self) -> str:
        """Address of the host for the cluster's pods, on `uplink`."""
        return f"10.{77 + self.index}.254.1"

    @property
    def uplink_address(self) -> str:
        """Address of the cluster's interface of the pair."""
        return f"10.{77 + self.index}.254.2"

    @property
    def node_cidr(self) -> str:
        """Network of the API server and of the nodes."""
        return f"10.{77 + self.index}.0.0/24"

    @property
    def api_address(self) -> str:
        """Address of the API server, of DNS and of node ports."""
        return "127.0.0.1" if self.control_plane_only else f"10.{77 + self.index}.0.1"

    @property
    def api_port(self) -> int:
        """Port of the API server. On loopback, where clusters share the address, it depends on `index`."""
        return 16443 + self.index if self.control_plane_only else 6443

    @property
    def etcd_port(self) -> int:
        """Client port of etcd on loopback. Its peer port is the next one."""
        return 23790 + 10 * self.index

    @property
    def pod_cidr(self) -> str:
        """Network of the pods of all nodes."""
        return f"10.{244 - self.index}.0.0/16"

    @property
    def pod_gateway(self) -> str:
        """Address of the bridge in the pods' network."""
        return f"10.{244 - self.index}.0.1"

    @property
    def service_cidr(self) -> str:
        """Network of Services."""
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
        """Name of a node; `number` starts at 1."""
        return f"node{number}"

    def node_address(self, number: int) -> str:
        """Address of a node's kubelet; `number` starts at 1."""
        return f"10.{77 + self.index}.0.{10 + number}"

    @property
    def registry_port(self) -> int:
        """Port of the image registry on the network namespace's loopback."""
        return 5000

    @property
    def node_numbers(self) -> range:
        """1-based."""
        return range(1, self.nodes + 1)
