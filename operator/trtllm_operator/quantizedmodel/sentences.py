"""Sentences about what the quality gate measured; called by quantizedmodel.status."""

from __future__ import annotations

from decimal import Decimal

from trtllm_api.quantizedmodel import CandidateStatus, QualityStatus, QuantizedModelSpec, Verdict


def candidates_sentence(quality: QualityStatus, spec: QuantizedModelSpec | None) -> str:
    """Every candidate with its numbers, the source's and the limit in the first: one line for people."""
    limit = spec.quality.max_perplexity_increase if spec else ""
    reference = quality.reference.perplexity if quality.reference else ""
    parts = []
    for candidate in quality.candidates:
        parts.append(_candidate(candidate, reference, limit))
        if candidate.measures is not None:
            reference = limit = ""  # said once
    return "; ".join(parts)


def _candidate(candidate: CandidateStatus, reference: str, limit: str) -> str:
    size = f" (group size {candidate.group_size})" if candidate.group_size else ""
    head, verdict = f"{candidate.method}{size}: ", candidate.verdict.value.lower()
    if candidate.measures is None:
        return f"{head}{verdict}" + (f", {candidate.message}" if candidate.message else "")
    against = f" against {_places(reference)} of the source" if reference else ""
    perplexity = f"{_places(candidate.measures.perplexity)}{against}"
    change = candidate.perplexity_change or ""
    if change and limit:
        change = f"{change}, limit +{limit}"
    why = _other_reason(candidate)
    return f"{head}{'perplexity ' if against else ''}{perplexity}{f' ({change})' if change else ''}: {verdict}{why}"


def _other_reason(candidate: CandidateStatus) -> str:
    """Perplexity speaks for itself; any other reason for a refusal is told in the builder's words."""
    if candidate.verdict is Verdict.PASSED or candidate.reason.startswith("Perplexity") or not candidate.message:
        return ""
    return f" ({candidate.message})"


def _places(value: str) -> str:
    """Two decimals: `26.0841` -> `26.08`."""
    return str(Decimal(value).quantize(Decimal("0.01")))
