"""The quality gate: decides whether a quantized model is close enough to its source. Pure.

Limits are decimals, as users write them. Measurements become decimals by their shortest notation, so that 10 % is 10 %
and not 9.999999999999998 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import Measures, Verdict
from trtllm_api.quality import OnFailure
from trtllm_api.reasons import Reason

HUNDRED = Decimal(100)
_EXACT = Context(prec=60)
"""Enough digits for exact comparisons of all measurements."""
_MAX_DECIMAL = Decimal(10) ** 12
"""Largest number that texts show without an exponent. A status shows this value instead of a larger one."""
_MAX_PLACES = 12
_MAX_QUOTE = 80
_CANARIES_IN_FULL = 4
"""Wrong canaries that are shown in full. Further ones are named by their prompts, so that the message stays short."""
_SHORT_QUOTE = 32


@dataclass(frozen=True)
class CanaryOutcome:
    """One prompt of spec.quality.canaries and a model's answer."""

    prompt: str
    expected: str
    answer: str
    passed: bool


@dataclass(frozen=True)
class ModelMeasures:
    """Measurements of one model."""

    perplexity: float
    kl_divergence: float | None
    """Mean of KL(source || this model) in nats; None for the source, and if no limit needs it."""
    top_token_agreement: float | None
    """Share of positions, 0 to 1, where this model and the source prefer the same token; None for the source."""
    tokens: int
    canaries: tuple[CanaryOutcome, ...] = ()
    degenerate: str | None = None
    """A clause that explains why a free answer is degenerate; None if it looks like language."""


@dataclass(frozen=True)
class GateDecision:
    """Decision of the gate: verdict, reason and message."""

    verdict: Verdict
    reason: Reason
    message: str


@dataclass(frozen=True)
class _Failure:
    """A failed check."""

    reason: Reason
    clause: str


def decide(reference: ModelMeasures, candidate: ModelMeasures, gate: GateRequest) -> GateDecision:
    """Compare a candidate with its source under the gate's limits.

    The message names every failed check. The reason is that of the first failed check in this order: not a number,
    degenerate output, distances to the source, canaries.
    """
    not_numbers = _not_numbers(reference, candidate, gate)
    failures = list(not_numbers)
    if candidate.degenerate is not None:
        failures.append(_Failure(Reason.DEGENERATE_OUTPUT, f"a free answer is degenerate: {candidate.degenerate}"))
    failures += _perplexity(reference, candidate, gate)
    failures += _divergence(candidate, gate)
    failures += _agreement(candidate, gate)
    failures += _canaries(reference, candidate)
    if not failures:
        return GateDecision(Verdict.PASSED, Reason.QUALITY_PASSED, _passed_message(reference, candidate, gate))
    verdict = Verdict.WARNED if gate.on_failure is OnFailure.WARN else Verdict.REFUSED
    return GateDecision(verdict, failures[0].reason, "; ".join(failure.clause for failure in failures))


def to_measures(measures: ModelMeasures) -> Measures | None:
    """The measurements as a resource's status shows them; None if the perplexity is not a number.

    JSON has no NaN: such a candidate is described by its reason and message only.
    """
    if not math.isfinite(measures.perplexity):
        return None
    divergence = measures.kl_divergence
    share = agreement_percent(measures)
    asked = len(measures.canaries)
    passed = sum(canary.passed for canary in measures.canaries)
    return Measures(
        perplexity=f"{min(_decimal(measures.perplexity), _MAX_DECIMAL):.2f}",
        kl_divergence=significant(divergence) if divergence is not None and math.isfinite(divergence) else None,
        top_token_agreement=None if share is None else f"{share:.1f}%",
        canaries=f"{passed}/{asked}" if asked else None,
    )


def change(reference: ModelMeasures, candidate: ModelMeasures) -> str:
    """Change of the perplexity from the source's, such as "+50.7%"; "not a number" if it cannot be computed."""
    increase = perplexity_increase(reference, candidate)
    if increase is None:
        return "not a number"
    shown = _number(increase, 1)
    # A decrease too small to show would read "-0.0".
    if shown.strip("-0.") == "":
        shown = "0.0"
    return f"{shown}%" if shown.startswith("-") else f"+{shown}%"


