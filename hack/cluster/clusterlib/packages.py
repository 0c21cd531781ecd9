"""Installs the Debian packages of the local cluster, without starting their services."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from clusterlib.problem import Problem
from clusterlib.show import step

_NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "buildah": "buildah",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "docker-registry": "docker-registry",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "mpirun": "openmpi-bin",
    "gcc": "gcc",
    "/usr/lib/x86_64-linux-gnu/libc.a": "libc6-dev",
}

_POLICY = Path("/usr/sbin/policy-rc.d")


def ensure_packages() -> None:
    """Install the missing packages."""
    missing = sorted({package for program, package in _NEEDED.items() if not _present(program)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise Problem(
            f"The local cluster needs the Debian packages {', '.join(missing)}. Install them, or run as root."
        )
    if not shutil.which("apt-get"):
        raise Problem(
            f"The local cluster needs {', '.join(missing)}, and can install them on Debian and its derivatives only. "
            "Install them, or set CLUSTER_PROVIDER to kind or current."
        )
    with step(f"Debian packages: {' '.join(missing)}"):
        _install(missing)


def _present(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None


def _install(packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    own_policy = not _POLICY.exists()
    if own_policy:  # otherwise apt starts containerd and the registry as services
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        with tempfile.TemporaryFile("w+") as log:
            for command in (
                ["apt-get", "update", "-q"],
                ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages],
            ):
                if subprocess.run(
                    command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
                ).returncode:
                    log.seek(0)
                    raise Problem(f"{' '.join(command)} failed. Its last output:\n{log.read()[-1500:]}")
    finally:
        if own_policy:
            _POLICY.unlink()
