"""Contents of the page. The builder fills it from its measurements, the command line from a QuantizedModel's status.

Numbers are texts already, with a value where a chart draws them: the page shows what the gate and the status show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trtllm_api.modelstatus import Verdict


@dataclass(frozen=True)
class Number:
    """A measured number."""

    text: str
    value: float | None = None
    """Finite, for charts; None if there is nothing to draw."""


@dataclass(frozen=True)
class Limit:
    """A limit of the quality gate."""

    value: float
    text: str
    """The limit in words, such as `at most 10%`."""


@dataclass(frozen=True)
class Limits:
    """Limits of the quality gate; None for a measurement without one."""

    change: Limit | None = None
    divergence: Limit | None = None
    agreement: Limit | None = None


@dataclass(frozen=True)
class Canary:
    """One prompt of spec.quality.canaries and a model's answer."""

    prompt: str
    expected: str
    answer: str
    passed: bool


@dataclass(frozen=True)
class Measures:
    """Measurements of one model; None for what was not measured."""

    perplexity: Number
    change: Number | None = None
    """Perplexity against the source's, in percent."""
    divergence: Number | None = None
    """KL divergence from the source, in nats."""
    agreement: Number | None = None
    """Share of positions with the source's most likely token, in percent."""
    canaries: str | None = None
    """Number that passed and of all, such as `2/2`."""
    canary_answers: tuple[Canary, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A prompt without an expected answer, and the answers of the source and of a candidate."""

    prompt: str
    source: str
    candidate: str


@dataclass(frozen=True)
class Mix:
    """A mixed precision of a refused candidate that was measured and passes."""

    exclude_modules: tuple[str, ...]
    measures: Measures
    size: int


@dataclass(frozen=True)
class Candidate:
    """One method that was tried."""

    label: str
    """The method as users write it: INT4AWQ."""
    verdict: Verdict
    reason: str
    message: str
    group_size: int | None = None
    mixed: bool = False
    """True for fallback Mixed of the method."""
    options: str = ""
    """Further options, such as `kvCache FP8, lm_head excluded`."""
    measures: Measures | None = None
    """None if it failed before it could be measured."""
    size: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Duration of each stage."""
    answers: tuple[Answer, ...] = ()
    explanation: str = ""
    """The parts of the model that its KL divergence comes from, as one clause."""
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Share of its KL divergence (0 to 1) by heading (layer, kind) and part."""
    mix: Mix | None = None

    @property
    def name(self) -> str:
        """Method and group size."""
        return self._named(", groups of {}")

    @property
    def short_name(self) -> str:
        """Method and group size for a chart's narrow margin."""
        return self._named(" ({})")

    def _named(self, groups: str) -> str:
        method = f"{self.label} mixed" if self.mixed else self.label
        return method if self.group_size is None else method + groups.format(self.group_size)


@dataclass(frozen=True)
class Fact:
    """A line of the details; an identifier is printed in a fixed-width font."""

    name: str
    value: str
    identifier: bool = False


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    title: str
    """The model: its repository, path or URI, or its resource."""
    date: str
    candidates: tuple[Candidate, ...]
    chosen: int | None
    """Index of the candidate that is published; None if none is."""
    reference: Measures | None = None
    """The source model."""
    reference_size: int | None = None
    limits: Limits = Limits()
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    """Why these candidates, in this order."""

    def __post_init__(self) -> None:
        """Raise ValueError for an index that names no candidate."""
        if self.chosen is not None and not 0 <= self.chosen < len(self.candidates):
            raise ValueError(f"chosen is {self.chosen}, but there are {len(self.candidates)} candidates")

    @property
    def winner(self) -> Candidate | None:
        """The candidate that is published."""
        return None if self.chosen is None else self.candidates[self.chosen]
