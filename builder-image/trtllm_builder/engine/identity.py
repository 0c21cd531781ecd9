"""Reads the pod's GPUs and TensorRT-LLM version, and checks them against the request."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.contract import ExitCode, ExpectedGpu
from trtllm_api.reasons import Reason
from trtllm_builder.engine.causes import failure_of
from trtllm_builder.engine.process import run_program
from trtllm_builder.failure import BuilderFailure
from trtllm_planner.tensorrt_llm.versions import Version, parse_version

HAVE_ENGINES = "TensorRT-LLM 1.2.x and earlier have it"
USE_ENGINES = "Set spec.image to a TensorRT-LLM image up to 1.2.x, or spec.runtime to PyTorch."
_COLUMNS = ("name", "compute_cap", "memory.total")
_QUERY = ("nvidia-smi", f"--query-gpu={','.join(_COLUMNS)}", "--format=csv,noheader")
_MARK = "trtllm-operator: version "
_SECONDS = 120
_CHECK_NODE = (
    "Check that the container requests nvidia.com/gpu, and that the node's NVIDIA runtime "
    "(spec.podTemplate.runtimeClassName) starts it."
)


@dataclass(frozen=True)
class Identity:
    """GPU and TensorRT-LLM version that an engine is bound to."""

    product: str
    """GPU product, in the spelling of the node label nvidia.com/gpu.product."""
    compute_capability: str
    gpus: int
    version: str
    """TensorRT-LLM's `__version__`."""


def look(expected: ExpectedGpu, version: str | None, directory: Path) -> Identity:
    """Identity of the pod; raises GpuMismatch or ImageMismatch. Programs run in `directory`, which must be writable."""
    product, capability, gpus = check_gpus(expected)
    return Identity(product, capability, gpus, check_version(version, directory))


def check_gpus(expected: ExpectedGpu) -> tuple[str, str, int]:
    """Product, compute capability and number of the container's GPUs; raises GpuMismatch."""
    gpus = _gpus()
    for product, capability in gpus:
        if (product, numbers(capability)) != (gpus[0][0], numbers(gpus[0][1])):
            raise _gpu_mismatch(
                f"The pod has different GPUs: {_named(*gpus[0])} and {_named(product, capability)}.",
                "Use nodes whose GPUs are equal: an engine runs on one kind of GPU only.",
            )
    product, capability = gpus[0]
    if expected.product is not None and product != expected.product:
        raise _gpu_mismatch(
            f"The pod has {_named(product, capability)}, but {expected.product} was requested.",
            "Check GPU feature discovery: the node's label nvidia.com/gpu.product does not match its GPU.",
        )
    asked = expected.compute_capability
    if asked is not None and numbers(capability) != numbers(asked):
        raise _gpu_mismatch(
            f"The pod's {product} has compute capability {capability}, but {asked} was requested.",
            "Correct spec.gpu, or use nodes with the GPU that it names.",
        )
    if len(gpus) < expected.count:
        raise _gpu_mismatch(
            f"The pod has {len(gpus)} GPU{'s' * (len(gpus) != 1)} and needs {expected.count}.",
            f"{_CHECK_NODE} NVIDIA_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES must not hide a GPU.",
        )
    return product, capability, len(gpus)


def check_version(expected: str | None, directory: Path) -> str:
    """TensorRT-LLM's `__version__`; raises ImageMismatch."""
    versions: list[str] = []

    def watch(line: str) -> bool:
        at = line.find(_MARK)
        if at >= 0:
            versions.append(line[at + len(_MARK) :].strip())
        return at >= 0

    # banners and warnings may precede the version, even on the same line
    program = f"import tensorrt_llm; print({_MARK!r} + tensorrt_llm.__version__)"
    ended = run_program([sys.executable, "-c", program], directory=directory, watch=watch)
    if ended.exit_code != 0 or not versions:
        raise failure_of("import tensorrt_llm", ended, Reason.IMAGE_MISMATCH)
    found, wanted = parse_version(versions[0]), parse_version(expected or versions[0])
    if expected is not None and (found is None or wanted is None or _release(found) != _release(wanted)):
        raise image_mismatch(
            f"The image has TensorRT-LLM {versions[0]}, but {expected} was requested.",
            "Set spec.imageVersion to the version of the image, or spec.image to an image of the requested version.",
        )
    return versions[0]


def require_program(name: str, version: str) -> None:
    """Raise ImageMismatch if the image lacks the program."""
    if shutil.which(name) is None:
        raise image_mismatch(
            f"The image's TensorRT-LLM {version} has no {name}; {HAVE_ENGINES}.",
            USE_ENGINES,
        )


def numbers(capability: str) -> tuple[int, ...]:
    """Compute capability as numbers: as text, 10.0 would sort before 9.0."""
    parts = capability.strip().split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def same_version(one: str, other: str) -> bool:
    """True if both are the same release: major, minor and patch."""
    left, right = parse_version(one), parse_version(other)
    return one == other if left is None or right is None else _release(left) == _release(right)


def image_mismatch(message: str, remedy: str) -> BuilderFailure:
    """Failure because the image is not the one that the request needs."""
    return BuilderFailure(ExitCode.NOT_SUPPORTED, Reason.IMAGE_MISMATCH, message, remedy)


def _gpu_mismatch(message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(ExitCode.NOT_SUPPORTED, Reason.GPU_MISMATCH, message, remedy)


def _release(version: Version) -> tuple[int, int, int]:
    return version.major, version.minor, version.patch


def _named(product: str, capability: str) -> str:
    return f"{product} (compute capability {capability})"


def _gpus() -> list[tuple[str, str]]:
    """Product and compute capability of every GPU."""
    try:
        ended = subprocess.run(
            _QUERY, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False, env=_environment()
        )
    except FileNotFoundError as error:
        raise _gpu_mismatch("The pod has no GPU: nvidia-smi is not in the container.", _CHECK_NODE) from error
    except subprocess.TimeoutExpired as error:
        raise BuilderFailure(
            ExitCode.TRANSIENT,
            Reason.GPU_MISMATCH,
            f"nvidia-smi did not answer within {_SECONDS} seconds.",
            "A GPU of the node hangs. Drain the node and reset the GPU. The Job is retried.",
        ) from error
    rows = [[cell.strip() for cell in line.split(",")] for line in ended.stdout.splitlines()]
    found = [(row[0].replace(" ", "-"), row[1]) for row in rows if len(row) == len(_COLUMNS) and numbers(row[1])]
    if ended.returncode != 0 or not found:
        output = next((line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()), "nothing")
        raise _gpu_mismatch(f"The pod has no GPU: nvidia-smi printed {output[:200]!r}.", _CHECK_NODE)
    return found


def _environment() -> dict[str, str]:
    """Environment in which programs print English."""
    return {**os.environ, "LC_ALL": "C"}
