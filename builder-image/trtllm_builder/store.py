"""The store: content-addressed directories on the claim, published by a rename and verified by every reader."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trtllm_api.contract import ExitCode
from trtllm_api.digest import digest_of, short
from trtllm_api.manifest import MANIFEST, ArtifactKind, Manifest, ManifestFile, Probe
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint_files import model_files
from trtllm_builder.failure import BuilderFailure, input_missing, shown
from trtllm_builder.files import claim_of, describe, files_below, require_inside, sync_directory
from trtllm_builder.progress import Progress
from trtllm_builder.verification import first_changed, remember

_DIRECTORIES = {
    ArtifactKind.SOURCE: "sources",
    ArtifactKind.QUANTIZED_CHECKPOINT: "artifacts",
    ArtifactKind.ENGINE: "engines",
}
_ABANDONED_SECONDS = 24 * 3600
_HEX = 32
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_MANIFEST = 64 * 2**20


@dataclass(frozen=True)
class Artifact:
    """A published directory."""

    directory: Path
    manifest: Manifest

    @property
    def bytes(self) -> int:
        """Total size of its files."""
        return sum(file.bytes for file in self.manifest.files)


class Draft:
    """A directory that is being filled; `probe` may be set before it is published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.probe: Probe | None = None
        self.files: tuple[ManifestFile, ...] | None = None
        """Set by a writer that has already hashed its files; otherwise the files in the directory are hashed."""


class Store:
    """Directories sources/, artifacts/, engines/, timing-caches/ and work/ inside `root`, which is one file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, digest: str, kind: ArtifactKind) -> Path:
        """Directory of the artifact, which may not exist."""
        return self.root / _DIRECTORIES[kind] / short(digest, _HEX)

    def manifest_directory(self, digest: str, kind: ArtifactKind) -> Path:
        """Directory of the manifest of files that are elsewhere; it may not exist."""
        directory = self.directory(digest, kind)
        return directory.with_name(f"{directory.name}-in-place")

    def relative(self, path: Path) -> str:
        """The path relative to the claim, as in status."""
        return str(path.relative_to(self.root))

    def lookup(self, digest: str, kind: ArtifactKind) -> Artifact | None:
        """Verified artifact of the digest; None if there is none. Raises ArtifactCorrupt."""
        directory = self.directory(digest, kind)
        if not (directory / MANIFEST).exists():
            return None
        artifact = read_artifact(directory)
        if artifact.manifest.digest != digest:
            raise _corrupt(
                f"The {MANIFEST} of {directory.name} belongs to the artifact {short(artifact.manifest.digest)}."
            )
        return artifact

    def manifests(self, kind: ArtifactKind) -> Iterator[Manifest]:
        """Manifests of all artifacts of a kind, newest first, without damaged ones. No other file is read."""
        manifests = list((self.root / _DIRECTORIES[kind]).glob(f"[!.]*/{MANIFEST}"))
        for path in sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True):
            with suppress(BuilderFailure):
                yield read_manifest(path.parent)

    def timing_cache(self, version: str, product: str) -> Path:
        """File of TensorRT's kernel timings, which are valid for one version and one GPU product."""
        return self.root / "timing-caches" / f"{_NOT_A_NAME.sub('-', f'{version}-{product}')}.cache"

    @contextmanager
    def publish(
        self, inputs: dict[str, Any], kind: ArtifactKind, files: tuple[ManifestFile, ...] | None = None
    ) -> Iterator[Draft]:
        """Yield a draft to fill. On success it is renamed to its digest, unless another writer was first.

        If `files` are elsewhere, only their manifest is published, in a directory beside the artifact's: a later writer
        may publish the files themselves under the same digest.
        """
        digest = digest_of(inputs)
        target = self.directory(digest, kind) if files is None else self.manifest_directory(digest, kind)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._clear_abandoned(target.parent)
        draft = Draft(target.parent / f".{target.name}.{socket.gethostname()}.{os.getpid()}")
        shutil.rmtree(draft.directory, ignore_errors=True)
        draft.directory.mkdir()
        try:
            yield draft
            described = files or draft.files or describe(draft.directory, list(files_below(draft.directory)))
            manifest = Manifest(kind=kind, digest=digest, inputs=inputs, files=described, probe=draft.probe)
            write_json(draft.directory / MANIFEST, manifest.to_wire())
            try:
                draft.directory.rename(target)
            except OSError:
                if not (target / MANIFEST).exists():
                    raise
            else:
                if files is None:
                    remember(target, described)
            sync_directory(target.parent)
        finally:
            shutil.rmtree(draft.directory, ignore_errors=True)

    def work(self, request_digest: str) -> Path:
        """Work directory of a request. Its content stays until `finish`, for later pods."""
        directory = self.root / "work" / short(request_digest, _HEX)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def finish(self, request_digest: str) -> None:
        """Remove the work directory. It is renamed first, so that later pods find either all of it or nothing."""
        directory = self.root / "work" / short(request_digest, _HEX)
        removed = directory.with_name(f".{directory.name}.{socket.gethostname()}.{os.getpid()}")
        shutil.rmtree(removed, ignore_errors=True)
        with suppress(FileNotFoundError):
            directory.rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
        self._clear_abandoned(directory.parent)

    def require_space(self, needed: int, what: str) -> None:
        """Raise StorageFull if the volume has less free space than needed."""
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise BuilderFailure(
                ExitCode.INPUT_MISSING,
                Reason.STORAGE_FULL,
                f"{what} needs {_readable(needed)}, but the store's volume has {_readable(free)} free.",
                "Use a larger claim in spec.storage, or remove artifacts that are no longer used.",
            )

    @staticmethod
    def _clear_abandoned(parent: Path) -> None:
        for path in parent.glob(".*"):
            if path.is_dir() and time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def read_manifest(directory: Path) -> Manifest:
    """Manifest of an artifact. No other file is read. Raises ArtifactCorrupt."""
    path = directory / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST:
            raise _corrupt(f"The {MANIFEST} of {directory} has {path.stat().st_size} bytes.")
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise input_missing(
            Reason.ARTIFACT_CORRUPT,
            f"{directory} has no {MANIFEST}: it is not an artifact, or its publication did not complete.",
            "Remove the directory, and set the annotation trtllm.dev/retry to publish it again.",
        ) from error
    except ValidationError as error:
        raise _corrupt(f"The {MANIFEST} of {directory} is not valid: {error.errors()[0]['msg']}.") from error
    if digest_of(manifest.inputs) != manifest.digest:
        raise _corrupt(f"The digest in the {MANIFEST} of {directory} is not the digest of its inputs.")
    for file in manifest.files:
        if file.path.startswith("/") or ".." in Path(file.path).parts:
            raise _corrupt(f"The {MANIFEST} of {directory} names a file outside that directory: {shown(file.path)}.")
    return manifest


