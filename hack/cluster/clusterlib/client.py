"""Runs kubectl and helm for a cluster of any provider."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from clusterlib.binary import clients
from clusterlib.local import LocalCluster
from clusterlib.problem import Problem
from clusterlib.providers import ExistingCluster, KindCluster
from clusterlib.settings import Settings

Cluster = LocalCluster | KindCluster | ExistingCluster


class Client:
    """Client with the cluster's kubeconfig."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.environment = dict(os.environ)
        if not isinstance(cluster, ExistingCluster):
            self.environment["KUBECONFIG"] = str(settings.kubeconfig)
        self.program = clients() / "kubectl" if isinstance(cluster, LocalCluster) else Path("kubectl")

    def kubectl(self, *arguments: str, stdin: str | bytes | None = None, check: bool = True) -> str:
        """Run kubectl and return its stdout."""
        return self._run([str(self.program), *arguments], stdin, check)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Object of `kubectl get`; empty if it does not exist."""
        text = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        value: dict[str, Any] = json.loads(text) if text.strip() else {}
        return value

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects with kubectl."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def helm(self, *arguments: str) -> str:
        """Run helm and return its stdout."""
        return self._run([str(clients() / "helm"), *arguments], None, check=True)

    def _run(self, command: list[str], stdin: str | bytes | None, check: bool) -> str:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        result = subprocess.run(command, input=data, env=self.environment, capture_output=True, check=False)
        if check and result.returncode:
            said = result.stderr.decode(errors="replace").strip()
            raise Problem(f"{Path(command[0]).name} {' '.join(command[1:4])} failed: {said[-1500:]}")
        return result.stdout.decode(errors="replace")
