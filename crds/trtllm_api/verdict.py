"""Verdict and Rule: the preflight checks, which run before a GPU is used.

A rule maps a question (a frozen dataclass: spec, ModelFacts, whatever that family of rules needs) to Verdicts; no
Verdict means that the rule passed. A family of rules is a tuple in the order in which a user should fix things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from trtllm_api.problem import Problem
from trtllm_api.reasons import Reason


class Severity(StrEnum):
    """Consequence of a Verdict."""

    REFUSAL = "Refusal"
    """Nothing is started."""
    WARNING = "Warning"
    """The work goes on, and status shows the message."""


@dataclass(frozen=True)
class Verdict(Problem):
    """The answer of one rule to one question."""

    severity: Severity = Severity.REFUSAL
    numbers: Mapping[str, int | str] = field(default_factory=dict)
    """The numbers of the message, for programs."""


def refusal(reason: Reason, message: str, remedy: str, numbers: Mapping[str, int | str] | None = None) -> Verdict:
    """A Verdict that stops the resource."""
    return Verdict(reason, message, remedy, Severity.REFUSAL, numbers or {})


def warning(reason: Reason, message: str, remedy: str, numbers: Mapping[str, int | str] | None = None) -> Verdict:
    """A Verdict that status shows while the work goes on."""
    return Verdict(reason, message, remedy, Severity.WARNING, numbers or {})


Question = TypeVar("Question")


class Need(StrEnum):
    """Something without which a rule cannot give its final answer."""

    LAYOUT = "Layout"
    """The answer depends on how the model is divided."""
    GPU = "Gpu"
    """The answer depends on the kind of GPU, or on how many of them a node has."""


@dataclass(frozen=True)
class Rule(Generic[Question]):
    """One check of preflight."""

    judge: Callable[[Question], Iterable[Verdict]]
    reasons: tuple[Reason, ...]
    """Reasons that its Verdicts may have."""
    needs: frozenset[Need] = frozenset()


def judge(rules: Sequence[Rule[Question]], question: Question) -> tuple[Verdict, ...]:
    """Verdicts of all rules: refusals first, then warnings, each in the rules' order."""
    verdicts = [verdict for rule in rules for verdict in rule.judge(question)]
    return tuple(sorted(verdicts, key=lambda verdict: verdict.severity is not Severity.REFUSAL))


def refusals(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts that stop the resource."""
    return tuple(verdict for verdict in verdicts if verdict.severity is Severity.REFUSAL)


def warnings(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts that do not stop the resource."""
    return tuple(verdict for verdict in verdicts if verdict.severity is Severity.WARNING)
