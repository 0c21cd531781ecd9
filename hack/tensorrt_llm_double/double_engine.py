"""Engine of a rank on disk: tensors, and the GPU and version that it is bound to.

rankN.engine is a safetensors file. What NVIDIA's serialized plan says of itself is in its metadata. Nothing here needs
torch: there are many ranks, and few processors to import it on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from double_gpus import Gpu
from double_settings import tensorrt_version, version_text

CONFIG = "config.json"
_METADATA = "__metadata__"


def engine_name(rank: int) -> str:
    """Name of the rank's file."""
    return f"rank{rank}.engine"


def engine_bytes(checkpoint: Path, gpu: Gpu) -> bytes:
    """Content of the plan: the rank's tensors, bound to the GPU and version of the build."""
    header, data = split(checkpoint.read_bytes())
    bound = {"tensorrt": tensorrt_version(version_text()), "compute": gpu.compute, "product": gpu.name}
    return join({**header, _METADATA: bound}, data)


def read_engine(path: Path, gpu: Gpu) -> bytes:
    """Read the plan. Raises RuntimeError with TensorRT's message if this GPU or version cannot run it."""
    if not path.is_file():
        raise RuntimeError(f"Error opening engine file: {path}: {path.name} does not exist")
    content = path.read_bytes()
    try:
        header, data = split(content)
        bound = header[_METADATA]
        whole = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != _METADATA) == len(data)
    except (ValueError, KeyError) as error:
        raise _not_deserialized(f"Serialization assertion magicTagRead == kMAGIC_TAG failed. ({error!r})") from error
    if not whole:
        raise _not_deserialized("Serialization assertion stdArchiveSize == size failed.Archive is truncated")
    have = tensorrt_version(version_text())
    if bound["tensorrt"] != have:
        raise _not_deserialized(
            "The engine plan file is not compatible with this version of TensorRT, expecting library version "
            f"{have} got {bound['tensorrt']}, please rebuild."
        )
    if bound["compute"] != gpu.compute:
        raise _not_deserialized(
            "The engine plan file is generated on an incompatible device, expecting compute "
            f"{gpu.compute} got compute {bound['compute']}, please rebuild."
        )
    if bound["product"] != gpu.name:
        print(
            "[TensorRT-LLM][WARNING] Using an engine plan file across different models of devices is not recommended "
            "and is likely to affect performance or even cause errors.",
            flush=True,
        )
    return content


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file. Raises ValueError for another file."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("no header")  # noqa: TRY004 - one kind of failure
    return header, content[8 + size :]


def join(header: dict[str, Any], data: bytes) -> bytes:
    """Content of a safetensors file."""
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded + data


def read_config(directory: Path) -> dict[str, Any]:
    """Content of an engine's config.json. Raises RuntimeError if another version wrote it."""
    config: dict[str, Any] = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    for key in ("pretrained_config", "build_config"):
        if key not in config:
            raise RuntimeError(f"[json.exception.out_of_range.403] key '{key}' not found")
    return config


def is_engine(directory: Path) -> bool:
    """True if the directory has the config.json of an engine, even if ranks are missing."""
    path = directory / CONFIG
    return path.is_file() and "build_config" in json.loads(path.read_text(encoding="utf-8"))


def checkpoint_file(rank: int, mapping: dict[str, int]) -> str:
    """Name of the rank's file in a TensorRT-LLM checkpoint, which ranks of context parallelism share."""
    tensor, context = mapping["tp_size"], mapping.get("cp_size", 1)
    return f"rank{rank // (tensor * context) * tensor + rank % tensor}.safetensors"


def _not_deserialized(why: str) -> RuntimeError:
    print(f"[TensorRT-LLM][ERROR] IRuntime::deserializeCudaEngine: Error Code 1: {why}", flush=True)
    return RuntimeError("[TensorRT-LLM][ERROR] Assertion failed: Failed to deserialize cuda engine.")
