"""What was measured of each candidate, kept in the request's work directory: a killed pod does not measure it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trtllm_api.manifest import Probe
from trtllm_api.quantizedmodel import CandidatePlan, CandidateStatus, Verdict
from trtllm_builder.gate import CanaryOutcome, GateDecision, ModelMeasures, change, to_measures
from trtllm_builder.store import write_json


@dataclass(frozen=True)
class Measured:
    """One model's measurements, size, times and answer to the free prompt."""

    measures: ModelMeasures
    bytes: int
    seconds: dict[str, float]
    """By stage."""
    free_text: str
    free_ids: tuple[int, ...]
    probe: Probe | None = None


class Evidence:
    """A JSON file per measured model, named by its digest."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str) -> Measured | None:
        """What an earlier pod measured."""
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
        canaries = tuple(CanaryOutcome(**canary) for canary in value["measures"].pop("canaries"))
        return Measured(
            measures=ModelMeasures(**value["measures"], canaries=canaries),
            bytes=value["bytes"],
            seconds=value["seconds"],
            free_text=value["free_text"],
            free_ids=tuple(value["free_ids"]),
            probe=Probe.model_validate(value["probe"]) if value["probe"] else None,
        )

    def save(self, name: str, measured: Measured) -> None:
        """Durable before anything is decided on it."""
        value: dict[str, Any] = {**asdict(measured), "probe": measured.probe.to_wire() if measured.probe else None}
        write_json(self._directory / f"{name}.json", value)


@dataclass(frozen=True)
class Tried:
    """A candidate with what became of it; `measured` is None when it could not be made."""

    plan: CandidatePlan
    decision: GateDecision
    measured: Measured | None

    def status(self, reference: ModelMeasures) -> CandidateStatus:
        """As the resource's status has it."""
        measured = self.measured
        return CandidateStatus(
            method=self.plan.method,
            group_size=self.plan.group_size,
            measures=to_measures(measured.measures) if measured else None,
            perplexity_change=change(reference, measured.measures) if measured else None,
            bytes=measured.bytes if measured else None,
            verdict=self.decision.verdict,
            reason=self.decision.reason,
            message=self.decision.message,
        )

    @property
    def usable(self) -> bool:
        """The gate lets it ship."""
        return self.decision.verdict in {Verdict.PASSED, Verdict.WARNED}