def perplexity_increase(reference: ModelMeasures, candidate: ModelMeasures) -> Decimal | None:
    """Percentage by which the candidate's perplexity is above the source's; None if one is not a usable number."""
    if not math.isfinite(candidate.perplexity) or not math.isfinite(reference.perplexity) or reference.perplexity <= 0:
        return None
    before, after = _decimal(reference.perplexity), _decimal(candidate.perplexity)
    return _EXACT.multiply(_EXACT.divide(_EXACT.subtract(after, before), before), HUNDRED)


def agreement_percent(measures: ModelMeasures) -> Decimal | None:
    """The top-token agreement in percent; None if it was not measured or is not a number."""
    value = measures.top_token_agreement
    if value is None or not math.isfinite(value):
        return None
    return _EXACT.multiply(_decimal(value), HUNDRED)


def percent(text: str) -> Decimal:
    """The number in a percentage: 10 in "10%"."""
    return Decimal(text.strip().removesuffix("%").strip())


def significant(value: float) -> str:
    """Four significant digits without an exponent: 0.4123, 0.00001234, 12.35. Rounding noise below zero is zero."""
    number = max(_decimal(value), Decimal(0))
    if number == 0:
        return "0"
    number = min(number, _MAX_DECIMAL)
    # smaller numbers are noise, and their digits would not fit a status
    if number < Decimal("0.0000001"):
        return "0"
    rounded = Context(prec=4, rounding=ROUND_HALF_EVEN).plus(number)
    return format(rounded, "f")


def _not_numbers(reference: ModelMeasures, candidate: ModelMeasures, gate: GateRequest) -> list[_Failure]:
    """Failures for measurements that are NaN or infinite, or that are missing although a limit needs them."""
    reason = Reason.NOT_A_NUMBER
    found: list[_Failure] = []
    if not math.isfinite(candidate.perplexity):
        found.append(_Failure(reason, f"perplexity is {_name(candidate.perplexity)}"))
    if not math.isfinite(reference.perplexity) or reference.perplexity <= 0:
        found.append(
            _Failure(
                reason,
                f"the source's perplexity is {_name(reference.perplexity)}, so no candidate can be compared with it",
            )
        )
    if gate.max_kl_divergence is not None:
        if candidate.kl_divergence is None:
            found.append(
                _Failure(
                    reason,
                    f"KL divergence was not measured (the limit is at most {_plain(Decimal(gate.max_kl_divergence))})",
                )
            )
        elif not math.isfinite(candidate.kl_divergence):
            found.append(_Failure(reason, f"KL divergence is {_name(candidate.kl_divergence)}"))
    if candidate.top_token_agreement is None:
        found.append(
            _Failure(
                reason,
                "top-token agreement was not measured "
                f"(the limit is at least {_plain(percent(gate.min_top_token_agreement))} %)",
            )
        )
    elif not math.isfinite(candidate.top_token_agreement):
        found.append(_Failure(reason, f"top-token agreement is {_name(candidate.top_token_agreement)}"))
    return found


def _perplexity(reference: ModelMeasures, candidate: ModelMeasures, gate: GateRequest) -> list[_Failure]:
    limit = percent(gate.max_perplexity_increase)
    increase = perplexity_increase(reference, candidate)
    if increase is None or increase <= limit:
        return []
    return [
        _Failure(
            Reason.PERPLEXITY_TOO_HIGH, f"{_perplexity_text(reference, candidate, limit)} (at most {_plain(limit)} %)"
        )
    ]


def _divergence(candidate: ModelMeasures, gate: GateRequest) -> list[_Failure]:
    value = candidate.kl_divergence
    if gate.max_kl_divergence is None or value is None or not math.isfinite(value):
        return []
    limit = Decimal(gate.max_kl_divergence)
    if _decimal(value) <= limit:
        return []
    return [
        _Failure(
            Reason.DIVERGENCE_TOO_HIGH, f"KL divergence {_against(_decimal(value), limit, 3)} (at most {_plain(limit)})"
        )
    ]


def _agreement(candidate: ModelMeasures, gate: GateRequest) -> list[_Failure]:
    share = agreement_percent(candidate)
    limit = percent(gate.min_top_token_agreement)
    if share is None:
        return []
    if share >= limit:
        return []
    return [
        _Failure(
            Reason.AGREEMENT_TOO_LOW, f"top-token agreement {_against(share, limit, 1)} % (at least {_plain(limit)} %)"
        )
    ]


