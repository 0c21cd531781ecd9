"""Volumes that non-root pods of every node can write: a default StorageClass, and volumes of a given size."""

from __future__ import annotations

import subprocess

from clusterlib.controlplane import PROVISIONER_UID, ControlPlane

CLASS = "local-shared"
SIZED_CLASS = "local-sized"


def install(control: ControlPlane) -> None:
    """Create the default class: the controller manager makes a directory per claim, owned by the pods' user."""
    control.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/host-path",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": SIZED_CLASS},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        },
    )


def sized_volume(control: ControlPlane, name: str, size: str) -> None:
    """Create a PersistentVolume of class local-sized that is full at `size` (such as 64Mi): a tmpfs on every node."""
    settings = control.settings
    directory = settings.state / "volumes" / name
    directory.mkdir(parents=True, exist_ok=True)
    if not directory.is_mount():
        option = f"size={size.removesuffix('i').lower()},uid={PROVISIONER_UID},gid={PROVISIONER_UID},mode=0770"
        subprocess.run(["mount", "-t", "tmpfs", "-o", option, f"trtllm-{name}", str(directory)], check=True)
    control.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": SIZED_CLASS,
                "local": {"path": str(directory)},
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {
                                        "key": "kubernetes.io/hostname",
                                        "operator": "In",
                                        "values": [settings.node_name(number) for number in settings.node_numbers],
                                    }
                                ]
                            }
                        ]
                    }
                },
            },
        }
    )
