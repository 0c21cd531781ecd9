"""Numbers of a model, bounded before they reach status: the API server refuses what does not fit 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from trtllm_api.contract import FailureReason
from trtllm_api.facts import ModelFacts
from trtllm_builder.failure import bad_model

MOST: Final = 2**53 - 1
"""Largest whole number that every JSON reader keeps exactly."""


def refuse_unbounded(facts: ModelFacts) -> None:
    """Raise SourceCorrupt with the name of the first number that no model has."""
    for name, value in _numbers("", facts.to_wire()):
        if not 0 <= value <= MOST:
            raise bad_model(
                FailureReason.SOURCE_CORRUPT,
                f"{name} of the model is a number of {len(str(abs(value)))} digits, more than the {MOST} that fit.",
                "Correct config.json: copy it from the original model.",
            )


def _numbers(name: str, value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(f"{name}.{key}" if name else key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(name, item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value
