"""A QuantizedModel's status, and what was measured as cells of a table; for report.py, page.py and plan.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import ValidationError

from trtllm_api.modelstatus import CandidateStatus, Measures, QualityStatus, QuantizedModelStatus
from trtllm_cli.kubectl import Object
from trtllm_cli.problem import Unreadable
from trtllm_report.numbers import NONE, human_bytes

HEADER: Final = ("candidate", "perplexity", "KL", "same top token", "canaries", "size", "verdict")


def model_status(found: Object) -> QuantizedModelStatus:
    """A QuantizedModel's status; fields of a newer operator are left out."""
    raw = json.loads(json.dumps(found.get("status") or {}))
    try:
        return QuantizedModelStatus.model_validate(raw)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["type"] == "extra_forbidden":
                *path, last = item["loc"]
                holder = raw
                for part in path:
                    holder = holder[part]
                del holder[last]
    try:
        return QuantizedModelStatus.model_validate(raw)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unreadable(f"status.{where} is not as this trtllm knows it: use the operator's version of it") from None


def rows(quality: QualityStatus, source_bytes: int | None) -> list[tuple[str, ...]]:
    """The source first, then every candidate in the order in which it was tried."""
    found: list[tuple[str, ...]] = []
    if quality.reference is not None:
        found.append(
            ("source", *_measures(quality.reference, ""), human_bytes(source_bytes) if source_bytes else NONE, "")
        )
    found += [candidate_row(candidate) for candidate in quality.candidates]
    return found


def remarks(candidates: Iterable[CandidateStatus]) -> Iterator[str]:
    """What was decided about each, why it errs, and the mix of it that was measured to pass."""
    for candidate in candidates:
        name = named(candidate)
        for text in (candidate.message, candidate.explanation):
            if text:
                yield f"{name}: {text}"
        mix = candidate.proposal
        if mix is not None:
            measures = mix.measures
            numbers = [f"perplexity {measures.perplexity}"]
            numbers += [f"KL {measures.kl_divergence}"] * bool(measures.kl_divergence)
            numbers += [f"same top token {measures.top_token_agreement}"] * bool(measures.top_token_agreement)
            told = f"measured to pass ({', '.join(numbers)}, {human_bytes(mix.bytes)})"
            yield f"{name}: {told} with excludeModules [{', '.join(mix.exclude_modules)}]"


def named(candidate: CandidateStatus) -> str:
    """The method, and whether it is fallback Mixed of it."""
    return f"{candidate.method} mixed" if candidate.exclude_modules else candidate.method.value


def candidate_row(candidate: CandidateStatus) -> tuple[str, ...]:
    """As HEADER names the columns."""
    group = f" g{candidate.group_size}" if candidate.group_size else ""
    measures = candidate.measures
    told = _measures(measures, candidate.perplexity_change or "") if measures else ("not measured", NONE, NONE, NONE)
    weight = human_bytes(candidate.bytes) if candidate.bytes else NONE
    return (f"{named(candidate)}{group}", *told, weight, candidate.verdict.value)


def _measures(measures: Measures, change: str) -> tuple[str, str, str, str]:
    perplexity = f"{measures.perplexity} ({change})" if change else measures.perplexity
    return (
        perplexity,
        measures.kl_divergence or NONE,
        measures.top_token_agreement or NONE,
        measures.canaries or NONE,
    )
