"""Which files make a model, and whether they are all there and whole; every kind of source is judged here."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from trtllm_api.reasons import Reason
from trtllm_builder.engine.checkpoint import Unusable, mapping_of
from trtllm_builder.failure import bad_model, shown
from trtllm_builder.files import claim_of, require_inside
from trtllm_builder.foreign_json import MAX_BYTES, read_object
from trtllm_builder.safetensors_header import TensorHeader, read_header, refuse_lfs_pointer
from trtllm_planner.model_config.custom_code import has_class, own_tokenizer

QUANTIZATION_FILES = ("hf_quant_config.json", "quant_cfg.json", "quantize_config.json", "quant_config.json")
"""ModelOpt's, and those of AutoGPTQ and AutoAWQ before transformers knew them."""
_INDEX = "model.safetensors.index.json"
_MAX_INDEX = 256 * 2**20
"""Bytes of the index, which names every tensor; the largest known has 25 MB."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
_OTHER_WEIGHTS = ("*.bin", "*.pth", "*.pt", "*.gguf", "*.h5", "*.msgpack")

_WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py", "*.tiktoken", "LICENSE*", "NOTICE*")
_EXPORT_AGAIN = "Export the checkpoint again, with convert_checkpoint.py or ModelOpt."
_UNWANTED = ("consolidated*", "manifest.json")
"""The same weights in another layout, and a name that the store needs for itself."""


@dataclass(frozen=True)
class Checkpoint:
    """A directory that was found whole."""

    directory: Path
    config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    tensors: dict[str, TensorHeader]
    weight_bytes: int
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Other files that say how it was quantized, by name."""

    @property
    def is_ranks(self) -> bool:
        """A TensorRT-LLM checkpoint: split into ranks, with names of its own."""
        return _is_ranks(self.config)


def inspect(directory: Path, *, trust_remote_code: bool, claim: Path | None = None) -> Checkpoint:
    """Check every file that a model needs; raises SourceIncomplete, SourceCorrupt or CustomCodeNotTrusted.

    Symbolic links may lead to other places of the claim; without one, of the directory.
    """
    model_files(directory, claim)
    config = _json(directory, "config.json", required=True)
    if _is_ranks(config):
        return _inspect_ranks(directory, config)
    _check_names(config)
    tokenizer_config = _json(directory, "tokenizer_config.json", required=False)
    shards = _shards(directory)
    tensors: dict[str, TensorHeader] = {}
    for shard in shards:
        tensors.update(read_header(shard))
    _check_index(directory, tensors)
    if not tensors:
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shards[0].name} holds no tensors.",
            "Save the model again with save_pretrained, and fetch it whole.",
        )
    if not any((directory / name).exists() for name in _TOKENIZERS):
        raise bad_model(
            Reason.SOURCE_INCOMPLETE,
            f"There is no tokenizer: none of {', '.join(_TOKENIZERS)} is beside config.json.",
            "Save it with AutoTokenizer.from_pretrained(...).save_pretrained(directory).",
        )
    for name in (*_TOKENIZERS, "chat_template.jinja"):
        if (directory / name).exists():
            refuse_lfs_pointer(directory / name)
    custom = _custom_classes(directory, config)
    if custom and not trust_remote_code:
        raise bad_model(
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            f"The model has Python code of its own for {shown(', '.join(custom))}, and spec.trustRemoteCode is false.",
            "Read that code; if you trust it, set spec.trustRemoteCode: true.",
        )
    return Checkpoint(
        directory,
        config,
        tokenizer_config,
        tensors,
        sum(shard.stat().st_size for shard in shards),
        {name: _json(directory, name, required=False) for name in QUANTIZATION_FILES},
    )


def _check_names(config: dict[str, Any]) -> None:
    names, kind = config.get("architectures"), config.get("model_type")
    if not isinstance(names, list) or not names or not kind:
        raise bad_model(
            Reason.SOURCE_INCOMPLETE,
            "config.json names no architecture: `architectures` or `model_type` is missing.",
            "Use the directory that save_pretrained wrote, or copy these fields from the original model.",
        )
    wrong = [name for name in names if not isinstance(name, str) or not name.isidentifier()]
    if wrong or not isinstance(kind, str) or not kind.isprintable():
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(str(wrong[0] if wrong else kind))} in config.json is not the name of an architecture.",
            "Correct `architectures` and `model_type`: copy them from the original model.",
        )


def _custom_classes(directory: Path, config: dict[str, Any]) -> list[str]:
    """Classes that the model's own Python code defines, as any of its configuration files names them.

    Where transformers has a class for the model type or the tokenizer, it takes that one.
    """
    found: set[str] = set()
    for path in _listed(directory):
        if path.suffix == ".json" and "config" in path.name:
            content = _json(directory, path.name, required=False)
            known = path.name == "config.json" and has_class(str(config["model_type"]))
            if known or (path.name == "tokenizer_config.json" and not own_tokenizer(content)):
                content = {key: value for key, value in content.items() if key != "auto_map"}
            held: list[Any] = [content]
            while held:
                value = held.pop()
                if isinstance(value, dict):
                    own = value.get("auto_map")
                    found |= set(map(str, own)) if isinstance(own, dict | list) else {str(own)} if own else set()
                held += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sorted(found)


