"""Simulated GPUs: what the device plugin and feature discovery would put on a node; there is no device behind them."""

from __future__ import annotations

import json

from clusterlib.controlplane import ControlPlane


def simulate(control: ControlPlane, node: str) -> None:
    """Set the node's capacity of nvidia.com/gpu and NVIDIA's labels."""
    settings = control.settings
    if not settings.gpus_per_node:
        return
    major, minor = settings.gpu_compute.split(".")
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": settings.gpu_product,
        "nvidia.com/gpu.count": str(settings.gpus_per_node),
        "nvidia.com/gpu.memory": str(settings.gpu_memory_mib),
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
    }
    control.kubectl("label", "node", node, "--overwrite", *(f"{key}={value}" for key, value in labels.items()))
    amount = str(settings.gpus_per_node)
    patch = [
        {"op": "add", "path": f"/status/{part}/nvidia.com~1gpu", "value": amount}
        for part in ("capacity", "allocatable")
    ]
    control.kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", json.dumps(patch))
