"""Features of each TensorRT-LLM version, as data: runtimes, GPUs and algorithms.

Facts about versions change here and nowhere else. Sources (NVIDIA/TensorRT-LLM): docs/source/features/quantization.md,
builder.py, tensorrt_llm/models/__init__.py (MODEL_MAP), docs/source/models/supported-models.md,
docs/source/legacy/tensorrt-backend-removal.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trtllm_api.quantization import Method

Capability = tuple[int, int]
"""Compute capability as (major, minor), so that 10.0 sorts after 9.0."""


class EngineRuntime(StrEnum):
    """TensorRT-LLM's two runtimes."""

    TENSORRT = "TensorRT"
    PYTORCH = "PyTorch"


class Algorithm(StrEnum):
    """Formats of weights, named as in hf_quant_config.json."""

    NONE = "NO_QUANT"
    W8A16 = "W8A16"
    W4A16 = "W4A16"
    W4A16_AWQ = "W4A16_AWQ"
    W4A8_AWQ = "W4A8_AWQ"
    W4A16_GPTQ = "W4A16_GPTQ"
    W8A16_GPTQ = "W8A16_GPTQ"
    SMOOTH_QUANT = "W8A8_SQ_PER_CHANNEL"
    FP8 = "FP8"
    FP8_ROWWISE = "FP8_PER_CHANNEL_PER_TOKEN"
    FP8_BLOCK = "FP8_BLOCK_SCALES"
    NVFP4 = "NVFP4"
    MXFP4 = "W4A16_MXFP4"
    MIXED = "MIXED_PRECISION"


def algorithm_named(name: str | None) -> Algorithm | None:
    """The algorithm of a checkpoint's `quant_algo`; None for none, and for one that no table here has."""
    return next((item for item in Algorithm if item == name), None)


class KvFormat(StrEnum):
    """Formats of the KV cache."""

    AUTO = "auto"
    """The model's own 16 bits."""
    FP8 = "FP8"
    INT8 = "INT8"
    NVFP4 = "NVFP4"


ALGORITHM_OF: Mapping[Method, Algorithm] = {
    Method.FP8: Algorithm.FP8,
    Method.FP8_PER_CHANNEL_PER_TOKEN: Algorithm.FP8_ROWWISE,
    Method.NVFP4: Algorithm.NVFP4,
    Method.INT8_SMOOTH_QUANT: Algorithm.SMOOTH_QUANT,
    Method.INT8_WEIGHT_ONLY: Algorithm.W8A16,
    Method.INT4_WEIGHT_ONLY: Algorithm.W4A16,
    Method.INT4_AWQ: Algorithm.W4A16_AWQ,
    Method.W4A8_AWQ: Algorithm.W4A8_AWQ,
    Method.AUTO: Algorithm.MIXED,
    Method.MIXED: Algorithm.MIXED,
    Method.NONE: Algorithm.NONE,
}
"""The algorithm that each method of a QuantizedModel produces."""

GROUPED = frozenset({Algorithm.W4A16_AWQ, Algorithm.W4A8_AWQ, Algorithm.W4A16_GPTQ, Algorithm.W8A16_GPTQ})
"""Algorithms whose scales cover groups of input columns."""

INT4 = frozenset({Algorithm.W4A16, Algorithm.W4A16_AWQ, Algorithm.W4A8_AWQ, Algorithm.W4A16_GPTQ})
INT8 = frozenset({Algorithm.W8A16, Algorithm.W8A16_GPTQ, Algorithm.SMOOTH_QUANT})
FP8_FMHA = frozenset({Algorithm.FP8, Algorithm.W4A8_AWQ, Algorithm.NVFP4})
"""Algorithms that allow FP8 context attention; with others it is silently switched off."""


@dataclass(frozen=True, order=True)
class Version:
    """A TensorRT-LLM version; a release candidate comes before its release."""

    major: int
    minor: int
    patch: int = 0
    candidate: int = 1 << 16
    """Number of the release candidate; larger than any for a release."""

    def __str__(self) -> str:
        """The version as image tags spell it."""
        return f"{self.major}.{self.minor}.{self.patch}" + ("" if self.candidate == 1 << 16 else f"rc{self.candidate}")


_VERSION = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?(?:\.?rc(\d+))?(?:\.(?:dev|post)\d+)?(?:[-_+][-_.+a-zA-Z0-9]*)?$")


def parse_version(text: str) -> Version | None:
    """The version of a tag such as `1.2.1`, `0.20.0rc3` or `1.0.0-ubuntu24`; None for `latest` or a digest."""
    match = _VERSION.match(text)
    if match is None:
        return None
    major, minor, patch, candidate = match.groups()
    return Version(int(major), int(minor), int(patch or 0), int(candidate) if candidate else 1 << 16)


@dataclass(frozen=True)
class ImageInfo:
    """A runtime image and the TensorRT-LLM version in it; None if it is not known."""

    reference: str
    version: Version | None
    said: bool = False
    """Whether spec.imageVersion names the version, whatever the image's name is."""

    @property
    def has_engine_backend(self) -> bool | None:
        """Whether the image has trtllm-build; None if the version is not known."""
        return None if self.version is None else self.version <= LAST_ENGINE_VERSION


_CALENDAR = 20
"""First major number that is a year: Triton's images have tags such as 24.07."""
LAST_ENGINE_VERSION = Version(1, 3, 0, 20)
"""Last version with the TensorRT backend: 1.3.0rc20."""
ENGINE_ENDS = (
    "TensorRT-LLM 1.2.x is the last release with runtime TensorRT: 1.3.0rc21 (July 2026) removed it. Runtime PyTorch "
    "stays."
)
"""Note in plans of runtime TensorRT."""