def _is_ranks(config: dict[str, Any]) -> bool:
    return isinstance(config.get("architecture"), str) and isinstance(config.get("mapping"), dict)


def _inspect_ranks(directory: Path, config: dict[str, Any]) -> Checkpoint:
    """A TensorRT-LLM checkpoint needs no tokenizer: trtllm-build does not read one."""
    try:
        mapping = mapping_of(config)
    except Unusable as fault:
        raise bad_model(
            Reason.SOURCE_CORRUPT, f"The TensorRT-LLM checkpoint cannot be read: {fault}.", _EXPORT_AGAIN
        ) from fault
    shards = [directory / f"rank{rank}.safetensors" for rank in range(mapping.files)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise bad_model(
            Reason.SOURCE_INCOMPLETE,
            f"{len(missing)} of {len(shards)} rank files are missing ({mapping}), the first is {missing[0]}.",
            "Fetch the missing files; then set the annotation trtllm.dev/retry.",
        )
    tensors = {f"{shard.stem}.{name}": tensor for shard in shards for name, tensor in read_header(shard).items()}
    if not tensors:
        raise bad_model(Reason.SOURCE_CORRUPT, f"{shards[0].name} holds no tensors.", _EXPORT_AGAIN)
    tokenizer_config = _json(directory, "tokenizer_config.json", required=False)
    return Checkpoint(directory, config, tokenizer_config, tensors, sum(shard.stat().st_size for shard in shards))


def is_wanted(name: str) -> bool:
    """Whether a model needs this file: at the top level, and no second copy of the weights in another layout."""
    return (
        "/" not in name
        and not name.startswith(".")
        and any(fnmatch(name, pattern) for pattern in _WANTED)
        and not any(fnmatch(name, pattern) for pattern in _UNWANTED)
    )


def model_files(directory: Path, claim: Path | None = None) -> list[Path]:
    """Files that make the model's identity; raises SourceCorrupt for links out of the claim and for devices."""
    found = _listed(directory)
    for path in found:
        require_inside(path, claim or claim_of(directory))
    return found


def _listed(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if is_wanted(path.name) and not path.is_dir())


def _json(directory: Path, name: str, *, required: bool) -> dict[str, Any]:
    path = directory / name
    if not path.exists():
        if not required:
            return {}
        names = sorted(entry.name for entry in directory.iterdir())[:5]
        raise bad_model(
            Reason.SOURCE_INCOMPLETE,
            f"There is no {name}; the directory holds {', '.join(names) or 'nothing'}.",
            "Point the source at the directory that holds config.json, the weights and the tokenizer.",
        )
    refuse_lfs_pointer(path)
    try:
        return read_object(path, _MAX_INDEX if name == _INDEX else MAX_BYTES)
    except ValueError as error:
        raise bad_model(
            Reason.SOURCE_CORRUPT, f"{name} cannot be used: {error}.", "Fetch the file again, whole."
        ) from error


def _shards(directory: Path) -> list[Path]:
    shards = [path for path in _listed(directory) if path.suffix == ".safetensors"]
    if (directory / _INDEX).exists():
        named = sorted(set(_weight_map(directory).values()))
        missing = [name for name in named if not _is_shard(name) or not (directory / name).is_file()]
        if missing:
            raise bad_model(
                Reason.SOURCE_INCOMPLETE,
                f"{len(missing)} of {len(named)} shards are missing beside {_INDEX}, the first is {shown(missing[0])}.",
                "Fetch the missing files; then set the annotation trtllm.dev/retry.",
            )
        shards = [directory / name for name in named]
    if shards:
        return shards
    others = sorted({path.name for pattern in _OTHER_WEIGHTS for path in directory.glob(pattern)})
    found = f"; it has {', '.join(others[:3])}" if others else ""
    raise bad_model(
        Reason.SOURCE_INCOMPLETE,
        f"There are no safetensors weights{found}.",
        "Convert the model: AutoModelForCausalLM.from_pretrained(...).save_pretrained(directory) writes safetensors.",
    )


def _is_shard(name: str) -> bool:
    """Whether the name of a shard is one whose file becomes part of the model."""
    return is_wanted(name) and name.endswith(".safetensors")


def _weight_map(directory: Path) -> dict[str, str]:
    named = _json(directory, _INDEX, required=True).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(shard, str) for shard in named.values()):
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{_INDEX} has no `weight_map` of tensors to files.",
            "Fetch the file again, whole.",
        )
    return named


def _check_index(directory: Path, tensors: dict[str, TensorHeader]) -> None:
    if not (directory / _INDEX).exists():
        return
    lost = sorted(set(_weight_map(directory)) - set(tensors))
    if lost:
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{len(lost)} tensors of {_INDEX} are in no shard, the first is {shown(lost[0])}.",
            "The shards and their index are of different versions: fetch all of them again.",
        )
