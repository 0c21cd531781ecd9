"""Simulated GPUs: a device plugin double for each node (k8s/gpus.go), and the labels of GPU feature discovery.

There is no device behind them: a container that asks for nvidia.com/gpu gets NVIDIA_VISIBLE_DEVICES, and a file that
says what the GPUs are, /run/simulated-gpus.json. local.py calls `simulate`; tests call it again to exchange GPUs.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from clusterlib.controlplane import ControlPlane
from clusterlib.problem import Problem
from clusterlib.settings import Settings

DRIVER = "580.95.05"
FAMILIES = {"8": "ampere", "9": "hopper", "10": "blackwell", "12": "blackwell"}
PLUGIN = "simulated-gpu-device-plugin"
_RESOURCE = r"{.status.allocatable.nvidia\.com/gpu}"


@dataclass(frozen=True)
class Gpus:
    """GPUs of one node, which are equal."""

    product: str
    """Product in the spelling of the label nvidia.com/gpu.product. NVIDIA's tools have spaces instead of dashes."""
    compute: str
    memory_mib: int
    count: int
    driver: str = DRIVER

    def described(self, cluster: str, node: str) -> dict[str, object]:
        """Content of the file that the device plugin and the double of nvidia-smi read."""
        names = [f"{cluster}/{node}/{number}" for number in range(self.count)]
        return {
            "product": _spoken(self.product),
            "compute_cap": self.compute,
            "memory_mib": self.memory_mib,
            "driver": self.driver,
            "uuids": [f"GPU-{uuid.uuid5(uuid.NAMESPACE_URL, name)}" for name in names],
        }

    def labels(self) -> dict[str, str]:
        """Labels that GPU feature discovery sets on a node."""
        major, minor = self.compute.split(".")
        family = "ada-lovelace" if self.compute == "8.9" else FAMILIES.get(major, "unknown")
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": self.product,
            "nvidia.com/gpu.count": str(self.count),
            "nvidia.com/gpu.memory": str(self.memory_mib),
            "nvidia.com/gpu.family": family,
            "nvidia.com/gpu.compute.major": major,
            "nvidia.com/gpu.compute.minor": minor,
            "nvidia.com/cuda.driver-version.full": self.driver,
        }


def simulate(
    control: ControlPlane,
    node: str,
    *,
    product: str | None = None,
    compute: str | None = None,
    memory: int | None = None,
) -> None:
    """Set the simulated GPUs of the node, and wait until the node offers them.

    What is not said stays as it is. `memory` is MiB of one GPU. Running containers go on with the GPUs they had.
    """
    settings = control.settings
    if not settings.gpus_per_node:
        if product or compute or memory:
            raise Problem(f"The cluster {settings.name} has no simulated GPUs. Start it with --gpus-per-node.")
        return
    known = _present(settings, node)
    gpus = Gpus(
        product=product or (known.product if known else settings.gpu_product),
        compute=compute or (known.compute if known else settings.gpu_compute),
        memory_mib=memory or (known.memory_mib if known else settings.gpu_memory_mib),
        count=settings.gpus_per_node,
    )
    file = _file(settings, node)
    # a rename, because a running container keeps the file that it has mounted
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(gpus.described(settings.name, node), indent=1))
    fresh.rename(file)
    name = f"gpus-{node}"
    command: list[str | Path] = [
        control.binaries / PLUGIN,
        "--directory",
        plugin_directory(settings, node),
        "--gpus",
        file,
    ]
    control.processes.start(name, command)
    labels = (f"{key}={value}" for key, value in gpus.labels().items())
    control.kubectl("label", "node", node, "--overwrite", *labels)
    control.processes.wait_until(
        lambda: control.kubectl("get", "node", node, "-o", f"jsonpath={_RESOURCE}") == str(gpus.count),
        f"{gpus.count} GPUs of {node}",
        60,
        name,
    )


def plugin_directory(settings: Settings, node: str) -> Path:
    """Directory of the sockets of this node's device plugins."""
    return settings.state / node / "device-plugins"


def _file(settings: Settings, node: str) -> Path:
    return settings.state / node / "gpus.json"


def _present(settings: Settings, node: str) -> Gpus | None:
    file = _file(settings, node)
    if not file.exists():
        return None
    found = json.loads(file.read_text())
    return Gpus(
        product=str(found["product"]).replace(" ", "-"),
        compute=found["compute_cap"],
        memory_mib=found["memory_mib"],
        count=len(found["uuids"]),
        driver=found["driver"],
    )


def _spoken(label: str) -> str:
    return label.replace("-", " ")
