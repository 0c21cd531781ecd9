"""The local cluster itself: simulated GPUs are given out; a second one runs beside the first and leaves nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from clusterlib.client import Client
from clusterlib.local import LocalCluster
from clusterlib.settings import Settings

from support.cluster_world import MODELS, NAMESPACE, World, restricted_pod

EXTRA = Settings(name="trtllm-extra", index=5, nodes=1, gpus_per_node=2)
_QUERY = "nvidia-smi --query-gpu=uuid,name,compute_cap,memory.total --format=csv,noheader"


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


def test_a_pod_gets_the_gpus_that_it_asks_for_and_no_others(world: World, cluster: LocalCluster, double: str) -> None:
    settings = cluster.settings
    said = {}
    for name, count in (("two-gpus", 2), ("no-gpus", 0)):
        pod = restricted_pod(name, double, ["sh", "-c", f"{_QUERY} || echo exit $?"], MODELS)
        pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": count}} if count else {}
        world.client.apply(pod)
        done = "--for=jsonpath={.status.phase}=Succeeded"
        world.client.kubectl("wait", f"pod/{name}", "-n", NAMESPACE, done, "--timeout=120s")
        said[name] = world.logs(name).splitlines()
    rows = [line.split(", ") for line in said["two-gpus"]]
    product = settings.gpu_product.replace("-", " ")
    assert [row[1:] for row in rows] == [[product, settings.gpu_compute, f"{settings.gpu_memory_mib} MiB"]] * 2
    assert len({row[0] for row in rows}) == 2
    assert said["no-gpus"][-1] == "exit 9"


def gpus_of(client: Client) -> dict[str, str]:
    """What GPU feature discovery and the device plugin say of the one node."""
    (node,) = client.get("nodes")["items"]
    labels = {
        key: node["metadata"]["labels"][f"nvidia.com/gpu.{key}"] for key in ("product", "memory", "compute.major")
    }
    return {**labels, "allocatable": node["status"]["allocatable"]["nvidia.com/gpu"]}


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
        known = {"memory": "81559", "compute.major": "9", "allocatable": "2"}
        assert gpus_of(client) == {"product": "NVIDIA-H100-80GB-HBM3", **known}
        cluster.exchange_gpus("node1", product="NVIDIA-L4", compute="8.9", memory=23034)
        exchanged = {"memory": "23034", "compute.major": "8", "allocatable": "2"}
        assert gpus_of(client) == {"product": "NVIDIA-L4", **exchanged}
        assert all(traces()[kind] for kind in ("processes", "mounts", "interfaces", "namespaces", "cgroups"))
    finally:
        cluster.down()
    assert traces() == {kind: [] for kind in traces()}
    assert subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.count("KUBE") == rules
