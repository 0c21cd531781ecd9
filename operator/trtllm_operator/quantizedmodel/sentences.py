"""Sentences about what the quality gate measured."""

from __future__ import annotations

from decimal import Decimal

from trtllm_api.modelstatus import CandidateStatus, MixedProposal, QualityStatus, Verdict
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import QuantizedModelSpec


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


def explained(quality: QualityStatus, spec: QuantizedModelSpec | None) -> str:
    """Explanation of the refused candidate that came nearest, with the mix of it that was measured to pass."""
    candidate = min((item for item in quality.candidates if item.explanation), key=_nearness, default=None)
    if candidate is None:
        return ""
    told = f"{candidate.method}: {candidate.explanation}."
    return f"{told} {_mix(candidate, candidate.proposal, spec)}" if candidate.proposal else told


def _nearness(candidate: CandidateStatus) -> tuple[bool, Decimal]:
    if candidate.proposal is not None:
        return False, Decimal(candidate.proposal.bytes)
    divergence = candidate.measures.kl_divergence if candidate.measures else None
    return True, Decimal(divergence or "Infinity")


def _mix(candidate: CandidateStatus, mix: MixedProposal, spec: QuantizedModelSpec | None) -> str:
    measures = mix.measures
    numbers = [f"perplexity {_places(measures.perplexity)}"]
    numbers += [f"KL divergence {measures.kl_divergence}"] * (measures.kl_divergence is not None)
    numbers += [f"top-token agreement {measures.top_token_agreement}"] * (measures.top_token_agreement is not None)
    own = spec is not None and bool(spec.quantization.exclude_modules)
    tried = spec is not None and Method.MIXED in spec.quality.fallbacks
    what = f"excludeModules [{', '.join(mix.exclude_modules)}]{' besides its own' if own else ''}"
    way = f"{'add them to' if own else 'set'} spec.quantization.excludeModules with method {candidate.method}"
    way += "" if tried else ", or add Mixed to spec.quality.fallbacks"
    size = f"{mix.bytes / 1024**2:.0f} MiB"
    return f"With {what} it was measured to pass ({', '.join(numbers)}; {size}): {way}."


def _candidate(candidate: CandidateStatus, reference: str, limit: str) -> str:
    options = [f"group size {candidate.group_size}"] * bool(candidate.group_size)
    options += [f"{', '.join(candidate.exclude_modules)} in full precision"] * bool(candidate.exclude_modules)
    size = f" ({', '.join(options)})" if options else ""
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
