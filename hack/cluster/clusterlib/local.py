"""Provider `local`: a real Kubernetes from processes of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusterlib import gpus, images, linkedlayer, services, storage
from clusterlib.binary import kubernetes_binaries
from clusterlib.controlplane import ControlPlane
from clusterlib.mounts import share_mounts, unmount_below
from clusterlib.network import Network
from clusterlib.nodes import PAUSE_IMAGE, Node
from clusterlib.packages import ensure_packages
from clusterlib.pki import Pki
from clusterlib.problem import Problem
from clusterlib.processes import Processes
from clusterlib.settings import Settings

_MEMORY_GIB = 6
_DISK_GIB = 20


class LocalCluster:
    """A cluster on this machine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def up(self) -> None:
        """Start the programs that do not run, and wait until every node is Ready."""
        settings = self.settings
        if not settings.control_plane_only:
            self._check_machine()
            ensure_packages()
        settings.state.mkdir(parents=True, exist_ok=True)
        binaries = kubernetes_binaries()
        pki, processes = Pki(settings), Processes(settings)
        control = ControlPlane(settings, pki, processes, binaries)
        if settings.control_plane_only:
            control.up()
            return
        Network(settings).up()
        nodes = [Node(settings, number, pki, processes, binaries) for number in settings.node_numbers]
        pause = images.pause_archive()
        with ThreadPoolExecutor() as pool:
            runtimes = [pool.submit(self._runtime, node, pause) for node in nodes]
            control.up()
            for runtime in runtimes:
                runtime.result()
        share_mounts(settings.state / "volumes")
        for node in nodes:
            node.start_kubelet()
        images.start_registry(settings, processes)
        services.start_proxy(control)
        services.start_dns(control)
        storage.install(control)
        processes.wait_until(lambda: self._ready(control), "Ready nodes", 90, "kubelet-node1")
        for node in nodes:
            gpus.simulate(control, node.name)

    def down(self) -> None:
        """Stop and remove everything: processes, containers, mounts, interfaces, rules, cgroups, files."""
        settings = self.settings
        if not settings.state.exists():
            return
        pki, processes = Pki(settings), Processes(settings)
        names = processes.names()
        numbers = range(1, 1 + sum(name.startswith("containerd-") for name in names))
        with ThreadPoolExecutor() as pool:
            for ended in [pool.submit(Node(settings, n, pki, processes, Path()).down) for n in numbers]:
                ended.result()
        for name in reversed(names):
            processes.stop(name)
        unmount_below(settings.state)
        Network(settings).down()
        # a node has hundreds of thousands of hard links
        for removal in [subprocess.Popen(["rm", "-rf", str(path)]) for path in settings.state.iterdir()]:
            removal.wait()
        settings.state.rmdir()

    def images(self) -> dict[str, str]:
        """Build the project's images, push them, and give every node the builder's packages."""
        with ThreadPoolExecutor() as pool:
            packages = pool.submit(self._provide_packages)
            references = {
                "operator": images.build_operator(self.settings),
                "builder": images.build_builder(self.settings),
            }
            packages.result()
        return references

    def double(self, version: str) -> str:
        """Build and push the double of NVIDIA's image, and return its reference. Nodes get the builder's packages."""
        reference = images.build_double(self.settings, version)
        self._provide_packages()
        return reference

    def status(self) -> str:
        """State of the programs, one per line."""
        processes = Processes(self.settings)
        lines = [f"{name}: {'running' if processes.running(name) else 'ended'}" for name in processes.names()]
        return "\n".join(lines) or "No program runs."

    def sized_volume(self, name: str, size: str) -> None:
        """Create a volume that is full at `size`."""
        storage.sized_volume(self._control(), name, size)

    def exchange_gpus(self, node: str, *, product: str, compute: str, memory: int) -> None:
        """Change a node's simulated GPUs; `memory` is MiB per GPU."""
        gpus.simulate(self._control(), node, product=product, compute=compute, memory=memory)

    def _control(self) -> ControlPlane:
        return ControlPlane(self.settings, Pki(self.settings), Processes(self.settings), kubernetes_binaries())

    def _provide_packages(self) -> None:
        pki, processes = Pki(self.settings), Processes(self.settings)
        nodes = [Node(self.settings, number, pki, processes, Path()) for number in self.settings.node_numbers]
        images.ml_image()  # built before all nodes need it at the same time
        with ThreadPoolExecutor() as pool:
            for provided in [pool.submit(linkedlayer.provide, node) for node in nodes]:
                provided.result()

    def _runtime(self, node: Node, pause: Path) -> None:
        node.start_containerd()
        if PAUSE_IMAGE not in node.ctr("images", "ls", "-q"):
            node.ctr("images", "import", str(pause))

    def _ready(self, control: ControlPlane) -> bool:
        path = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
        return control.kubectl("get", "nodes", "-o", f"jsonpath={path}").split() == ["True"] * self.settings.nodes

    def _check_machine(self) -> None:
        if os.geteuid() != 0:
            raise Problem("The local cluster needs root, because it creates a bridge, mounts and cgroups.")
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        if memory < _MEMORY_GIB:
            raise Problem(f"The local cluster needs {_MEMORY_GIB} GiB of memory, but this machine has {memory:.1f}.")
        existing = next(path for path in (self.settings.state, *self.settings.state.parents) if path.exists())
        free = shutil.disk_usage(existing).free / 2**30
        if free < _DISK_GIB:
            raise Problem(
                f"The local cluster needs {_DISK_GIB} GiB of free disk at {existing}, but there are {free:.1f}."
            )
