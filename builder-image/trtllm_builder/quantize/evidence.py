"""Measurements of each candidate, stored in the request's work directory so that a later pod does not repeat them."""

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
    """Seconds by stage."""
    free_text: str
    free_ids: tuple[int, ...]
    probe: Probe | None = None


class Evidence:
    """JSON files, named by the digest of the candidate that they are about."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str) -> Measured | None:
        """Measurements of an earlier pod."""
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
        """Write the measurements, before any decision depends on them."""
        self._write(name, {**asdict(measured), "probe": measured.probe.to_wire() if measured.probe else None})

    def explanation(self, name: str) -> Explanation | None:
        """Explanation of an earlier pod."""
        value = self._read(f"{name}-explanation")
        return None if value is None else Explanation(**value)

    def save_explanation(self, name: str, explanation: Explanation) -> None:
        """Write the explanation, which takes a pass per layer."""
        self._write(f"{name}-explanation", asdict(explanation))

    def proposal(self, name: str) -> Proposal | None:
        """Proposal of an earlier pod."""
        value = self._read(f"{name}-proposal")
        if value is None:
            return None
        measures = value["measures"] and _measures(value["measures"])
        return Proposal(**{**value, "patterns": tuple(value["patterns"]), "measures": measures})

    def save_proposal(self, name: str, proposal: Proposal) -> None:
        """Write the proposal, which takes a measurement per step of the bisection."""
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
    """A candidate and its result; `measured` is None if it could not be made."""

    plan: CandidatePlan
    decision: GateDecision
    measured: Measured | None
    kept: tuple[str, ...] = ()
    """Patterns of the plan's excludeModules that fallback Mixed has added."""
    explanation: Explanation | None = None
    proposal: Proposal | None = None
    unexplained: str = ""
    """Reason why there is no explanation or proposal, if one could be expected."""

    def status(self, reference: ModelMeasures) -> CandidateStatus:
        """The candidate as the resource's status shows it."""
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
        """Explanation of the candidate's error and, if no mix is proposed, the reason."""
        parts = (
            self.explanation.sentence() if self.explanation else "",
            self.proposal.note if self.proposal else "",
            self.unexplained,
        )
        return "; ".join(part for part in parts if part)

    @property
    def usable(self) -> bool:
        """True if the gate accepts the candidate."""
        return self.decision.verdict in {Verdict.PASSED, Verdict.WARNED}
