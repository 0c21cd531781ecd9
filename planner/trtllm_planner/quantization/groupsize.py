"""The rule group_size, and the group size that is planned if the spec names none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.quantization import GROUPED_METHODS, Method, Quantization
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.quantization.linears import quantized_linears
from trtllm_planner.quantization.question import QuantizeQuestion

PREFERRED = (128, 64, 32, 16)
"""Group sizes in the order of trying: fewer scales first."""
NVFP4_BLOCK = 16


def is_grouped(method: Method, quantization: Quantization) -> bool:
    """Whether the method, or one that Auto may choose, has a scale per group of input columns."""
    if method is Method.AUTO:
        return quantization.auto is not None and any(m in GROUPED_METHODS for m in quantization.auto.candidates)
    return method in GROUPED_METHODS


def planned_group_size(facts: ModelFacts, quantization: Quantization) -> tuple[int | None, str]:
    """The largest preferred size that divides the input width of every quantized layer, and why; None if none does."""
    linears = quantized_linears(facts, quantization)
    for size in PREFERRED:
        if all(linear.in_features % size == 0 for linear in linears):
            larger = PREFERRED[: PREFERRED.index(size)]
            why = f", because {_why_not(larger[-1], linears)}" if larger else " divides the input width of every layer"
            return size, f"group size {size}{why}"
    return None, ""


def _why_not(size: int, linears: tuple[LinearShape, ...]) -> str:
    linear = next(item for item in linears if item.in_features % size)
    return f"{size} does not divide {linear.in_features} ({linear.name})"


def fitting_sizes(linears: tuple[LinearShape, ...]) -> tuple[int, ...]:
    """Group sizes that the API allows and that divide all input widths, the largest first."""
    common = math.gcd(*(linear.in_features for linear in linears)) if linears else 0
    return tuple(size for size in range(1024, 15, -16) if common % size == 0) if common else ()


def group_size(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse a group size that does not divide a layer's width, because scales cover whole groups."""
    quantization = question.spec.quantization
    linears = quantized_linears(question.facts, quantization)
    for method in question.methods():
        if not is_grouped(method, quantization):
            if method is Method.NVFP4:
                yield from _nvfp4(linears)
            continue
        if quantization.group_size is not None:
            yield from _explicit(method, quantization.group_size, linears)
        elif planned_group_size(question.facts, quantization)[0] is None:
            yield from _none_fits(method, linears)


def _explicit(method: Method, size: int, linears: tuple[LinearShape, ...]) -> Iterator[Verdict]:
    wrong = [linear for linear in linears if linear.in_features % size]
    if not wrong:
        return
    first, more = wrong[0], len(wrong) - 1
    fitting = fitting_sizes(linears)
    sizes = ", ".join(map(str, fitting))
    yield refusal(
        Reason.GROUP_SIZE_NOT_DIVISIBLE,
        f"{method}: groupSize {size} does not divide {first.in_features}, the input width of {first.name}"
        + (f" (nor that of {more} more layers)" if more else ""),
        f"sizes that fit this model: {sizes}; without groupSize the best one is planned"
        if fitting
        else _exclude_or_other(wrong),
        {"groupSize": size, "inFeatures": first.in_features, "fitting": sizes},
    )


def _none_fits(method: Method, linears: tuple[LinearShape, ...]) -> Iterator[Verdict]:
    wrong = [linear for linear in linears if linear.in_features % PREFERRED[-1]]
    first = wrong[0]
    yield refusal(
        Reason.GROUP_SIZE_NOT_DIVISIBLE,
        f"{method}: no group size divides {first.in_features}, the input width of {first.name}",
        _exclude_or_other(wrong),
        {"inFeatures": first.in_features},
    )


def _nvfp4(linears: tuple[LinearShape, ...]) -> Iterator[Verdict]:
    wrong = [linear for linear in linears if linear.in_features % NVFP4_BLOCK]
    if wrong:
        yield refusal(
            Reason.GROUP_SIZE_NOT_DIVISIBLE,
            f"NVFP4: blocks of {NVFP4_BLOCK} do not divide {wrong[0].in_features}, the input width of {wrong[0].name}",
            _exclude_or_other(wrong),
            {"inFeatures": wrong[0].in_features},
        )


def _exclude_or_other(wrong: list[LinearShape]) -> str:
    names = ", ".join(linear.name for linear in wrong[:4]) + (", ..." if len(wrong) > 4 else "")
    return f"add {names} to excludeModules, or use INT8WeightOnly or FP8, which need no groups"
