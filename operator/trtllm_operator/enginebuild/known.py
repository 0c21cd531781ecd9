"""Known: what is settled for the spec of an EngineBuild; made by the pipeline, kept by status."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.enginestatus import EngineArtifact, EnginePlan
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import SourceStatus
from trtllm_operator.enginebuild.checkpoint import Subject


@dataclass(frozen=True)
class Known:
    """The settled parts of a spec; None where a part is not settled."""

    source: SourceStatus | None = None
    """The fetched spec.source."""
    facts: ModelFacts | None = None
    """Facts of spec.source."""
    source_from: str | None = None
    """The resource that fetched it."""
    subject: Subject | None = None
    plan: EnginePlan | None = None
    engine: EngineArtifact | None = None
