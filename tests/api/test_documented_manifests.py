"""A real API server accepts the manifests of the documents and the chart's objects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusterlib.binary import clients
from control_plane import ROOT, Cluster

from support.documented import documents, manifests

CHART = ROOT / "charts" / "trtllm-operator"
MANIFESTS = [
    pytest.param(manifest, id=f"{path.relative_to(ROOT)}-{number}")
    for path in documents()
    for number, manifest in enumerate(manifests(path), 1)
]
VALUES: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "a few namespaces": {
        "watchNamespaces": ["team-a", "default"],
        "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"name": "gateway"}}}]},
        "imagePullSecrets": ["registry"],
        "builderImage": {
            "repository": "trtllm-builder",
            "pullSecrets": ["registry"],
            "env": {"HF_ENDPOINT": "https://hub"},
        },
        "store": {"storageClassName": "fast"},
        "replicas": 2,
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "ml"},
        "podAnnotations": {"note": "a: b"},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
        "serviceAccount": {"create": True, "name": "op", "annotations": {"cloud": "role"}},
        "global": {"region": "eu"},
    },
}


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_manifest_of_a_document_is_found(path: Path) -> None:
    assert len(manifests(path)) == path.read_text().count("apiVersion:")


def test_examples_pages_and_notes_show_manifests() -> None:
    showing = {str(path.relative_to(ROOT)) for path in documents() if manifests(path)}
    pages = {"README.md", "docs/spec/quantizedmodel.md", "docs/spec/enginebuild.md"}
    assert showing >= pages | {"charts/trtllm-operator/templates/NOTES.txt"}
    assert showing >= {str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/*")}


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_documented_manifest_is_accepted(cluster: Cluster, manifest: dict[str, Any]) -> None:
    applied = cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"),
        stdin=json.dumps(manifest),
    )
    assert applied.endswith("serverside-applied (server dry run)\n")


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_charts_objects_are_accepted(cluster: Cluster, tmp_path: Path, values: dict[str, Any]) -> None:
    for namespace in ("trtllm-system", "team-a"):
        cluster.kubectl(
            "apply", "--filename=-", stdin=f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"
        )
    (tmp_path / "values.json").write_text(json.dumps(values))
    command = [
        clients() / "helm",
        "template",
        "example",
        CHART,
        "--namespace=trtllm-system",
        f"--values={tmp_path / 'values.json'}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kinds = [item["kind"] for item in yaml.safe_load_all(done.stdout) if item]
    assert {"Deployment", "ServiceAccount", "Service", "ClusterRole"} <= set(kinds)
    applied = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", stdin=done.stdout
    )
    assert len(applied.splitlines()) == len(kinds)