def image_info(reference: str, version: str | None = None) -> ImageInfo:
    """An image with its version: the given one, or else that of the tag, which a mirror may change."""
    if version is not None:
        return ImageInfo(reference, parse_version(version), said=True)
    name = reference.partition("@")[0]
    last = name.rsplit("/", 1)[-1]
    found = parse_version(last.partition(":")[2]) if ":" in last else None
    return ImageInfo(reference, None if found is not None and found.major >= _CALENDAR else found)


_HOPPER, _ADA, _AMPERE = (9, 0), (8, 9), ((8, 0), (8, 6))
_B200, _B300, _RTX50, _GB10 = (10, 0), (10, 3), (12, 0), (12, 1)
_FP8 = frozenset({_ADA, _HOPPER, _B200, _B300, _RTX50, _GB10})
_FP4 = frozenset({_B200, _B300, _RTX50, _GB10})
_W4A16 = frozenset({*_AMPERE, _ADA, _HOPPER, _B200, _B300})
_INTEGER = frozenset({*_AMPERE, _ADA, _HOPPER})
_NATIVE = frozenset({*_AMPERE, *_FP8})


@dataclass(frozen=True)
class VersionTable:
    """Features from one version on, until the next table."""

    since: Version
    gpus: frozenset[Capability]
    """Compute capabilities that its kernels are compiled for."""
    algorithms: Mapping[Algorithm, frozenset[Capability]]
    fp8_kv_cache: frozenset[Capability]
    engine_only: frozenset[Algorithm]
    """Algorithms that the PyTorch runtime does not have."""

    def accepts(self, algorithm: Algorithm, runtime: EngineRuntime) -> frozenset[Capability]:
        """Compute capabilities on which this runtime executes this algorithm."""
        if runtime is EngineRuntime.PYTORCH and algorithm in self.engine_only:
            return frozenset()
        if runtime is EngineRuntime.TENSORRT and algorithm in _PYTORCH_ONLY:
            return frozenset()
        return self.algorithms[algorithm]


_PYTORCH_ONLY = frozenset({Algorithm.MXFP4})

_ALGORITHMS: Mapping[Algorithm, frozenset[Capability]] = {
    Algorithm.NONE: _NATIVE,
    Algorithm.W8A16: _INTEGER,
    Algorithm.W4A16: _INTEGER,
    Algorithm.SMOOTH_QUANT: _INTEGER,
    Algorithm.W8A16_GPTQ: _INTEGER,
    Algorithm.W4A16_AWQ: _W4A16,
    Algorithm.W4A16_GPTQ: _W4A16,
    Algorithm.W4A8_AWQ: frozenset({_ADA, _HOPPER, _B200, _B300}),
    Algorithm.FP8: _FP8,
    Algorithm.FP8_ROWWISE: frozenset({_HOPPER}),
    Algorithm.FP8_BLOCK: frozenset({_HOPPER, _B200, _B300}),
    Algorithm.NVFP4: _FP4,
    Algorithm.MXFP4: frozenset({_HOPPER, *_FP4}),  # W4A16 by Triton on Hopper, W4A8 on Blackwell
    Algorithm.MIXED: _NATIVE,  # what its layers need is not known here
}
_ENGINE_ONLY = frozenset(
    {Algorithm.W8A16, Algorithm.W4A16, Algorithm.SMOOTH_QUANT, Algorithm.W8A16_GPTQ, Algorithm.W4A16_GPTQ}
)


def _table(since: Version, without: frozenset[Capability]) -> VersionTable:
    """The newest table without the GPUs that came later."""
    algorithms = {algorithm: gpus - without for algorithm, gpus in _ALGORITHMS.items()}
    return VersionTable(since, _NATIVE - without, algorithms, _FP8 - without, _ENGINE_ONLY)


TABLES: tuple[VersionTable, ...] = (
    _table(Version(0, 0), frozenset({_GB10, _B300})),
    _table(Version(1, 0, 0, 0), frozenset({_B300})),  # "Add support for sm121": release notes of 1.0
    _table(Version(1, 1, 0, 0), frozenset()),  # "B300/GB300: Added support": release notes of 1.1
)
"""All tables, the oldest first."""


def table_for(version: Version | None) -> VersionTable:
    """The table of a version; the newest if the version is not known."""
    if version is None:
        return TABLES[-1]
    return next((table for table in reversed(TABLES) if table.since <= version), TABLES[0])


def usable_algorithms(image: ImageInfo, runtime: EngineRuntime, capability: Capability) -> tuple[Algorithm, ...]:
    """Algorithms that a GPU executes with an image and runtime, in the order of Algorithm."""
    table = table_for(image.version)
    return tuple(item for item in Algorithm if capability in table.accepts(item, runtime))


KV_BYTES: Mapping[KvFormat, float] = {KvFormat.AUTO: 2, KvFormat.FP8: 1, KvFormat.INT8: 1, KvFormat.NVFP4: 4.5 / 8}
"""Bytes of one number in the KV cache; NVFP4 has one byte of scale per 16 numbers."""

BITS: Mapping[Algorithm, float] = {
    Algorithm.NONE: 16,
    Algorithm.W8A16: 8,
    Algorithm.W8A16_GPTQ: 8,
    Algorithm.SMOOTH_QUANT: 8,
    Algorithm.FP8: 8,
    Algorithm.FP8_ROWWISE: 8,
    Algorithm.FP8_BLOCK: 8,
    Algorithm.MIXED: 8,
    Algorithm.W4A16: 4,
    Algorithm.W4A16_AWQ: 4,
    Algorithm.W4A8_AWQ: 4,
    Algorithm.W4A16_GPTQ: 4,
    Algorithm.NVFP4: 4,
    Algorithm.MXFP4: 4,
}
"""Bits of one quantized weight, without its scales."""
