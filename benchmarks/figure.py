"""One line of `make bench`; every suite returns some."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value and the goal that it has."""

    name: str
    value: str
    goal: str
    reached: bool
