"""observe: Observed of one QuantizedModel from plain objects; called by the controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import KIND, QuantizedModelSpec
from trtllm_operator.kube.objects import Object, is_deleting
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.quantizedmodel.digests import missing_dataset, request_digest, wanted_source
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.planning import decided_ladder
from trtllm_operator.quantizedmodel.siblings import siblings
from trtllm_operator.shared.parse import generation_of, parse_spec, parse_status, retry_of


def observe(
    resource: Object,
    *,
    jobs: Iterable[Object],
    pods: Iterable[Object],
    store_exists: bool,
    config_maps: Mapping[str, Object | None],
    others: Iterable[Object],
    nodes: Iterable[Object],
    progress: ProgressLine | None,
    evidence: Evidence,
    settings: BuilderSettings,
    now: datetime,
) -> Observed:
    """Jobs and pods are this resource's; others are the QuantizedModels of its namespace, itself included or not.

    The nodes matter where the spec names no method.
    """
    owner = Owner.of(KIND, resource)
    spec, error = parse_spec(QuantizedModelSpec, resource.get("spec"))
    source = wanted_source(owner, spec).digest if spec else ""
    status, nodes = parse_status(QuantizedModelStatus, resource.get("status")), tuple(nodes)
    ladder = decided_ladder(spec, source, status, nodes) if spec else None
    digest = request_digest(source, spec, config_maps, ladder) if spec else None
    return Observed(
        owner=owner,
        generation=generation_of(resource),
        spec=spec,
        spec_error=error,
        status=status,
        deleting=is_deleting(resource),
        retry=retry_of(resource),
        jobs=tuple(jobs),
        pods=tuple(pods),
        store_exists=store_exists,
        config_maps=config_maps,
        siblings=siblings(resource, others, source, digest, config_maps, nodes) if spec else (),
        progress=progress,
        evidence=evidence,
        settings=settings,
        now=now,
        source_digest=source,
        request_digest=digest,
        missing_dataset=missing_dataset(spec, config_maps) if spec else "",
        ladder=ladder,
    )
