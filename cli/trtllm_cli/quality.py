"""A QuantizedModel's status, and its measurements as cells of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import ValidationError

from trtllm_api.modelstatus import CandidateStatus, Measures, QualityStatus, QuantizedModelStatus
from trtllm_api.problem import as_sentence
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
        raise Unreadable(
            f"status.{where} is not valid for this version of trtllm", "use the operator's version"
        ) from None


def rows(quality: QualityStatus, source_bytes: int | None) -> list[tuple[str, ...]]:
    """Rows of the table: the source, then every candidate in the order of the attempts."""
    found: list[tuple[str, ...]] = []
    if quality.reference is not None:
        found.append(
            ("source", *_measures(quality.reference, ""), human_bytes(source_bytes) if source_bytes else NONE, "")
        )
    found += [candidate_row(candidate) for candidate in quality.candidates]
    return found


def remarks(candidates: Iterable[CandidateStatus]) -> Iterator[str]:
    """Sentences about every candidate: the decision, the layers that its error comes from, and the mix that passed."""
    for candidate in candidates:
        name = named(candidate)
        for text in (candidate.message, candidate.explanation):
            if text:
                yield f"{name}: {as_sentence(text)}"
        mix = candidate.proposal
        if mix is not None:
            measures = mix.measures
            numbers = [f"perplexity {measures.perplexity}"]
            numbers += [f"KL {measures.kl_divergence}"] * bool(measures.kl_divergence)
            numbers += [f"same top token {measures.top_token_agreement}"] * bool(measures.top_token_agreement)
            modules = f"excludeModules [{', '.join(mix.exclude_modules)}]"
            yield f"{name}: With {modules} it passes ({', '.join(numbers)}, {human_bytes(mix.bytes)})."


def named(candidate: CandidateStatus) -> str:
    """Name of the candidate: its method, with `mixed` if modules of it stay in full precision."""
    return f"{candidate.method} mixed" if candidate.exclude_modules else candidate.method.value


def candidate_row(candidate: CandidateStatus) -> tuple[str, ...]:
    """Cells of the columns that HEADER names."""
    group = f" g{candidate.group_size}" if candidate.group_size else ""
    measures = candidate.measures
    cells = _measures(measures, candidate.perplexity_change or "") if measures else ("not measured", NONE, NONE, NONE)
    weight = human_bytes(candidate.bytes) if candidate.bytes else NONE
    return (f"{named(candidate)}{group}", *cells, weight, candidate.verdict.value)


def _measures(measures: Measures, change: str) -> tuple[str, str, str, str]:
    perplexity = f"{measures.perplexity} ({change})" if change else measures.perplexity
    return (
        perplexity,
        measures.kl_divergence or NONE,
        measures.top_token_agreement or NONE,
        measures.canaries or NONE,
    )
