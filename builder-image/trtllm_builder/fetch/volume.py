"""Finds a source on a claim. It is read in place; only its manifest is written to the store."""

from __future__ import annotations

from pathlib import Path

from trtllm_api.reasons import Reason
from trtllm_api.source import VolumeSource
from trtllm_builder.failure import input_missing


def locate(mount: Path, source: VolumeSource) -> Path:
    """The model's directory inside the mounted claim. Raises SourceNotFound with the existing names."""
    directory = mount / source.path
    if directory.is_dir():
        if not directory.resolve().is_relative_to(mount.resolve()):
            raise input_missing(
                Reason.SOURCE_NOT_FOUND,
                f"{source.path} of the claim {source.claim_name} is a symbolic link out of the claim.",
                "Set spec.source.persistentVolumeClaim.path to a directory of the claim.",
            )
        return directory
    existing = next(path for path in (directory.parent, *directory.parents) if path.is_dir())
    names = sorted(entry.name for entry in existing.iterdir() if not entry.name.startswith("."))[:8]
    place = "its root" if existing == mount else str(existing.relative_to(mount))
    raise input_missing(
        Reason.SOURCE_NOT_FOUND,
        f"The claim {source.claim_name} has no directory {source.path}. Found in {place}: "
        f"{', '.join(names) or 'nothing'}.",
        "Correct spec.source.persistentVolumeClaim.path, or copy the model to that directory.",
    )
