"""The Kubernetes programs: one Go binary, built from the module cache and kept by the key of its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from clusterlib.cache import cached, key_of
from clusterlib.problem import Problem
from clusterlib.settings import KUBERNETES
from clusterlib.show import step

PROGRAMS = (
    "etcd",
    "coredns",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "kubectl",
    "simulated-gpu-device-plugin",
)
_SOURCES = Path(__file__).resolve().parents[1] / "k8s"
_HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"


def kubernetes_binaries() -> Path:
    """Directory with a name for every program; built when absent (7 to 14 minutes on two cores)."""
    major, minor, _ = KUBERNETES.split(".")
    version = "k8s.io/component-base/version"
    flags = f"-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        with step(f"building Kubernetes {KUBERNETES} from Go modules"):
            _go(["build", "-trimpath", "-ldflags", flags, "-o", str(target / "kubernetes"), "."], cwd=_SOURCES)
        for program in PROGRAMS:
            (target / program).symlink_to("kubernetes")

    return cached("kubernetes", key_of(_SOURCES, flags), build)


def helm() -> Path:
    """The Helm program, built when absent."""

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        with step("building Helm from Go modules"):
            _go(["install", "-trimpath", "-ldflags", "-s -w", _HELM], cwd=Path("/"), gobin=target)

    return cached("helm", key_of(_HELM), build) / "helm"


def pause_program() -> Path:
    """A static program for the pause image."""
    source = _SOURCES.parent / "pause" / "pause.c"

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        subprocess.run(["gcc", "-static", "-Os", "-s", "-o", str(target / "pause"), str(source)], check=True)

    return cached("pause", key_of(source), build) / "pause"


def _go(arguments: list[str], cwd: Path, gobin: Path | None = None) -> None:
    go = shutil.which("go")
    if go is None:
        raise Problem("The local cluster is built from Go modules: install Go 1.26 or newer and put it on PATH.")
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
    if gobin:
        environment["GOBIN"] = str(gobin)
    result = subprocess.run([go, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Problem(f"go {arguments[0]} did not succeed; it said last:\n{result.stderr[-1500:]}")
