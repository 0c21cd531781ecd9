"""Copies the model's files, without its weights, into the engine's directory: trtllm-serve needs them."""

from __future__ import annotations

import shutil
from pathlib import Path

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import files_below

TOKENIZER = "tokenizer"
"""Name of the directory, inside the engine's directory."""
_EXCLUDED = frozenset({".safetensors", ".bin", ".pth", ".pt", ".gguf", ".h5", ".msgpack", ".onnx", ".html"})
_CONFIG, _HF_CONFIG = "config.json", "hf_config.json"
"""A TensorRT-LLM checkpoint has a config.json of its own; the model's is hf_config.json there."""


def copy_tokenizer(model: str | None, engine: Path) -> None:
    """Copy the files into the engine's directory, all or none. Raises BuilderFailure if there is no tokenizer."""
    if model is None:
        return
    source, partial = Path(model), engine / f".{TOKENIZER}"
    shutil.rmtree(partial, ignore_errors=True)
    for path in files_below(source):
        name = path.relative_to(source)
        if path.suffix in _EXCLUDED or path.name.endswith(".index.json"):
            continue
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, partial / name)
    if (partial / _HF_CONFIG).exists():
        (partial / _HF_CONFIG).replace(partial / _CONFIG)
    if not any(partial.glob("tokenizer*")):
        raise BuilderFailure(
            ExitCode.BAD_MODEL,
            Reason.SOURCE_INCOMPLETE,
            f"{source} has no tokenizer, which trtllm-serve needs to serve the engine.",
            "Add tokenizer.json and tokenizer_config.json to the model.",
        )
    shutil.rmtree(engine / TOKENIZER, ignore_errors=True)
    partial.rename(engine / TOKENIZER)
