"""Install the operator with its chart, and put a model on a claim; the demo and the tests call it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from clusterlib.client import Client
from clusterlib.environments import REPOSITORY
from clusterlib.problem import Problem

NAMESPACE = "trtllm-system"
RELEASE = "trtllm-operator"


def install_operator(client: Client, images: dict[str, str], *values: str) -> None:
    """`helm upgrade --install` with images by their references; returns when the operator is ready."""
    settings = [f"builderImage.{part}" for part in ("repository", "tag")]
    repository, _, tag = images["builder"].rpartition(":")
    chosen = dict(zip(settings, (repository, tag), strict=True))
    repository, _, tag = images["operator"].rpartition(":")
    chosen |= {"image.repository": repository, "image.tag": tag}
    options = [f"--set={name}={value}" for name, value in chosen.items()] + [f"--set={value}" for value in values]
    chart = str(REPOSITORY / "charts" / "trtllm-operator")
    # Helm installs CustomResourceDefinitions once and never changes them again
    client.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(Path(chart) / "crds"))
    client.helm(
        "upgrade",
        "--install",
        RELEASE,
        chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        *options,
        "--wait",
        "--timeout=90s",
    )


def copy_to_claim(client: Client, claim: str, directory: Path, name: str, image: str, *, namespace: str) -> None:
    """Make the claim unless it exists, and copy a directory to `name` on it, through a pod: any provider will do."""
    pod = f"load-{claim}"
    if client.get("pod", pod, "-n", namespace):
        client.kubectl("delete", "pod", pod, "-n", namespace, "--wait", "--grace-period=0", "--force")
    client.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}},
        },
        _loader(pod, claim, image, namespace),
    )
    client.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "-n", namespace, "--timeout=120s")
    with tempfile.TemporaryFile() as archive:
        subprocess.run(["tar", "-C", str(directory), "-cf", "-", "."], stdout=archive, check=True)
        archive.seek(0)
        inside = f"mkdir -p '/claim/{name}' && tar -C '/claim/{name}' --no-same-owner -xf -"
        command = [str(client.program), "exec", "-i", pod, "-n", namespace, "--", "sh", "-c", inside]
        result = subprocess.run(command, stdin=archive, env=client.environment, capture_output=True, check=False)
        if result.returncode:
            raise Problem(f"The model could not be copied to the claim {claim}: {result.stderr.decode()[-500:]}")
    client.kubectl("delete", "pod", pod, "-n", namespace, "--wait=false", "--grace-period=0", "--force")


def _loader(pod: str, claim: str, image: str, namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "loader",
                    "image": image,
                    "command": ["sleep", "3600"],
                    "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
