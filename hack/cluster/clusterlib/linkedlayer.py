"""The builder's packages on a node, as a layer of hard links.

containerd skips the unpacking of a layer whose snapshot it already has. So the snapshot of the marker layer (images.py)
is made beforehand: the directory of packages is linked, file by file, into it. Seconds and no disk instead of minutes
and gigabytes. Only for a cluster on the machine that has the packages: the digest does not describe the content.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

from clusterlib import buildah
from clusterlib.environments import ml_site_packages
from clusterlib.images import base_image, ml_image
from clusterlib.nodes import Node

_TARGET = Path("opt/trtllm/site-packages")


def provide(node: Node) -> None:
    """Give the node the base image and the layer; nothing is done when it has them."""
    base = base_image()
    layers = buildah.diff_ids(ml_image())
    parent, chain = _chain(layers[:-1]), _chain(layers)
    if parent not in node.ctr("snapshots", "ls"):
        push = subprocess.Popen(
            [
                *buildah.command(),
                *("push", "--quiet", "--disable-compression", base, f"docker-archive:/dev/stdout:{base}"),
            ],
            stdout=subprocess.PIPE,
        )
        subprocess.run(
            ["ctr", "-a", str(node.socket), "-n", "k8s.io", "images", "import", "-"],
            stdin=push.stdout,
            check=True,
            capture_output=True,
        )
        push.wait()
    if chain in node.ctr("snapshots", "ls"):
        return
    key = f"linking-{chain[-12:]}"
    node.ctr("snapshots", "rm", key, check=False)
    node.ctr("snapshots", "prepare", key, parent)
    mount = node.ctr("snapshots", "mounts", "/mnt", key)
    upper = re.search(r"upperdir=([^,\s]+)", mount)
    if upper is None:
        raise RuntimeError(f"not an overlay mount: {mount}")
    target = Path(upper[1]) / _TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    packages = ml_site_packages()
    if subprocess.run(["cp", "-al", str(packages), str(target)], check=False, capture_output=True).returncode:
        subprocess.run(["cp", "-a", "--reflink=auto", str(packages), str(target)], check=True)  # another file system
    node.ctr("snapshots", "commit", chain, key)


def _chain(diff_ids: list[str]) -> str:
    """Name of the snapshot on top of these layers (OCI image specification, ChainID)."""
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
    return chain
