"""Which files make a model, and whether they are all there and whole; every kind of source is judged here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtllm_api.contract import FailureReason
from trtllm_builder.failure import bad_model
from trtllm_builder.safetensors_header import TensorHeader, read_header, refuse_lfs_pointer

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
_OTHER_WEIGHTS = ("*.bin", "*.pth", "*.pt", "*.gguf", "*.h5", "*.msgpack")

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py", "*.tiktoken", "LICENSE*", "NOTICE*")
"""What is downloaded of a repository: no second copy of the weights in another format."""

UNWANTED = ("original/*", "onnx/*", "openvino/*", "*/*.safetensors")
"""Directories with the same weights in other layouts."""


@dataclass(frozen=True)
class Checkpoint:
    """A directory that was found whole."""

    directory: Path
    config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    tensors: dict[str, TensorHeader]
    weight_bytes: int


def inspect(directory: Path, *, trust_remote_code: bool) -> Checkpoint:
    """Check every file that a model needs; raises SourceIncomplete, SourceCorrupt or CustomCodeNotTrusted."""
    config = _json(directory, "config.json", required=True)
    if not config.get("architectures") or not config.get("model_type"):
        raise bad_model(
            FailureReason.SOURCE_INCOMPLETE,
            "config.json names no architecture: `architectures` or `model_type` is missing.",
            "Use the directory that save_pretrained wrote, or copy these fields from the original model.",
        )
    tokenizer_config = _json(directory, "tokenizer_config.json", required=False)
    shards = _shards(directory)
    tensors: dict[str, TensorHeader] = {}
    for shard in shards:
        tensors.update(read_header(shard))
    _check_index(directory, tensors)
    if not any((directory / name).exists() for name in _TOKENIZERS):
        raise bad_model(
            FailureReason.SOURCE_INCOMPLETE,
            f"There is no tokenizer: none of {', '.join(_TOKENIZERS)} is beside config.json.",
            "Save it with AutoTokenizer.from_pretrained(...).save_pretrained(directory).",
        )
    for name in (*_TOKENIZERS, "chat_template.jinja"):
        if (directory / name).exists():
            refuse_lfs_pointer(directory / name)
    custom = sorted({key for part in (config, tokenizer_config) for key in part.get("auto_map") or {}})
    if custom and not trust_remote_code:
        raise bad_model(
            FailureReason.CUSTOM_CODE_NOT_TRUSTED,
            f"The model brings Python code of its own for {', '.join(custom)}, and spec.trustRemoteCode is false.",
            "Read that code; if you trust it, set spec.trustRemoteCode: true.",
        )
    return Checkpoint(directory, config, tokenizer_config, tensors, sum(shard.stat().st_size for shard in shards))


def model_files(directory: Path) -> list[Path]:
    """The files that make the model's identity: what WANTED matches, at the top level."""
    found = {path for pattern in WANTED for path in directory.glob(pattern) if path.is_file()}
    return sorted(found - {directory / "manifest.json"})


def _json(directory: Path, name: str, *, required: bool) -> dict[str, Any]:
    path = directory / name
    if not path.exists():
        if not required:
            return {}
        names = sorted(entry.name for entry in directory.iterdir())[:5]
        raise bad_model(
            FailureReason.SOURCE_INCOMPLETE,
            f"There is no {name}; the directory holds {', '.join(names) or 'nothing'}.",
            "Point the source at the directory that holds config.json, the weights and the tokenizer.",
        )
    refuse_lfs_pointer(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise bad_model(
            FailureReason.SOURCE_CORRUPT, f"{name} is not JSON: {error}.", "Fetch the file again, whole."
        ) from error
    if not isinstance(value, dict):
        raise bad_model(FailureReason.SOURCE_CORRUPT, f"{name} is not a JSON object.", "Fetch the file again, whole.")
    return value


def _shards(directory: Path) -> list[Path]:
    shards = sorted(directory.glob("*.safetensors"))
    if (directory / _INDEX).exists():
        index = _json(directory, _INDEX, required=True)
        named = sorted(set(index.get("weight_map", {}).values()))
        missing = [name for name in named if not (directory / name).exists()]
        if missing:
            raise bad_model(
                FailureReason.SOURCE_INCOMPLETE,
                f"{len(missing)} of {len(named)} shards are missing, the first is {missing[0]}.",
                "Fetch the missing files; then set the annotation trtllm.dev/retry.",
            )
        shards = [directory / name for name in named]
    if shards:
        return shards
    others = sorted({path.name for pattern in _OTHER_WEIGHTS for path in directory.glob(pattern)})
    found = f"; it has {', '.join(others[:3])}" if others else ""
    raise bad_model(
        FailureReason.SOURCE_INCOMPLETE,
        f"There are no safetensors weights{found}.",
        "Convert the model: AutoModelForCausalLM.from_pretrained(...).save_pretrained(directory) writes safetensors.",
    )


def _check_index(directory: Path, tensors: dict[str, TensorHeader]) -> None:
    if not (directory / _INDEX).exists():
        return
    named = _json(directory, _INDEX, required=True).get("weight_map", {})
    lost = sorted(set(named) - set(tensors))
    if lost:
        raise bad_model(
            FailureReason.SOURCE_CORRUPT,
            f"{len(lost)} tensors of {_INDEX} are in no shard, the first is {lost[0]}.",
            "The shards and their index are of different versions: fetch all of them again.",
        )
