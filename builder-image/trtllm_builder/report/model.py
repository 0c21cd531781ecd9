"""What a quality report says, before it is written as JSON or as a page. Filled by the quantize stage's ladder.

Nothing here is measured or decided: the numbers come from the evaluation, the verdicts from the gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import Verdict
from trtllm_builder.gate import ModelMeasures, perplexity_increase


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

    @property
    def name(self) -> str:
        """Method and group size, to tell candidates apart."""
        name = f"{self.label} mixed" if self.mixed else self.label
        return name if self.group_size is None else f"{name}, groups of {self.group_size}"

    @property
    def short_name(self) -> str:
        """As name, for a chart's narrow margin."""
        name = f"{self.label} mixed" if self.mixed else self.label
        return name if self.group_size is None else f"{name} ({self.group_size})"


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

    @property
    def winner(self) -> ReportCandidate | None:
        """The candidate that is published."""
        return None if self.chosen is None else self.candidates[self.chosen]

    def increase(self, candidate: ReportCandidate) -> Decimal | None:
        """The candidate's perplexity increase in percent; None when there is none to state."""
        return None if candidate.measures is None else perplexity_increase(self.reference, candidate.measures)


def human_bytes(size: int) -> str:
    """A size in the units of `ls -h`: 1.0 GiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """A duration with the precision that people care about: 4.2 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
