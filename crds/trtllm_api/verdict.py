"""Verdicts of preflight rules and how a set of rules is judged; used by the operator and by the planner's rules.

A rule is a function of a question (a frozen dataclass: spec, ModelFacts, whatever that family of rules needs) to its
Verdicts; no Verdict means that the rule has nothing to say. A family of rules is a tuple in the order in which a user
should mend things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar


class Severity(StrEnum):
    """What a Verdict leads to."""

    REFUSAL = "Refusal"
    """Nothing is started."""
    WARNING = "Warning"
    """It goes on, and status says so."""


@dataclass(frozen=True)
class Verdict:
    """What one rule says: one sentence with the numbers, and what would work."""

    rule: str
    """CamelCase name of the rule: the reason of the condition."""
    severity: Severity
    message: str
    remedy: str
    numbers: Mapping[str, int | str] = field(default_factory=dict)
    """The numbers of the message, for machines."""

    def sentence(self) -> str:
        """Message and remedy as a condition shows them."""
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


Question = TypeVar("Question")
Rule = Callable[[Question], Iterable[Verdict]]


def judge(rules: Sequence[Rule[Question]], question: Question) -> tuple[Verdict, ...]:
    """Every Verdict of every rule: refusals first, each in the rules' order."""
    verdicts = [verdict for rule in rules for verdict in rule(question)]
    return tuple(sorted(verdicts, key=lambda verdict: verdict.severity is not Severity.REFUSAL))


def refusals(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Those that stop the resource."""
    return tuple(verdict for verdict in verdicts if verdict.severity is Severity.REFUSAL)


def warnings(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Those that do not."""
    return tuple(verdict for verdict in verdicts if verdict.severity is Severity.WARNING)
