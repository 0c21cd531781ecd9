"""The quality report of a QuantizedModel's status as an HTML page.

The builder's page on the claim also has answers, shares and durations; status does not hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import trtllm_report as shown
from trtllm_api.modelstatus import CandidateStatus, Measures, MixedProposal, QuantizedModelStatus, Verdict
from trtllm_report.numbers import NONE
from trtllm_report.page import report_html

_USABLE = frozenset({Verdict.PASSED, Verdict.WARNED})


def page(title: str, resource: Mapping[str, Any], status: QuantizedModelStatus) -> str:
    """The page as HTML."""
    quality = status.quality
    if quality is None:
        raise ValueError("nothing was measured")
    limits = (resource.get("spec") or {}).get("quality") or {}
    usable = [index for index, candidate in enumerate(quality.candidates) if candidate.verdict in _USABLE]
    conditions = {item.type: item for item in status.conditions}
    return report_html(
        shown.Report(
            title=title,
            date=conditions["Ready"].last_transition_time if "Ready" in conditions else "",
            candidates=tuple(map(_candidate, quality.candidates)),
            chosen=usable[0] if usable else None,
            reference=_measures(quality.reference) if quality.reference is not None else None,
            reference_size=status.model_facts.bytes if status.model_facts is not None else None,
            limits=_limits(limits),
            facts=tuple(_facts(status)),
            notes=status.plan.why if status.plan is not None else (),
        )
    )


def _candidate(candidate: CandidateStatus) -> shown.Candidate:
    measures, mix = candidate.measures, candidate.proposal
    return shown.Candidate(
        label=candidate.method.value,
        verdict=candidate.verdict,
        reason=candidate.reason,
        message=candidate.message,
        group_size=candidate.group_size,
        mixed=bool(candidate.exclude_modules),
        measures=_measures(measures, candidate.perplexity_change) if measures is not None else None,
        size=candidate.bytes,
        explanation=candidate.explanation,
        mix=_mix(mix) if mix is not None else None,
    )


def _mix(mix: MixedProposal) -> shown.Mix:
    return shown.Mix(mix.exclude_modules, _measures(mix.measures), mix.bytes)


def _measures(measures: Measures, change: str | None = None) -> shown.Measures:
    return shown.Measures(
        perplexity=shown.Number(measures.perplexity, _value(measures.perplexity)),
        change=_number(change),
        divergence=_number(measures.kl_divergence),
        agreement=_number(measures.top_token_agreement),
        canaries=measures.canaries,
    )


def _number(text: str | None) -> shown.Number | None:
    return shown.Number(text, _value(text)) if text else None


def _value(text: str) -> float | None:
    """The number in `25.64`, `+44.1%` or `10%`."""
    try:
        value = Decimal(text.strip().strip("%+"))
    except InvalidOperation:
        return None
    return float(value) if value.is_finite() else None


def _limits(limits: Mapping[str, Any]) -> shown.Limits:
    def limit(field: str, words: str) -> shown.Limit | None:
        text = limits.get(field)
        value = _value(str(text)) if text is not None else None
        return shown.Limit(value, f"{words} {text}") if value is not None else None

    return shown.Limits(
        limit("maxPerplexityIncrease", "at most"),
        limit("maxKLDivergence", "at most"),
        limit("minTopTokenAgreement", "at least"),
    )


def _facts(status: QuantizedModelStatus) -> Iterator[shown.Fact]:
    for condition in status.conditions:
        if condition.type == "Ready":
            yield shown.Fact("Ready", f"{condition.status}, {condition.reason}: {condition.message}")
    facts, source, artifact = status.model_facts, status.source, status.artifact
    if facts is not None:
        yield shown.Fact("Model", facts.title)
    if source is not None:
        yield shown.Fact("Source digest", source.digest, identifier=True)
        yield shown.Fact("Source revision", source.revision or NONE, identifier=True)
    if artifact is not None:
        yield shown.Fact("Artifact", f"{artifact.path} on claim {artifact.claim_name}")
        yield shown.Fact("Artifact digest", artifact.digest, identifier=True)
        if artifact.report:
            yield shown.Fact("Whole report", f"{artifact.report} on claim {artifact.claim_name}")
