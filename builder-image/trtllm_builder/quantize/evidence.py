"""What was found out about each candidate, kept in the request's work directory: a killed pod does not do it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trtllm_api.manifest import Probe
from trtllm_api.modelstatus import CandidatePlan, CandidateStatus, MixedProposal, Verdict
from trtllm_builder.gate import CanaryOutcome, GateDecision, ModelMeasures, change, to_measures
from trtllm_builder.quantize.findings import Explanation, Proposal
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
    """JSON files, named by the digest of what they are about."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str) -> Measured | None:
        """What an earlier pod measured."""
        value = self._read(name)
        if value is None:
            return None
        return Measured(
            measures=_measures(value["measures"]),
            bytes=value["bytes"],
            seconds=value["seconds"],
            free_text=value["free_text"],
            free_ids=tuple(value["free_ids"]),
            probe=Probe.model_validate(value["probe"]) if value["probe"] else None,
        )

    def save(self, name: str, measured: Measured) -> None:
        """Durable before anything is decided on it."""
        self._write(name, {**asdict(measured), "probe": measured.probe.to_wire() if measured.probe else None})

    def explanation(self, name: str) -> Explanation | None:
        """Why a candidate errs, as an earlier pod found out."""
        value = self._read(f"{name}-explanation")
        return None if value is None else Explanation(**value)

    def save_explanation(self, name: str, explanation: Explanation) -> None:
        """It costs a pass for every layer."""
        self._write(f"{name}-explanation", asdict(explanation))

    def proposal(self, name: str) -> Proposal | None:
        """What an earlier pod proposed."""
        value = self._read(f"{name}-proposal")
        if value is None:
            return None
        measures = value["measures"] and _measures(value["measures"])
        return Proposal(**{**value, "patterns": tuple(value["patterns"]), "measures": measures})

    def save_proposal(self, name: str, proposal: Proposal) -> None:
        """It costs a measurement for every halving."""
        self._write(f"{name}-proposal", asdict(proposal))

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return value

    def _write(self, name: str, value: dict[str, Any]) -> None:
        write_json(self._directory / f"{name}.json", value)


def _measures(value: dict[str, Any]) -> ModelMeasures:
    canaries = tuple(CanaryOutcome(**canary) for canary in value["canaries"])
    return ModelMeasures(**{**value, "canaries": canaries})


@dataclass(frozen=True)
class Tried:
    """A candidate with what became of it; `measured` is None when it could not be made."""

    plan: CandidatePlan
    decision: GateDecision
    measured: Measured | None
    kept: tuple[str, ...] = ()
    """Of the plan's excludeModules those that fallback Mixed has added."""
    explanation: Explanation | None = None
    proposal: Proposal | None = None
    unexplained: str = ""
    """Why there is no explanation or proposal, where one could be expected."""

    def status(self, reference: ModelMeasures) -> CandidateStatus:
        """As the resource's status has it."""
        measured = self.measured
        return CandidateStatus(
            method=self.plan.method,
            group_size=self.plan.group_size,
            exclude_modules=self.kept,
            measures=to_measures(measured.measures) if measured else None,
            perplexity_change=change(reference, measured.measures) if measured else None,
            bytes=measured.bytes if measured else None,
            verdict=self.decision.verdict,
            reason=self.decision.reason,
            message=self.decision.message,
            explanation=self.explained,
            proposal=self._proposed(),
        )

    def _proposed(self) -> MixedProposal | None:
        if self.proposal is None or self.proposal.measures is None:
            return None
        measures = to_measures(self.proposal.measures)
        if measures is None:
            return None
        patterns = (*self.kept, *self.proposal.patterns)
        return MixedProposal(exclude_modules=patterns, measures=measures, bytes=self.proposal.bytes)

    @property
    def explained(self) -> str:
        """Why it errs, and what becomes of it in a mix where none is proposed."""
        parts = (
            self.explanation.sentence() if self.explanation else "",
            self.proposal.note if self.proposal else "",
            self.unexplained,
        )
        return "; ".join(part for part in parts if part)

    @property
    def usable(self) -> bool:
        """The gate lets it ship."""
        return self.decision.verdict in {Verdict.PASSED, Verdict.WARNED}
