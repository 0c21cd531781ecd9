"""Known: the source and the artifact of a request, from status, from siblings and from a Job's result.

Called by quantizedmodel.state. Whatever is known is never computed again.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.contract import BuildResult
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import (
    ArtifactStatus,
    QualityStatus,
    QuantizationPlan,
    QuantizedModelStatus,
    SourceStatus,
    Verdict,
)
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.quantizedmodel.digests import wanted_source
from trtllm_operator.quantizedmodel.observed import Observed, Sibling
from trtllm_operator.shared.fetch import source_status


@dataclass(frozen=True)
class Known:
    """The settled parts of a request; None where a part is not settled."""

    source: SourceStatus | None = None
    facts: ModelFacts | None = None
    source_from: str | None = None
    """The sibling that fetched it."""
    plan: QuantizationPlan | None = None
    quality: QualityStatus | None = None
    artifact: ArtifactStatus | None = None


def known_artifact(observed: Observed) -> Known | None:
    """A finished artifact for exactly this request: this resource's own, or else a sibling's."""
    if observed.request_digest is None:
        return None
    own = observed.status
    if own.artifact is not None and tells_all(own, observed.request_digest, observed.source_digest):
        return Known(own.source, own.model_facts, None, own.plan, own.quality, own.artifact)
    for sibling in observed.siblings:
        status = sibling.status
        if status.artifact is not None and tells_all(status, observed.request_digest, observed.source_digest):
            artifact = status.artifact.model_copy(update={"reused_from": status.artifact.reused_from or sibling.name})
            return Known(status.source, status.model_facts, sibling.name, status.plan, status.quality, artifact)
    return None


def tells_all(status: QuantizedModelStatus, request_digest: str | None, source_digest: str) -> bool:
    """The artifact is the one asked for, and source and measurements are its own, not a later, given up request's.

    Where they are not, the Jobs run again and find everything on the store.
    """
    artifact, source, quality = status.artifact, status.source, status.quality
    if artifact is None or source is None or quality is None or status.model_facts is None:
        return False
    if artifact.request_digest != request_digest or source.request_digest != source_digest:
        return False
    shipped = (artifact.method, artifact.group_size)
    return not quality.candidates or any(
        (candidate.method, candidate.group_size) == shipped and candidate.verdict in {Verdict.PASSED, Verdict.WARNED}
        for candidate in quality.candidates
    )


def known_source(observed: Observed) -> Known | None:
    """A fetched source for this request: this resource's own, or else a sibling's."""
    own = observed.status
    if own.source is not None and own.model_facts is not None and own.source.request_digest == observed.source_digest:
        return Known(own.source, own.model_facts)
    for sibling in observed.siblings:
        status = sibling.status
        if status.source is None or status.model_facts is None:
            continue
        if status.source.request_digest == observed.source_digest:
            return Known(status.source, status.model_facts, sibling.name)
    return None


def leader(observed: Observed, *, whole_request: bool) -> Sibling | None:
    """An older sibling that is at work on the same; not one that failed or was suspended."""
    for sibling in observed.siblings:
        same = sibling.same_request if whole_request else sibling.same_source
        if same and sibling.leads and sibling.working:
            return sibling
    return None


def fetched(observed: Observed, spec: QuantizedModelSpec, result: BuildResult) -> Known | None:
    """The source of the fetch Job's result; None when it is a result of something else."""
    fetch = result.fetch
    if fetch is None:
        return None
    source = source_status(wanted_source(observed.owner, spec), fetch)
    return Known(source, fetch.facts)


def published(observed: Observed, spec: QuantizedModelSpec, result: BuildResult) -> ArtifactStatus | None:
    """The artifact of the quantize Job's result; None when it names none."""
    artifact = result.quantize.artifact if result.quantize else None
    if artifact is None or observed.request_digest is None:
        return None
    tried = result.quantize.candidates if result.quantize else ()
    # the one that ships ended the tries
    added = tried[-1].exclude_modules if tried else ()
    own = () if artifact.method is Method.NONE else spec.quantization.exclude_modules
    return ArtifactStatus(
        request_digest=observed.request_digest,
        digest=artifact.digest,
        claim_name=spec.storage.claim_name,
        path=artifact.path,
        bytes=artifact.bytes,
        method=artifact.method,
        group_size=artifact.group_size,
        exclude_modules=(*own, *added),
        checkpoint=spec.checkpoint,
        report=artifact.report,
    )


def measured(result: BuildResult | None) -> QualityStatus | None:
    """The gate's measurements in a result that passed or was refused."""
    if result is None or result.quantize is None:
        return None
    return QualityStatus(reference=result.quantize.reference, candidates=result.quantize.candidates)
