"""Find the cluster: the pod's service account, or KUBECONFIG; called by main.py and by kopf's login handler."""

from __future__ import annotations

import os
from pathlib import Path

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def in_cluster() -> bool:
    """KUBECONFIG wins over the service account, so that a developer's pod can work on another cluster."""
    return "KUBECONFIG" not in os.environ and _TOKEN.exists()


async def connect() -> ApiClient:
    """A client of the cluster that the environment names."""
    configuration = Configuration()
    if in_cluster():
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        # the library reads KUBECONFIG when it is imported
        path = os.environ.get("KUBECONFIG")
        await load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    return ApiClient(configuration)
