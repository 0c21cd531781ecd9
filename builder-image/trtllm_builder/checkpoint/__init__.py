"""Loads an artifact. The quality gate and the server use the same code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtllm_api.manifest import Manifest
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint.model import load_model, load_tokenizer
from trtllm_builder.failure import bad_model
from trtllm_builder.store import read_artifact

__all__ = ["Loaded", "load_for_inference", "load_model", "load_tokenizer"]


@dataclass(frozen=True)
class Loaded:
    """A loaded model with its tokenizer and manifest."""

    model: Any
    """PreTrainedModel of transformers in eval mode."""
    tokenizer: Any
    """PreTrainedTokenizerBase of transformers."""
    manifest: Manifest


def load_for_inference(directory: Path, device: str) -> Loaded:
    """Verify the artifact, then load it. Raises BuilderFailure if it must not be served."""
    artifact = read_artifact(directory)
    if not (directory / "config.json").exists():
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"{directory.name} has a manifest but no config.json.",
            "Remove the directory, and set the annotation trtllm.dev/retry on the QuantizedModel to publish it again.",
        )
    return Loaded(load_model(directory, device), load_tokenizer(directory), artifact.manifest)