def _canaries(reference: ModelMeasures, candidate: ModelMeasures) -> list[_Failure]:
    """Failures for wrong canaries. If the source fails a canary as well, the message says that the canary is wrong."""
    source_passes = {(canary.prompt, canary.expected): canary.passed for canary in reference.canaries}
    found: list[_Failure] = []
    for canary in candidate.canaries:
        if canary.passed:
            continue
        if len(found) >= _CANARIES_IN_FULL:
            found.append(
                _Failure(Reason.CANARY_WRONG, f'canary "{_quote(canary.prompt, _SHORT_QUOTE)}" is wrong as well')
            )
            continue
        clause = (
            f'canary "{_quote(canary.prompt)}" was answered "{_quote(canary.answer)}", '
            f'which does not contain "{_quote(canary.expected)}"'
        )
        if source_passes.get((canary.prompt, canary.expected)) is False:
            clause += " (the source model fails it as well: correct the canary)"
        found.append(_Failure(Reason.CANARY_WRONG, clause))
    return found


def _passed_message(reference: ModelMeasures, candidate: ModelMeasures, gate: GateRequest) -> str:
    """The numbers and limits of a candidate that passed every check."""
    limit = percent(gate.max_perplexity_increase)
    parts = [f"{_perplexity_text(reference, candidate, limit)} (at most {_plain(limit)} %)"]
    if candidate.kl_divergence is not None and math.isfinite(candidate.kl_divergence):
        # rounding can make the divergence of equal models slightly negative
        divergence = max(_decimal(candidate.kl_divergence), Decimal(0))
        if gate.max_kl_divergence is None:
            parts.append(f"KL divergence {_number(divergence, 3)}")
        else:
            most = Decimal(gate.max_kl_divergence)
            parts.append(f"KL divergence {_against(divergence, most, 3)} (at most {_plain(most)})")
    share = agreement_percent(candidate)
    if share is not None:
        least = percent(gate.min_top_token_agreement)
        parts.append(f"top-token agreement {_against(share, least, 1)} % (at least {_plain(least)} %)")
    if candidate.canaries:
        parts.append(f"canaries {len(candidate.canaries)}/{len(candidate.canaries)}")
    return "; ".join(parts)


def _perplexity_text(reference: ModelMeasures, candidate: ModelMeasures, limit: Decimal) -> str:
    """A clause such as: perplexity 39.15 is 50.7 % above the source's 25.98."""
    increase = perplexity_increase(reference, candidate)
    after, before = _number(_decimal(candidate.perplexity), 2), _number(_decimal(reference.perplexity), 2)
    if increase is None:
        return f"perplexity {after}"
    if increase == 0:
        return f"perplexity {after} equals the source's"
    side = "above" if increase > 0 else "below"
    shown = _against(increase, limit, 1) if increase > 0 else _number(-increase, 1)
    return f"perplexity {after} is {shown} % {side} the source's {before}"


def _against(value: Decimal, limit: Decimal, places: int) -> str:
    """The value with enough decimals to be on the right side of the limit: 10.0004 is not shown as "10.0"."""
    side = value.compare(limit)
    while places < _MAX_PLACES:
        shown = _number(value, places)
        if Decimal(shown).compare(limit) == side:
            return shown
        places += 1
    return _number(value, places)


def _number(value: Decimal, places: int) -> str:
    """The number with fixed decimals, or with an exponent if it is large."""
    return f"{value:.2e}" if abs(value) >= _MAX_DECIMAL else f"{value:.{places}f}"


def _plain(limit: Decimal) -> str:
    """The limit in its shortest form: 10, 0.2, 2.5."""
    text = format(limit, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(value: float) -> Decimal:
    """The decimal of a float's shortest notation: 0.1 is a tenth."""
    return Decimal(repr(float(value)))


def _name(value: float) -> str:
    """Words for a value that is not a usable number."""
    if math.isnan(value):
        return "not a number (NaN)"
    return "infinite" if math.isinf(value) else f"{value:g}"


def _quote(text: str, limit: int = _MAX_QUOTE) -> str:
    """A user's or a model's text on one line, shortened for a condition's message."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
