"""Nodes: a containerd and a kubelet each, side by side in one network namespace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from clusterlib.mounts import share_mounts, unmount_below
from clusterlib.pki import Pki
from clusterlib.processes import Processes
from clusterlib.settings import Settings

PAUSE_IMAGE = "localhost/pause:1"
_CGROUPS = Path("/sys/fs/cgroup")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


class Node:
    """One node. It shares no directories, cgroups, addresses or pod range with others."""

    def __init__(self, settings: Settings, number: int, pki: Pki, processes: Processes, binaries: Path) -> None:
        self.settings, self.number, self.pki, self.processes, self.binaries = settings, number, pki, processes, binaries
        self.name = settings.node_name(number)
        self.root = settings.state / self.name
        self.socket = self.root / "containerd" / "containerd.sock"
        self.cgroup = f"{settings.name}-{self.name}"

    def down(self) -> None:
        """Stop the kubelet, every container and containerd, and remove their mounts and files."""
        self.processes.stop(f"kubelet-{self.name}")
        if self.processes.running(f"containerd-{self.name}"):
            self._remove_containers()
        self.processes.stop(f"containerd-{self.name}")
        self._kill_leftovers()
        unmount_below(self.root)
        self._remove_cgroups()

    def ctr(self, *arguments: str, check: bool = True) -> str:
        """Run ctr against this node's containerd."""
        command = ["ctr", "-a", str(self.socket), "-n", "k8s.io", *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True).stdout

    def start_containerd(self) -> None:
        """Start containerd and wait until it answers."""
        root = self.root / "containerd"
        cni = self.root / "cni"
        for directory in (root, cni / "conf", cni / "data"):
            directory.mkdir(parents=True, exist_ok=True)
        first = self.number
        base = self.settings.pod_cidr.rsplit(".", 2)[0]
        (cni / "conf" / "10-bridge.conflist").write_text(
            json.dumps(
                {
                    "cniVersion": "1.0.0",
                    "name": "pods",
                    "plugins": [
                        {
                            "type": "bridge",
                            "bridge": "k8s",
                            "isGateway": False,
                            "ipMasq": False,
                            "hairpinMode": True,
                            "ipam": {
                                "type": "host-local",
                                "dataDir": str(cni / "data"),
                                "ranges": [
                                    [
                                        {
                                            "subnet": self.settings.pod_cidr,
                                            "rangeStart": f"{base}.{first}.10",
                                            "rangeEnd": f"{base}.{first}.250",
                                            "gateway": self.settings.pod_gateway,
                                        }
                                    ]
                                ],
                                "routes": [{"dst": "0.0.0.0/0"}],
                            },
                        },
                        {"type": "portmap", "capabilities": {"portMappings": True}},
                    ],
                }
            )
        )
        config = root / "config.toml"
        config.write_text(
            f"""version = 2
root = "{root}/root"
state = "{root}/state"
[grpc]
  address = "{self.socket}"
[ttrpc]
  address = "{self.socket}.ttrpc"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}/conf"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    discard_unpacked_layers = false
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."localhost:{self.settings.registry_port}"]
    endpoint = ["http://127.0.0.1:{self.settings.registry_port}"]
"""
        )
        self.processes.start(f"containerd-{self.name}", ["containerd", "--config", config])
        self.processes.wait_until(self._containerd_answers, "containerd", 30, f"containerd-{self.name}")

    def _containerd_answers(self) -> bool:
        """True if containerd answers. Its socket alone proves nothing: it remains after a kill."""
        command = ["ctr", "-a", str(self.socket), "version"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def start_kubelet(self) -> None:
        """Start the kubelet, which registers the node."""
        address = self.settings.node_address(self.number)
        self._make_cgroups()
        kubeconfig = self.pki.kubeconfig(
            self.root / "kubelet.kubeconfig", f"kubelet-{self.name}", f"/O=system:nodes/CN=system:node:{self.name}"
        )
        certificate, key = self.pki.certificate(
            f"kubelet-{self.name}-serving", f"/O=system:nodes/CN=system:node:{self.name}", f"IP:{address}"
        )
        resolv = self.root / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        config = self.root / "kubelet.json"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "kubelet.config.k8s.io/v1beta1",
                    "kind": "KubeletConfiguration",
                    "address": address,
                    "authentication": {
                        "anonymous": {"enabled": False},
                        "webhook": {"enabled": True},
                        "x509": {"clientCAFile": str(self.pki.ca)},
                    },
                    "authorization": {"mode": "Webhook"},
                    "tlsCertFile": str(certificate),
                    "tlsPrivateKeyFile": str(key),
                    "clusterDNS": [self.settings.dns_address],
                    "clusterDomain": "cluster.local",
                    "resolvConf": str(resolv),
                    "containerRuntimeEndpoint": f"unix://{self.socket}",
                    "cgroupDriver": "cgroupfs",
                    "cgroupRoot": f"/{self.cgroup}",
                    "failCgroupV1": False,
                    "failSwapOn": False,
                    "oomScoreAdj": 0,
                    "healthzPort": 0,
                    "podLogsDir": str(self.root / "pod-logs"),
                    "volumePluginDir": str(self.root / "volume-plugins"),
                    "evictionHard": {"memory.available": "1%", "nodefs.available": "1%", "imagefs.available": "1%"},
                    "imageGCHighThresholdPercent": 100,
                    "serializeImagePulls": False,
                    "maxPods": 200,
                    "registerNode": True,
                    "nodeStatusUpdateFrequency": "5s",
                    "syncFrequency": "10s",
                    "kubeAPIQPS": 100,
                    "kubeAPIBurst": 200,
                }
            )
        )
        share_mounts(self.root / "kubelet")
        self.processes.start(
            f"kubelet-{self.name}",
            [
                *self._with_own_device_plugins(),
                self.binaries / "kubelet",
                f"--config={config}",
                f"--kubeconfig={kubeconfig}",
                f"--hostname-override={self.name}",
                f"--node-ip={address}",
                f"--root-dir={self.root / 'kubelet'}",
                f"--cert-dir={self.root / 'kubelet-pki'}",
                "--v=1",
            ],
        )

    def _with_own_device_plugins(self) -> list[str | Path]:
        """Prefix of the kubelet's command line, because its directory for device plugins is fixed.

        So each gets a mount namespace in which that directory is its own; what it mounts for pods is shared.
        """
        own = self.root / "device-plugins"
        for directory in (own, _DEVICE_PLUGINS):
            directory.mkdir(parents=True, exist_ok=True)
        script = (
            'mount --make-private "$(findmnt --noheadings --output TARGET --target "$2")" '
            '&& mount --bind "$1" "$2" && shift 2 && exec "$@"'
        )
        enter = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script, "kubelet"]
        return [*enter, own, _DEVICE_PLUGINS]

    def _make_cgroups(self) -> None:
        for hierarchy in self._hierarchies():
            group = hierarchy / self.cgroup
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (hierarchy / name).exists():
                    (group / name).write_text((hierarchy / name).read_text())

    def _hierarchies(self) -> list[Path]:
        if (_CGROUPS / "cgroup.controllers").exists():
            return [_CGROUPS]
        return [path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]

    def _remove_containers(self) -> None:
        for task in self.ctr("tasks", "ls", "-q", check=False).split():
            self.ctr("tasks", "kill", "-a", "-s", "SIGKILL", task, check=False)
        for task in self.ctr("tasks", "ls", "-q", check=False).split():
            self.ctr("tasks", "rm", "-f", task, check=False)
        for container in self.ctr("containers", "ls", "-q", check=False).split():
            self.ctr("containers", "rm", container, check=False)

    def _kill_leftovers(self) -> None:
        """Shims outlive containerd by design; they are known by the socket they were given."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if str(self.socket).encode() in (entry / "cmdline").read_bytes():
                        os.kill(int(entry.name), signal.SIGKILL)

    def _remove_cgroups(self) -> None:
        for hierarchy in self._hierarchies():
            group = hierarchy / self.cgroup
            if group.is_dir():
                for directory, _, _ in sorted(os.walk(group), key=lambda step: -len(step[0])):
                    with contextlib.suppress(OSError):
                        Path(directory).rmdir()
