"""The cluster's one bridge: addresses of pods, nodes and services' door; no overlay, no namespaces."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from clusterlib.settings import Settings

_FORWARDING = {
    Path("/proc/sys/net/ipv4/ip_forward"): "1",
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables"): "1",
}


def _ip(*arguments: str, check: bool = True) -> str:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout


class Network:
    """Makes and removes the bridge; what the kernel's settings were before is put back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.before = settings.state / "sysctl.json"

    def up(self) -> None:
        """Create the bridge with every address of the cluster, and let the kernel forward."""
        settings = self.settings
        if not Path(f"/sys/class/net/{settings.bridge}").exists():
            _ip("link", "add", settings.bridge, "type", "bridge")
            _ip("addr", "add", f"{settings.pod_gateway}/16", "dev", settings.bridge)
            _ip("addr", "add", f"{settings.api_address}/32", "dev", settings.bridge)
            _ip("link", "set", settings.bridge, "up")
        held = _ip("-o", "addr", "show", "dev", settings.bridge)
        for number in settings.node_numbers:
            address = settings.node_address(number)
            if f" {address}/32 " not in held:
                _ip("addr", "add", f"{address}/32", "dev", settings.bridge)
        if not self.before.exists():
            self.before.write_text(json.dumps({str(path): path.read_text().strip() for path in _FORWARDING}))
        for path, value in _FORWARDING.items():
            path.write_text(value)

    def down(self) -> None:
        """Remove the bridge and its pods' interfaces, kube-proxy's and the CNI's rules, and restore the kernel."""
        if Path(f"/sys/class/net/{self.settings.bridge}").exists():
            for link in json.loads(_ip("-j", "link", "show", "master", self.settings.bridge) or "[]"):
                _ip("link", "delete", link["ifname"], check=False)
            _ip("link", "delete", self.settings.bridge)
        if self.before.exists():
            for name, value in json.loads(self.before.read_text()).items():
                Path(name).write_text(value)
            self.before.unlink()
