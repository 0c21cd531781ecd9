"""Builds the project's images from its Dockerfiles, tags them by content, and pushes them to a local registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

from clusterlib import buildah
from clusterlib.binary import pause_program
from clusterlib.cache import cached, key_of
from clusterlib.environments import SHARED, WITH_REPORT, ml_site_packages
from clusterlib.processes import Processes, inside
from clusterlib.settings import Settings
from clusterlib.show import step

REPOSITORY = Path(__file__).resolve().parents[3]
_RELEASE = "bookworm"
_PACKAGES = "python3,python3-pip,ca-certificates"
_CUSTOMIZE = 'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; ln -sf python3 "$1"/usr/bin/python'
_EXCLUDED = ("man", "locale", "doc", "info")
DOUBLE_VERSIONS = ("0.20.0", "1.0.0", "1.2.1")
"""Versions of TensorRT-LLM that have a double."""


def base_image() -> str:
    """Debian with Python, built from the host's package sources."""
    sources = _apt_sources()
    key = key_of(_RELEASE, _PACKAGES, _CUSTOMIZE, *sources)
    image = f"localhost/base:{key}"

    def bootstrap(target: Path) -> None:
        target.mkdir(parents=True)
        exclusions = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
        with step("base image by mmdebstrap"):
            subprocess.run(
                [
                    "mmdebstrap",
                    "--quiet",
                    "--variant=minbase",
                    f"--include={_PACKAGES}",
                    f"--customize-hook={_CUSTOMIZE}",
                    *exclusions,
                    _RELEASE,
                    str(target / "base.tar"),
                    *map(str, sources),
                ],
                check=True,
            )

    tar = cached("base", key, bootstrap) / "base.tar"
    if not buildah.exists(image):
        container = buildah.buildah("from", "scratch")
        buildah.buildah("add", container, str(tar), "/")
        buildah.buildah("commit", "--rm", container, image)
    return image


def ml_image() -> str:
    """The base image with a marker for the builder's packages.

    Nodes get the packages as a layer of hard links (linkedlayer.py): 5.7 GB that are neither copied nor unpacked.
    """
    key = key_of(base_image(), str(ml_site_packages()))
    image = f"localhost/builder-packages:{key}"
    if not buildah.exists(image):
        container = buildah.buildah("from", base_image())
        buildah.buildah(
            "run",
            "--isolation",
            "chroot",
            container,
            "--",
            "sh",
            "-c",
            f"mkdir -p /opt/trtllm && echo {key} > /opt/trtllm/packages",
        )
        buildah.buildah("commit", "--rm", container, image)
    return image


def build_operator(settings: Settings) -> str:
    """Reference of the operator's image, which depends on its contents."""
    inputs = ("Dockerfile", "requirements/operator.txt", *map(_package, SHARED), "operator/trtllm_operator")
    key = key_of(base_image(), *_inputs(*inputs))
    return _build(settings, f"trtllm-operator:{key}", "Dockerfile", {"BASE": base_image()})


def build_builder(settings: Settings) -> str:
    """Reference of the builder's image, which depends on its contents."""
    key = key_of(ml_image(), *_inputs("builder-image", *map(_package, WITH_REPORT)))
    arguments = {"BASE": base_image(), "DEPENDENCIES": ml_image()}
    return _build(settings, f"trtllm-builder:{key}", "builder-image/Dockerfile", arguments)


def build_double(settings: Settings, version: str) -> str:
    """Reference of the double of NVIDIA's image. Its tag is the version, as NVIDIA's, so a directory has the key."""
    inputs = (
        *("hack/tensorrt_llm_double", "tests/data/upstream"),
        *map(_package, WITH_REPORT),
        "builder-image/trtllm_builder",
    )
    key = key_of(ml_image(), *_inputs(*inputs))
    arguments = {"DEPENDENCIES": ml_image(), "VERSION": version}
    return _build(settings, f"{key}/tensorrt-llm-double:{version}", "hack/tensorrt_llm_double/Dockerfile", arguments)


def start_registry(settings: Settings, processes: Processes) -> None:
    """Start a registry on loopback, with its data in the cluster's state."""
    configuration = settings.state / "registry.yaml"
    configuration.write_text(
        f"""version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {settings.state / "registry"}}}
http:
  addr: 127.0.0.1:{settings.registry_port}
  secret: loopback-only
"""
    )
    processes.start("docker-registry", ["docker-registry", "serve", configuration])


def pause_archive() -> Path:
    """The pause image as a tar for containerd."""
    program = pause_program()

    def build(target: Path) -> None:
        target.mkdir(parents=True)
        container = buildah.buildah("from", "scratch")
        buildah.buildah("copy", container, str(program), "/pause")
        buildah.buildah("config", "--entrypoint", '["/pause"]', container)
        buildah.buildah("commit", "--rm", container, "localhost/pause:1")
        buildah.buildah("push", "localhost/pause:1", f"docker-archive:{target / 'pause.tar'}:localhost/pause:1")

    return cached("pause-image", key_of(program), build) / "pause.tar"


def _build(settings: Settings, name: str, dockerfile: str, arguments: dict[str, str]) -> str:
    local = f"localhost/{name}"
    if not buildah.exists(local):
        with step(f"image {name}"):
            buildah.build(REPOSITORY, REPOSITORY / dockerfile, local, arguments)
    reference = f"localhost:{settings.registry_port}/{name}"
    # over loopback, uncompressed layers are faster than compression here and decompression on every node
    push = ["push", "--quiet", "--disable-compression", "--tls-verify=false", local, f"docker://{reference}"]
    buildah.buildah(*push, prefix=inside(settings))
    return reference


def _package(distribution: str) -> str:
    return f"{distribution}/trtllm_{'api' if distribution == 'crds' else distribution}"


def _inputs(*names: str) -> list[Path]:
    return [REPOSITORY / name for name in names]


def _apt_sources() -> list[Path]:
    candidates = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))]
    return [path for path in candidates if path.exists() and "debian" in path.read_text()]
