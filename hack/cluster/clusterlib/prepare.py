"""Runs all slow builds at the same time, before a cluster starts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from clusterlib import images
from clusterlib.binary import clients, kubernetes_binaries
from clusterlib.environments import builder_tools, demo_model, tools_environment
from clusterlib.packages import ensure_packages


def prepare(*, local: bool) -> None:
    """Build programs, Python environments, base images and the demo's model, as far as they are not cached.

    The compiler keeps the processors busy while downloads wait for the network.
    """
    if local:
        ensure_packages()
    tools_environment()
    work = [_models]
    if local:
        work += [_programs, _bases]
    with ThreadPoolExecutor(len(work)) as pool:
        for result in [pool.submit(part) for part in work]:
            result.result()


def _programs() -> None:
    kubernetes_binaries()
    clients()


def _models() -> None:
    builder_tools()
    demo_model()


def _bases() -> None:
    images.base_image()
    images.pause_archive()