def read_artifact(
    directory: Path,
    *,
    files_at: Path | None = None,
    needed: Callable[[str], bool] = lambda _: True,
    progress: Progress | None = None,
    step: str = "Verifying",
) -> Artifact:
    """Read an artifact and compare its files with their sha256, if they changed since this pod last did so.

    `files_at` is the directory of the files if they are not beside the manifest (a source that is read in place);
    `needed` selects the files that this pod uses. Raises ArtifactCorrupt with the first file that differs.
    """
    manifest, place = read_manifest(directory), files_at or directory
    for file in manifest.files:
        path = place / file.path
        size = path.stat().st_size if path.exists() else None
        if size != file.bytes:
            raise _changed(manifest, file, "is missing" if size is None else f"has {size} bytes")
        require_inside(path, claim_of(place))
    known = {file.path for file in manifest.files}
    present = files_below(directory) if files_at is None else model_files(place)
    added = next((path for path in present if str(path.relative_to(place)) not in known), None)
    if added is not None:
        raise _corrupt(
            f"{shown(added.name)} was added to the artifact {short(manifest.digest)} after it was published."
        )
    files = [file for file in manifest.files if needed(file.path)]
    with progress.step(step, sum(file.bytes for file in files), "bytes") if progress else nullcontext() as verifying:
        seen = verifying.advance if verifying else lambda _: None
        changed = first_changed(place, files, seen)
    if changed is not None:
        raise _changed(manifest, changed, "has changed content")
    return Artifact(directory, manifest)


def _changed(manifest: Manifest, file: ManifestFile, what: str) -> BuilderFailure:
    return _corrupt(
        f"{file.path} of the artifact {short(manifest.digest)} {what}; its manifest has {file.bytes} bytes."
    )


def _corrupt(message: str) -> BuilderFailure:
    return BuilderFailure(
        ExitCode.BAD_MODEL,
        Reason.ARTIFACT_CORRUPT,
        message,
        "Something other than the operator changed the volume. Remove the directory, and set the annotation "
        "trtllm.dev/retry.",
    )


def write_json(path: Path, value: Any) -> None:
    """Write the value durably and atomically."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def _readable(size: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size / 2**10:.0f} KiB"
