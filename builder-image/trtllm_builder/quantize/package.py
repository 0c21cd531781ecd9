"""Completes ModelOpt's export, so that every runtime can read the directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trtllm_builder.checkpoint.formats import SCALES
from trtllm_builder.checkpoint.tensorrtllm import HF_CONFIG, is_tensorrtllm
from trtllm_builder.checkpoint_files import model_files

_QUANTIZATION = "hf_quant_config.json"
_TYPES = {"float16": torch.float16, "float32": torch.float32}


def complete(source: Path, directory: Path) -> None:
    """Add the tokenizer, the chat template, the generation settings and the missing fields of config.json.

    A TensorRT-LLM checkpoint has a config.json of its own; the source's is hf_config.json there.
    """
    for path in model_files(source):
        weights = path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json")
        if not weights and path.name != "config.json" and not (directory / path.name).exists():
            shutil.copyfile(path, directory / path.name)
    if is_tensorrtllm(directory):
        shutil.copyfile(source / "config.json", directory / HF_CONFIG)
        return
    original = json.loads((source / "config.json").read_text(encoding="utf-8"))
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    _restore_precision(config, stored_type(source), directory)
    _restore_rope(config, original)
    _complete_quantization(config, directory)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def stored_type(source: Path) -> torch.dtype:
    """Data type of the source's weights."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return _TYPES.get(config.get("dtype") or config.get("torch_dtype"), torch.bfloat16)


def _restore_precision(config: dict[str, Any], dtype: torch.dtype, directory: Path) -> None:
    """Store unquantized tensors in the source's precision: on a CPU ModelOpt exports them in float32."""
    config["dtype"] = str(dtype).removeprefix("torch.")
    config.pop("torch_dtype", None)
    if dtype is torch.float32:
        return
    saved = 0
    for shard in directory.glob("*.safetensors"):
        tensors = load_file(shard)
        wide = [name for name, tensor in tensors.items() if tensor.dtype is torch.float32 and not _is_scale(name)]
        if not wide:
            continue
        for name in wide:
            saved += tensors[name].numel() * 2
            tensors[name] = tensors[name].to(dtype)
        save_file(tensors, shard, {"format": "pt"})
    index = directory / "model.safetensors.index.json"
    if saved and index.exists():
        value = json.loads(index.read_text(encoding="utf-8"))
        value.setdefault("metadata", {})["total_size"] = value["metadata"].get("total_size", saved) - saved
        index.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _is_scale(name: str) -> bool:
    return name.rpartition(".")[2] in SCALES


def _restore_rope(config: dict[str, Any], original: dict[str, Any]) -> None:
    """Write rope_theta, rope_scaling and partial_rotary_factor, which transformers 4 and 5 both read.

    transformers 5 writes rope_parameters. transformers 4 (TensorRT-LLM 1.2) ignores it, and uses a base of 10000.
    """
    rope = config.get("rope_parameters") or original.get("rope_parameters") or {}
    if isinstance(config.get("text_config"), dict):
        _restore_rope(config["text_config"], original.get("text_config") or {})
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in rope or key in original:
            config[key] = rope.get(key, original.get(key))
    if isinstance(original.get("rope_local_base_freq"), int | float):
        config["rope_local_base_freq"] = original["rope_local_base_freq"]
    scaling = {key: value for key, value in rope.items() if key not in {"rope_theta", "partial_rotary_factor"}}
    if scaling.get("rope_type", "default") != "default":
        config["rope_scaling"] = scaling
    elif original.get("rope_scaling"):
        config["rope_scaling"] = original["rope_scaling"]


def _complete_quantization(config: dict[str, Any], directory: Path) -> None:
    """Copy the group size from ModelOpt's own file to config.json, where readers need it."""
    quantization = config.get("quantization_config")
    file = directory / _QUANTIZATION
    if not isinstance(quantization, dict) or not file.exists():
        return
    for key, value in json.loads(file.read_text(encoding="utf-8"))["quantization"].items():
        if key in {"group_size", "has_zero_point", "pre_quant_scale", "kv_cache_quant_algo"} and value is not None:
            quantization.setdefault(key, value)
