"""Turn ModelOpt's export into a directory that every reader understands; ladder.py calls it after the export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from trtllm_builder.checkpoint_files import model_files

_QUANTIZATION = "hf_quant_config.json"


def complete(source: Path, directory: Path) -> None:
    """Add the tokenizer, the chat template, the generation settings and what config.json lacks."""
    for path in model_files(source):
        weights = path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json")
        if not weights and path.name != "config.json" and not (directory / path.name).exists():
            shutil.copyfile(path, directory / path.name)
    original = json.loads((source / "config.json").read_text(encoding="utf-8"))
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    _restore_rope(config, original)
    _complete_quantization(config, directory)
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _restore_rope(config: dict[str, Any], original: dict[str, Any]) -> None:
    """transformers 5 writes rope_parameters, which transformers 4 (TensorRT-LLM 1.2) does not read: it would silently
    fall back to a base of 10000. Both read rope_theta and rope_scaling.
    """  # noqa: D205, D403 - one thought, and a library's name
    rope = config.get("rope_parameters") or original.get("rope_parameters") or {}
    if "rope_theta" not in rope and "rope_theta" not in original:
        return
    config["rope_theta"] = rope.get("rope_theta", original.get("rope_theta"))
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    if scaling.get("rope_type", "default") != "default":
        config["rope_scaling"] = scaling
    elif original.get("rope_scaling"):
        config["rope_scaling"] = original["rope_scaling"]


def _complete_quantization(config: dict[str, Any], directory: Path) -> None:
    """ModelOpt writes the group size to its own file only; a reader of config.json needs it, too."""
    quantization = config.get("quantization_config")
    file = directory / _QUANTIZATION
    if not isinstance(quantization, dict) or not file.exists():
        return
    for key, value in json.loads(file.read_text(encoding="utf-8"))["quantization"].items():
        if key in {"group_size", "has_zero_point", "pre_quant_scale", "kv_cache_quant_algo"} and value is not None:
            quantization.setdefault(key, value)
