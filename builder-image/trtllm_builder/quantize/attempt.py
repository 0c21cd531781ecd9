"""One candidate on the claim: its identity, its files while they exist, and their measurements.

Work that an earlier pod completed is not repeated.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trtllm_api.contract import ArtifactResult, QuantizeRequest
from trtllm_api.digest import digest_of, short
from trtllm_api.manifest import ArtifactKind
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.gate import decide
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.candidate import Bench, examine, is_made, make
from trtllm_builder.quantize.evidence import Evidence, Measured, Tried
from trtllm_builder.quantize.refusals import Refused
from trtllm_builder.store import Artifact, Store, read_manifest

_RECIPE = 1
"""Version of the quantization; a change that gives other bytes for the same inputs increments it."""
_SEARCH = 2
"""Version of Auto's search, which is incremented in the same way."""
_EXPORT_PERCENT = 110
"""Size of a candidate in percent of the source: it is never larger, apart from scales and metadata."""
_RANKS_PERCENT = 250
"""Size of a TensorRT-LLM checkpoint: its head is not tied, and weight-only layers are exported twice."""


@dataclass(frozen=True)
class Run:
    """Inputs and directories of one request."""

    request: QuantizeRequest
    digest: str
    title: str
    store: Store
    work: Path
    bench: Bench
    evidence: Evidence
    progress: Progress
    spare: list[Path] = field(default_factory=list)
    """Directories that are kept for later, and removed if a candidate needs the space."""


@dataclass(frozen=True)
class Files:
    """Files of a candidate: made when they are needed, already published, or removed."""

    run: Run
    plan: CandidatePlan

    @cached_property
    def inputs(self) -> dict[str, object]:
        """Everything that changes the artifact's bytes. The gate does not: it only accepts or refuses them."""
        calibration = self.run.bench.calibration().identity if modelopt_adapter.needs_calibration(self.plan) else None
        checkpoint = self.run.request.checkpoint
        # artifacts of the Hugging Face format keep the digests that they had before other formats existed
        other = {} if checkpoint.format is CheckpointFormat.HUGGING_FACE else {"checkpoint": checkpoint.to_wire()}
        if self.plan.method is Method.AUTO:
            other["search"] = {"version": _SEARCH}
        return {
            "recipe": _RECIPE,
            "source": self.run.request.source_digest,
            "candidate": self.plan.to_wire(),
            "calibration": calibration and {**calibration, "batchSize": self.run.request.calibration.batch_size},
            "device": str(self.run.request.device),
            "tools": modelopt_adapter.versions(),
            **other,
        }

    @property
    def name(self) -> str:
        """Name of its evidence and of its directory."""
        return short(digest_of(self.inputs), 16)

    @property
    def directory(self) -> Path:
        """Directory in which it is made."""
        return self.run.work / self.name

    @property
    def published(self) -> Path | None:
        """Directory of the artifact, if it was published before."""
        found = self.run.store.lookup(digest_of(self.inputs), ArtifactKind.QUANTIZED_CHECKPOINT)
        return None if found is None else found.directory

    def make(self, size: int) -> dict[str, float]:
        """Make the files, and return the seconds by stage; `size` is the source's."""
        if self.published is not None or is_made(self.directory):
            return {}
        ranks = self.run.request.checkpoint.format is CheckpointFormat.TENSORRT_LLM
        percent = _RANKS_PERCENT if ranks else _EXPORT_PERCENT
        self._make_room(size * percent // 100)
        return make(self.run.bench, self.plan, self.directory)

    def _make_room(self, needed: int) -> None:
        what = f"A {self.plan.method} candidate"
        try:
            self.run.store.require_space(needed, what)
        except BuilderFailure:
            if not self.run.spare:
                raise
            while self.run.spare:
                shutil.rmtree(self.run.spare.pop(), ignore_errors=True)
            self.run.store.require_space(needed, what)

    def refused(self, attempt: Tried, source: Measured) -> Refused:
        """The refused candidate, for its explanation."""

        def whole() -> Path:
            self.make(source.bytes)
            return self.published or self.directory

        return Refused(self.run.bench, self.run.evidence, source, self.name, attempt, whole)

    def remove(self) -> None:
        """Remove the unpublished files."""
        shutil.rmtree(self.directory, ignore_errors=True)


def measured_of(files: Files, source: Measured) -> Measured:
    """Measurements of the exported files. A candidate that is known to be refused needs no files."""
    run = files.run
    known = run.evidence.load(files.name)
    if known is not None:
        refused = not Tried(files.plan, decide(source.measures, known.measures, run.request.gate), known).usable
        if refused or files.published is not None or files.directory.exists():
            return known
    seconds = files.make(source.bytes)
    measured = examine(run.bench, source, files.published or files.directory, seconds)
    run.evidence.save(files.name, measured)
    return measured


def publish(tried: Tried, files: Files) -> ArtifactResult:
    """Publish the files under the digest of everything that changes their bytes."""
    if tried.measured is None:
        raise ValueError("only what was measured is published")
    run, digest = files.run, digest_of(files.inputs)
    kind = ArtifactKind.QUANTIZED_CHECKPOINT
    reused = files.published is not None
    if not reused:
        moved = [path for path in files.directory.iterdir() if not path.name.startswith(".")]
        with run.progress.step("Publishing"), run.store.publish(files.inputs, kind) as draft:
            draft.probe = tried.measured.probe
            for path in moved:
                path.rename(draft.directory / path.name)
    target = run.store.directory(digest, kind)
    return ArtifactResult(
        digest=digest,
        path=run.store.relative(target),
        bytes=Artifact(target, read_manifest(target)).bytes,
        method=tried.plan.method,
        group_size=tried.plan.group_size,
        report="",
        reused=reused,
    )
