"""Content of a quality report, before it is written as JSON or as a page.

Nothing here is measured or decided: the numbers come from the evaluation, the verdicts from the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import Verdict
from trtllm_builder.gate import ModelMeasures


@dataclass(frozen=True)
class FreeAnswer:
    """A prompt without an expected answer, and the answers of the source and a candidate."""

    prompt: str
    source: str
    candidate: str


@dataclass(frozen=True)
class Mix:
    """A mixed precision of a refused candidate, measured with its modules restored in place."""

    exclude_modules: tuple[str, ...]
    measures: ModelMeasures
    size: int
    """Bytes of its files."""


@dataclass(frozen=True)
class ReportCandidate:
    """One candidate."""

    label: str
    """Method, such as INT4AWQ."""
    group_size: int | None
    options: str
    """Further options as one text, such as "kvCache FP8, lm_head excluded"; empty if there are none."""
    measures: ModelMeasures | None
    """Measurements; None if the candidate failed before."""
    size: int | None
    """Bytes of the exported files."""
    seconds: Mapping[str, float]
    """Duration of each stage in seconds."""
    verdict: Verdict
    reason: str
    message: str
    answers: tuple[FreeAnswer, ...] = ()
    mixed: bool = False
    """True for fallback Mixed."""
    explanation: str = ""
    """Explanation of a refusal as a clause; empty if there is none."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Shares of its KL divergence, by heading (layers, kinds) and by name of the part."""
    mix: Mix | None = None


@dataclass(frozen=True)
class Report:
    """Content of the report about one run of the quality gate."""

    model: str
    """Name of the model: its repository, path or URI."""
    source_digest: str
    source_revision: str | None
    date: str
    """Date of the report, as text."""
    tools: Mapping[str, str]
    """Versions of the tools: modelopt, torch, transformers, ..."""
    machine: str
    calibration: str
    """Texts of the evaluation, their number and length, as a sentence."""
    evaluation: str
    gate: GateRequest
    reference: ModelMeasures
    reference_size: int
    candidates: tuple[ReportCandidate, ...]
    chosen: int | None
    """Index of the published candidate; None if there is none."""
    notes: tuple[str, ...] = field(default=())
    """Reasons of the plan for these candidates and their order."""

    def __post_init__(self) -> None:
        """Refuse an index without a candidate."""
        if self.chosen is not None and not 0 <= self.chosen < len(self.candidates):
            raise ValueError(f"chosen is {self.chosen}, but there are {len(self.candidates)} candidates")
