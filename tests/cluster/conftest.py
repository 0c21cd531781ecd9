"""One real cluster of two nodes for all tests here: images, the operator from its chart, models on a claim.

Tests run in several processes side by side (pytest-xdist): what they share is made by the first that wants it, and the
cluster is removed at the end of all.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clusterlib.client import Client
from clusterlib.environments import demo_model
from clusterlib.install import NAMESPACE as OPERATOR_NAMESPACE
from clusterlib.install import copy_to_claim, install_operator
from clusterlib.local import LocalCluster
from clusterlib.prepare import prepare
from clusterlib.settings import Settings
from xdist.scheduler import LoadScopeScheduling

from support.cluster_models import Hub, engine_models, hub_repositories, tiny_model, variants
from support.cluster_world import MODELS, NAMESPACE, World
from support.kubernetes_api import KubernetesApi
from support.leaderworkerset_double import custom_resource_definition

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = Settings(name="trtllm-test", index=1, nodes=2, gpus_per_node=8)
LANES = {
    "engines": ("test_engine_group", "test_engine_interruptions", "test_engine_sources", "test_engines"),
    "models": ("test_gate", "test_pods", "test_sources"),
}
"""Modules of one lane run one after the other, in one process; the rest are a lane, too. Engines share nodes' GPUs."""


HUB_ENDPOINT = f"http://{SETTINGS.host_address}:8088"


class Shared:
    """What processes that test side by side have in common: a directory, with a lock and a value for each name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else has the lock of this name meanwhile."""
        with (self.directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def once(self, name: str, make: Callable[[], object]) -> object:
        """What `make` returns, as JSON; whoever comes first makes it, and the others wait."""
        with self.alone(name):
            made = self.directory / f"{name}.json"
            if not made.exists():
                made.write_text(json.dumps(make()))
        return json.loads(made.read_text())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tell pytest-xdist the lanes: a process takes a whole one."""
    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = _lane_of
    return scheduling


def _lane_of(nodeid: str) -> str:
    module = Path(nodeid.partition("::")[0]).stem
    return next((lane for lane, modules in LANES.items() if module in modules), "rest")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The process that began them all ends last."""
    if not hasattr(session.config, "workerinput"):
        LocalCluster(SETTINGS).down()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    base = tmp_path_factory.getbasetemp()
    return Shared(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def cluster(shared: Shared) -> LocalCluster:
    cluster = LocalCluster(SETTINGS)

    def start() -> None:
        prepare(local=True)
        cluster.down()
        cluster.up()

    shared.once("cluster", start)
    return cluster


@pytest.fixture(scope="session")
def images(cluster: LocalCluster, shared: Shared) -> dict[str, str]:
    found = shared.once("images", cluster.images)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def world(
    cluster: LocalCluster, images: dict[str, str], shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> World:
    client = Client(cluster, SETTINGS)

    def install() -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        for name in (NAMESPACE, OPERATOR_NAMESPACE):
            meta = {"name": name, "labels": labels}
            client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        # the stand-ins for hub and web server are inside the cluster's private network
        limits = {"TRTLLM_TOKEN_ORIGINS": HUB_ENDPOINT, "TRTLLM_SOURCE_NETWORKS": f"{SETTINGS.host_address}/32"}
        values = [f"builderImage.env.{name}={value}" for name, value in limits.items()]
        install_operator(client, images, "resources.requests.cpu=500m", *values)  # the tests' pods leave it its share
        models = tmp_path_factory.mktemp("models")
        variants(models)
        copy_to_claim(client, MODELS, models, "", images["operator"], namespace=NAMESPACE)

    shared.once("world", install)
    return World(client, KubernetesApi.of(json.loads(SETTINGS.kubeconfig.read_text())))


@pytest.fixture(scope="session")
def engines(world: World, images: dict[str, str], shared: Shared) -> World:
    def provide() -> None:
        world.client.apply(custom_resource_definition())
        copy_to_claim(world.client, "engine-models", engine_models(), "", images["operator"], namespace=NAMESPACE)

    shared.once("engines", provide)
    return world


@pytest.fixture(scope="session")
def double(doubles: Callable[[str], str]) -> str:
    """NVIDIA's image, played."""
    return doubles("1.2.1")


@pytest.fixture(scope="session")
def doubles(cluster: LocalCluster, images: dict[str, str], shared: Shared) -> Callable[[str], str]:
    """The same of any version."""
    return lambda version: str(shared.once(f"double-{version}", lambda: cluster.double(version)))


@pytest.fixture(scope="session")
def smollm2(world: World, images: dict[str, str]) -> Path:
    model = demo_model()
    copy_to_claim(world.client, "smollm2", model, "smollm2-135m-instruct", images["operator"], namespace=NAMESPACE)
    return model


@pytest.fixture
def undisturbed(shared: Shared) -> Iterator[None]:
    """For tests that stop the operator, and for those that measure how quick it is."""
    with shared.alone("undisturbed"):
        yield


@pytest.fixture(scope="session")
def hub(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    hub_repositories(root)
    program = REPOSITORY / "hack" / "hub_standin" / "hub_standin.py"
    command = [sys.executable, str(program), "--root", str(root), "--host", SETTINGS.host_address]
    arguments = ["--port", HUB_ENDPOINT.rpartition(":")[2], "--print-port"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield Hub(HUB_ENDPOINT)
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def web(cluster: LocalCluster) -> Iterator[str]:
    """A plain web server with the tiny model's files."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tiny_model()))
    server = ThreadingHTTPServer((SETTINGS.host_address, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{SETTINGS.host_address}:{server.server_port}/"
    server.shutdown()
