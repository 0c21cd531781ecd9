"""The PersistentVolumeClaim that holds sources and artifacts."""

from __future__ import annotations

from trtllm_api.source import Storage
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import MANAGER, ChildStage


def store_claim(namespace: str, storage: Storage, settings: BuilderSettings) -> Manifest:
    """Shared by the namespace's resources and outliving each of them: hence without an ownerReference."""
    spec: Manifest = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": storage.size}},
        "volumeMode": "Filesystem",
    }
    storage_class = storage.storage_class_name or settings.storage_class
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": storage.claim_name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "trtllm-store",
                "app.kubernetes.io/managed-by": MANAGER,
                "app.kubernetes.io/component": str(ChildStage.STORE),
            },
        },
        "spec": spec,
    }
