"""Providers other than this machine: kind, if a Docker engine answers, and the cluster of KUBECONFIG."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from clusterlib.problem import Problem
from clusterlib.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[3]
_IMAGES = {"operator": "Dockerfile", "builder": "builder-image/Dockerfile"}


def docker_answers() -> bool:
    """True if a Docker engine answers and kind is installed."""
    return bool(shutil.which("docker") and shutil.which("kind")) and not _quiet("docker", "version")


class KindCluster:
    """Provider `kind`, which needs Docker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def up(self) -> None:
        """Create the cluster if it does not exist."""
        self.settings.state.mkdir(parents=True, exist_ok=True)
        nodes = "- role: control-plane\n" + "- role: worker\n" * self.settings.nodes
        configuration = f"kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n{nodes}"
        existing = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=False).stdout
        if self.settings.name not in existing.split():
            _run(["kind", "create", "cluster", "--name", self.settings.name, "--config", "-"], stdin=configuration)
        _run(
            [
                "kind",
                "export",
                "kubeconfig",
                "--name",
                self.settings.name,
                "--kubeconfig",
                str(self.settings.kubeconfig),
            ]
        )

    def down(self) -> None:
        """Delete the cluster."""
        _run(["kind", "delete", "cluster", "--name", self.settings.name])

    def images(self) -> dict[str, str]:
        """Build images with Docker and load them into kind's nodes."""
        references = {}
        for name, dockerfile in _IMAGES.items():
            reference = f"trtllm-{name}:dev"
            _run(["docker", "build", "-f", str(REPOSITORY / dockerfile), "-t", reference, str(REPOSITORY)])
            _run(["kind", "load", "docker-image", "--name", self.settings.name, reference])
            references[name] = reference
        return references

    def status(self) -> str:
        """Nodes as Docker lists them."""
        return subprocess.run(
            ["kind", "get", "nodes", "--name", self.settings.name], capture_output=True, text=True, check=False
        ).stdout.strip()


class ExistingCluster:
    """Provider `current`: the cluster of KUBECONFIG. Nothing is started, and the user provides the images."""

    def up(self) -> None:
        """Check that the cluster answers."""
        if _quiet("kubectl", "get", "--raw", "/readyz"):
            raise Problem("CLUSTER_PROVIDER is current, but the cluster of KUBECONFIG does not answer.")

    def down(self) -> None:
        """Do nothing: the cluster belongs to the user."""

    def images(self) -> dict[str, str]:
        """References of the images that the user has pushed."""
        references = {name: os.environ.get(f"TRTLLM_{name.upper()}_IMAGE", "") for name in _IMAGES}
        missing = [f"TRTLLM_{name.upper()}_IMAGE" for name, reference in references.items() if not reference]
        if missing:
            raise Problem(f"Set {' and '.join(missing)} to images that the cluster can pull.")
        return references

    def status(self) -> str:
        """Nodes of the cluster."""
        return subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, check=False).stdout.strip()


def _quiet(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def _run(command: list[str], stdin: str | None = None) -> None:
    if subprocess.run(command, input=stdin, text=True, check=False).returncode:
        raise Problem(f"{' '.join(command[:4])} failed.")
