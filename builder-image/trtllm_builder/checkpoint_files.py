"""Checks that all files of a model exist and are complete, for every kind of source."""

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
"""Files of ModelOpt, and of AutoGPTQ and AutoAWQ before transformers supported them."""
_INDEX = "model.safetensors.index.json"
_MAX_INDEX = 256 * 2**20
"""Most bytes of the index, which names every tensor. The largest known index has 25 MB."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
_OTHER_WEIGHTS = ("*.bin", "*.pth", "*.pt", "*.gguf", "*.h5", "*.msgpack")

_WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py", "*.tiktoken", "LICENSE*", "NOTICE*")
_EXPORT_AGAIN = "Export the checkpoint again, with convert_checkpoint.py or ModelOpt."
_UNWANTED = ("consolidated*", "manifest.json")
"""Files with the same weights in another layout, and a name that the store uses."""


@dataclass(frozen=True)
class Checkpoint:
    """A complete model in a directory."""

    directory: Path
    config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    tensors: dict[str, TensorHeader]
    weight_bytes: int
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Content of other files about the quantization, by name."""

    @property
    def is_ranks(self) -> bool:
        """True for a TensorRT-LLM checkpoint, which is divided into ranks and has other names."""
        return _is_ranks(self.config)


def inspect(directory: Path, *, trust_remote_code: bool, claim: Path | None = None) -> Checkpoint:
    """Check every file that a model needs; raises SourceIncomplete, SourceCorrupt or CustomCodeNotTrusted.

    Symbolic links may point to any file of the claim or, without a claim, of the directory.
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
            f"{shards[0].name} contains no tensors.",
            "Save the model again with save_pretrained, and upload all files.",
        )
    if not any((directory / name).exists() for name in _TOKENIZERS):
        raise bad_model(
            Reason.SOURCE_INCOMPLETE,
            f"The model has no tokenizer: none of {', '.join(_TOKENIZERS)} exists.",
            "Save a tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(directory).",
        )
    for name in (*_TOKENIZERS, "chat_template.jinja"):
        if (directory / name).exists():
            refuse_lfs_pointer(directory / name)
    custom = _custom_classes(directory, config)
    if custom and not trust_remote_code:
        raise bad_model(
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            f"The model contains Python code for {shown(', '.join(custom))}, but spec.trustRemoteCode is false.",
            "Review that code. If you trust it, set spec.trustRemoteCode to true.",
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
            "config.json has no architecture: `architectures` or `model_type` is missing.",
            "Use a directory that save_pretrained wrote, or copy these fields from the original model.",
        )
    wrong = [name for name in names if not isinstance(name, str) or not name.isidentifier()]
    if wrong or not isinstance(kind, str) or not kind.isprintable():
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{shown(str(wrong[0] if wrong else kind))} in config.json is not a valid name of an architecture.",
            "Correct `architectures` and `model_type`: copy them from the original model.",
        )


def _custom_classes(directory: Path, config: dict[str, Any]) -> list[str]:
    """Classes of the model's own Python code, as its configuration files name them.

    If transformers has a class for the model type or the tokenizer, it uses that one.
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
    """Check a TensorRT-LLM checkpoint. It needs no tokenizer, because trtllm-build does not read one."""
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
            f"{len(missing)} of {len(shards)} rank files are missing ({mapping}), the first one is {missing[0]}.",
            "Fetch the missing files; then set the annotation trtllm.dev/retry.",
        )
    tensors = {f"{shard.stem}.{name}": tensor for shard in shards for name, tensor in read_header(shard).items()}
    if not tensors:
        raise bad_model(Reason.SOURCE_CORRUPT, f"{shards[0].name} contains no tensors.", _EXPORT_AGAIN)
    tokenizer_config = _json(directory, "tokenizer_config.json", required=False)
    return Checkpoint(directory, config, tokenizer_config, tensors, sum(shard.stat().st_size for shard in shards))


def is_wanted(name: str) -> bool:
    """True if the model needs this file: it is at the top level, and not a copy of the weights in another layout."""
    return (
        "/" not in name
        and not name.startswith(".")
        and any(fnmatch(name, pattern) for pattern in _WANTED)
        and not any(fnmatch(name, pattern) for pattern in _UNWANTED)
    )


def model_files(directory: Path, claim: Path | None = None) -> list[Path]:
    """Files of the model. Raises SourceCorrupt for links out of the claim and for devices."""
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
            f"The source has no {name}. It contains {', '.join(names) or 'nothing'}.",
            "Set spec.source to the directory with config.json, the weights and the tokenizer.",
        )
    refuse_lfs_pointer(path)
    try:
        return read_object(path, _MAX_INDEX if name == _INDEX else MAX_BYTES)
    except ValueError as error:
        raise bad_model(
            Reason.SOURCE_CORRUPT, f"{name} cannot be used: {error}.", "Replace it with a complete copy of the file."
        ) from error


def _shards(directory: Path) -> list[Path]:
    shards = [path for path in _listed(directory) if path.suffix == ".safetensors"]
    if (directory / _INDEX).exists():
        named = sorted(set(_weight_map(directory).values()))
        missing = [name for name in named if not _is_shard(name) or not (directory / name).is_file()]
        if missing:
            raise bad_model(
                Reason.SOURCE_INCOMPLETE,
                f"{len(missing)} of {len(named)} shards in {_INDEX} are missing, the first one is {shown(missing[0])}.",
                "Fetch the missing files; then set the annotation trtllm.dev/retry.",
            )
        shards = [directory / name for name in named]
    if shards:
        return shards
    others = sorted({path.name for pattern in _OTHER_WEIGHTS for path in directory.glob(pattern)})
    found = f", but {', '.join(others[:3])}" if others else ""
    raise bad_model(
        Reason.SOURCE_INCOMPLETE,
        f"The source has no safetensors weights{found}.",
        "Convert the model: AutoModelForCausalLM.from_pretrained(...).save_pretrained(directory) writes safetensors.",
    )


def _is_shard(name: str) -> bool:
    """True if a file of this name is used as a shard."""
    return is_wanted(name) and name.endswith(".safetensors")


def _weight_map(directory: Path) -> dict[str, str]:
    named = _json(directory, _INDEX, required=True).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(shard, str) for shard in named.values()):
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{_INDEX} has no valid `weight_map` from tensors to files.",
            "Replace it with a complete copy of the file.",
        )
    return named


def _check_index(directory: Path, tensors: dict[str, TensorHeader]) -> None:
    if not (directory / _INDEX).exists():
        return
    lost = sorted(set(_weight_map(directory)) - set(tensors))
    if lost:
        raise bad_model(
            Reason.SOURCE_CORRUPT,
            f"{len(lost)} tensors in {_INDEX} are in no shard, the first one is {shown(lost[0])}.",
            "Replace the shards and the index with files of one version.",
        )
