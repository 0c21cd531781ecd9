"""Network of a cluster: a network namespace with one bridge for pods, nodes and services, and no overlay.

A pair of interfaces leads from the host into it, so that the host reaches the API server, pods and Services. All that
kube-proxy and the CNI plugins do to the kernel is inside, and is gone with the namespace.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from clusterlib.processes import inside
from clusterlib.settings import Settings

_BRIDGE = "k8s"
_FORWARDING = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"


class Network:
    """Makes and removes the network namespace."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = Path("/run/netns") / str(settings.network_namespace)

    def up(self) -> None:
        """Create the namespace with every address of the cluster, as far as they are missing."""
        settings, namespace = self.settings, str(self.settings.network_namespace)
        if not self.path.exists():
            _run("ip", "netns", "add", namespace)
            if Path(f"/sys/class/net/{settings.uplink}").exists():
                _run("ip", "link", "delete", settings.uplink)
            uplink = ("ip", "link", "add", settings.uplink, "type", "veth", "peer", "name", "host", "netns", namespace)
            _run(*uplink)
            _run("ip", "addr", "add", f"{settings.host_address}/30", "dev", settings.uplink)
            _run("ip", "link", "set", settings.uplink, "up")
            for network in (settings.node_cidr, settings.pod_cidr, settings.service_cidr):
                _run("ip", "route", "replace", network, "via", settings.uplink_address)
            self._ip("link", "set", "lo", "up")
            self._ip("addr", "add", f"{settings.uplink_address}/30", "dev", "host")
            self._ip("link", "set", "host", "up")
            self._ip("route", "add", "default", "via", settings.host_address)
            self._ip("link", "add", _BRIDGE, "type", "bridge")
            self._ip("addr", "add", f"{settings.pod_gateway}/16", "dev", _BRIDGE)
            self._ip("addr", "add", f"{settings.api_address}/32", "dev", _BRIDGE)
            self._ip("link", "set", _BRIDGE, "up")
            _run(*inside(settings), "sh", "-c", _FORWARDING)
        held = self._ip("-o", "addr", "show", "dev", _BRIDGE)
        for number in settings.node_numbers:
            address = settings.node_address(number)
            if f" {address}/32 " not in held:
                self._ip("addr", "add", f"{address}/32", "dev", _BRIDGE)

    def down(self) -> None:
        """Remove the namespace, and with it interfaces, routes and rules."""
        if Path(f"/sys/class/net/{self.settings.uplink}").exists():
            _run("ip", "link", "delete", self.settings.uplink)
        if self.path.exists():
            _run("ip", "netns", "delete", str(self.settings.network_namespace))

    def _ip(self, *arguments: str) -> str:
        return _run(*inside(self.settings), "ip", *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
