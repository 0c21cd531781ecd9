"""Builds images with buildah from the project's Dockerfiles. Layers are kept in the cache."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from clusterlib.problem import Problem
from clusterlib.settings import cache_directory

_FORWARDED = ("UV_", "PIP_")
_CERTIFICATES = Path("/etc/ssl/certs")


def command() -> list[str]:
    """Command line of buildah with the storage in the cache."""
    storage = cache_directory() / "buildah"
    return ["buildah", "--root", str(storage), "--runroot", str(storage / "run"), "--storage-driver", "overlay"]


def buildah(*arguments: str, prefix: Sequence[str] = ()) -> str:
    """Run buildah, with `prefix` in another network namespace, and return its output."""
    result = subprocess.run([*prefix, *command(), *arguments], capture_output=True, check=False)
    if result.returncode:
        raise Problem(f"buildah {arguments[0]} failed. Its last output:\n{result.stderr.decode()[-2000:]}")
    return result.stdout.decode().strip()


def exists(image: str) -> bool:
    """True if the image is in the storage."""
    return bool(buildah("images", "--quiet", "--filter", f"reference={image}"))


def build(context: Path, dockerfile: Path, image: str, arguments: dict[str, str]) -> None:
    """Build a Dockerfile. pip and uv inside use the host's certificates and package settings."""
    # chroot isolation needs no further namespaces, and shares the host's network
    options = ["--isolation", "chroot", "--layers", "--format", "docker"]
    if _CERTIFICATES.is_dir():
        options += ["-v", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    configuration = Path.home() / ".config" / "pip" / "pip.conf"
    if configuration.exists():
        options += ["-v", f"{configuration}:/etc/pip.conf:ro"]
    for name, value in os.environ.items():
        if name.startswith(_FORWARDED):
            options += ["--env", f"{name}={value}", "--unsetenv", name]
    for name, value in arguments.items():
        options += ["--build-arg", f"{name}={value}"]
    buildah("build", *options, "-f", str(dockerfile), "-t", image, str(context))


def diff_ids(image: str) -> list[str]:
    """Digests of the image's uncompressed layers, lowest first."""
    described = json.loads(buildah("inspect", "--type", "image", image))
    layers: list[str] = described["OCIv1"]["rootfs"]["diff_ids"]
    return layers
