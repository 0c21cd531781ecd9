"""The local cluster itself: a second one runs beside the first, and leaves nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

from clusterlib.client import Client
from clusterlib.local import LocalCluster
from clusterlib.settings import Settings
from world import World

EXTRA = Settings(name="trtllm-extra", index=5, nodes=1)


def traces() -> dict[str, list[str]]:
    """What this machine holds of the extra cluster."""
    namespace = str(EXTRA.network_namespace)

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    return {
        "processes": [line for line in lines("ps", "-eo", "args") if str(EXTRA.state) in line],
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if EXTRA.name in line],
        "interfaces": [line for line in lines("ip", "-br", "link") if line.startswith(EXTRA.uplink)],
        "routes": [line for line in lines("ip", "route") if EXTRA.uplink in line],
        "namespaces": [line for line in lines("ip", "netns", "list") if namespace in line],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{EXTRA.name}-*")],
        "files": [str(path) for path in EXTRA.state.parent.glob(EXTRA.name)],
    }


def test_a_second_cluster_runs_beside_the_first_and_is_gone_without_a_trace(world: World) -> None:
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.count("KUBE")
    cluster = LocalCluster(EXTRA)
    cluster.down()
    try:
        cluster.up()
        cluster.up()
        client = Client(cluster, EXTRA)
        assert len(client.get("nodes")["items"]) == 1
        assert len(world.client.get("nodes")["items"]) == 2
        assert all(traces()[kind] for kind in ("processes", "mounts", "interfaces", "namespaces", "cgroups"))
    finally:
        cluster.down()
    assert traces() == {kind: [] for kind in traces()}
    assert subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.count("KUBE") == rules
