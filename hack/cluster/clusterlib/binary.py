"""Builds the Kubernetes programs and Helm as two Go binaries from modules; cached by the key of their sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
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
    "simulated-gpu-device-plugin",
)
CLIENTS = ("kubectl", "helm")
_SOURCES = Path(__file__).resolve().parents[1] / "k8s"


def clients() -> Path:
    """Directory with kubectl and helm; built if it is missing."""
    return _binary("clients", CLIENTS, "kubectl and Helm")


def kubernetes_binaries() -> Path:
    """Directory with every program of the cluster; built if it is missing (8 minutes on two cores)."""
    return _binary("cluster", PROGRAMS, f"Kubernetes {KUBERNETES}")


def _binary(package: str, programs: Sequence[str], what: str) -> Path:
    """Build both packages with the same flags: they are of one module, so shared code is compiled once."""
    major, minor, _ = KUBERNETES.split(".")
    version = "k8s.io/component-base/version"
    flags = f"-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        with step(f"building {what} from Go modules"):
            _go("build", "-trimpath", "-ldflags", flags, "-o", str(target / package), f"./{package}")
        for program in programs:
            (target / program).symlink_to(package)

    return cached(package, key_of(_SOURCES, flags), build)


def pause_program() -> Path:
    """A static program for the pause image."""
    source = _SOURCES.parent / "pause" / "pause.c"

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        subprocess.run(["gcc", "-static", "-Os", "-s", "-o", str(target / "pause"), str(source)], check=True)

    return cached("pause", key_of(source), build) / "pause"


def _go(*arguments: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise Problem("The local cluster is built from Go modules. Install Go 1.26 or newer, and add it to PATH.")
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
    command = [go, *arguments]
    result = subprocess.run(command, cwd=_SOURCES, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Problem(f"go {arguments[0]} failed. Its last output:\n{result.stderr[-1500:]}")
