"""A real API server for the whole session; tests import the rest from the modules beside them."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from control_plane import KUBECONFIG, ROOT, ApiServer, Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A fresh control plane that knows both resources. It has one name and one set of ports: a second run waits."""
    lock = KUBECONFIG.parent.with_name("apitest.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield from _control_plane()


def _control_plane() -> Iterator[Cluster]:
    control_plane = Cluster()
    control_plane.run("down")
    try:
        control_plane.run("up")
        files = [f"--filename={path}" for path in sorted((ROOT / "crds").glob("*.yaml"))]
        control_plane.kubectl("apply", "--server-side", *files)
        control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
        yield control_plane
    finally:
        control_plane.run("down")


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[ApiServer]:
    """A fast client."""
    kubeconfig = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    server = ApiServer.of(kubeconfig)
    yield server
    server.close()
