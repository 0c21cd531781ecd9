"""manifest.json: what an artifact directory holds, so that readers can verify it before they trust it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from trtllm_api.base import ApiModel, Digest

MANIFEST = "manifest.json"


class ArtifactKind(StrEnum):
    """Kind of an artifact's files."""

    SOURCE = "Source"
    QUANTIZED_CHECKPOINT = "QuantizedCheckpoint"
    ENGINE = "Engine"


class ManifestFile(ApiModel):
    """One file, by its path relative to the artifact's directory."""

    path: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Probe(ApiModel):
    """A known prompt and the tokens that this artifact answered greedily when measured. A ready server repeats them."""

    prompt: str
    prompt_token_ids: tuple[int, ...]
    answer_token_ids: tuple[int, ...]
    answer: str


class Manifest(ApiModel):
    """manifest.json of an artifact directory. It is written last, after every file that it lists."""

    kind: ArtifactKind
    digest: Digest
    """sha256 over canonical JSON of `inputs`."""
    inputs: dict[str, Any]
    """Everything that changes the bytes."""
    files: tuple[ManifestFile, ...]
    probe: Probe | None = None
