"""The model's files without its weights, which go with an engine: trtllm-serve needs them. publish.py calls it."""

from __future__ import annotations

import shutil
from pathlib import Path

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import files_below

TOKENIZER = "tokenizer"
"""Directory in the engine's own."""
_LEFT_OUT = frozenset({".safetensors", ".bin", ".pth", ".pt", ".gguf", ".h5", ".msgpack", ".onnx", ".html"})
_CONFIG, _HF_CONFIG = "config.json", "hf_config.json"
"""Beside a TensorRT-LLM checkpoint, whose config.json is its own, the model's is hf_config.json."""


def copy_tokenizer(model: str | None, engine: Path) -> None:
    """Into the engine's directory, whole or not at all; raises if there is none."""
    if model is None:
        return
    source, partial = Path(model), engine / f".{TOKENIZER}"
    shutil.rmtree(partial, ignore_errors=True)
    for path in files_below(source):
        name = path.relative_to(source)
        if path.suffix in _LEFT_OUT or path.name.endswith(".index.json"):
            continue
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, partial / name)
    if (partial / _HF_CONFIG).exists():
        (partial / _HF_CONFIG).replace(partial / _CONFIG)
    if not any(partial.glob("tokenizer*")):
        raise BuilderFailure(
            ExitCode.BAD_MODEL,
            Reason.SOURCE_INCOMPLETE,
            f"{source} has no tokenizer, without which trtllm-serve cannot serve the engine.",
            "Add tokenizer.json and tokenizer_config.json to the model.",
        )
    shutil.rmtree(engine / TOKENIZER, ignore_errors=True)
    partial.rename(engine / TOKENIZER)
