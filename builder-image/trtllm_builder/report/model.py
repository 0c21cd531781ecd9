"""What a quality report says, before it is written as JSON or as a page. Filled by the quantize stage's ladder.

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
    """A prompt without an expected answer, and what the source and a candidate wrote."""

    prompt: str
    source: str
    candidate: str


@dataclass(frozen=True)
class Mix:
    """A mixed precision of a refused candidate, measured with its modules restored in place."""

    exclude_modules: tuple[str, ...]
    measures: ModelMeasures
    size: int
    """Bytes that its files would have."""


@dataclass(frozen=True)
class ReportCandidate:
    """One method tried."""

    label: str
    """The method as users write it: INT4AWQ."""
    group_size: int | None
    options: str
    """Further options as one text: "kvCache FP8, lm_head excluded"; empty when there are none."""
    measures: ModelMeasures | None
    """None when the candidate failed before it could be measured."""
    size: int | None
    """Bytes of the files that would ship."""
    seconds: Mapping[str, float]
    """How long each stage took."""
    verdict: Verdict
    reason: str
    message: str
    answers: tuple[FreeAnswer, ...] = ()
    mixed: bool = False
    """Fallback Mixed of the method."""
    explanation: str = ""
    """Why it was refused, as one clause; empty where that was not looked into."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of its KL divergence, what comes from each part: by heading (layers, kinds), then by name."""
    mix: Mix | None = None


@dataclass(frozen=True)
class Report:
    """Everything the report shows about one run of the quality gate."""

    model: str
    """The model's name: its repository, path or URI."""
    source_digest: str
    source_revision: str | None
    date: str
    """When the report was made, written by the caller."""
    tools: Mapping[str, str]
    """Versions of the tools that matter: modelopt, torch, transformers, ..."""
    machine: str
    calibration: str
    """One sentence: which texts, how many, how long."""
    evaluation: str
    gate: GateRequest
    reference: ModelMeasures
    reference_size: int
    candidates: tuple[ReportCandidate, ...]
    chosen: int | None
    """Index of the candidate that is published; None when none is."""
    notes: tuple[str, ...] = field(default=())
    """Reasons of the plan, for readers who wonder why these candidates in this order."""

    def __post_init__(self) -> None:
        """Refuse an index that names no candidate: every reader relies on it."""
        if self.chosen is not None and not 0 <= self.chosen < len(self.candidates):
            raise ValueError(f"chosen is {self.chosen}, but there are {len(self.candidates)} candidates")
