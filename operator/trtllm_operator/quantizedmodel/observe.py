"""observe: the snapshot of one QuantizedModel, made of plain objects; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import KIND, QuantizedModelSpec
from trtllm_operator.kube.objects import Object, is_deleting
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.quantizedmodel.digests import missing_dataset, request_digest, wanted_source
from trtllm_operator.quantizedmodel.known import tells_all
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.planning import decided_ladder
from trtllm_operator.quantizedmodel.siblings import siblings
from trtllm_operator.shared.children import Children
from trtllm_operator.shared.parse import generation_of, parse_spec, parse_status, retry_of


@dataclass(frozen=True)
class Gathered:
    """Everything that decides about a QuantizedModel, as plain objects."""

    resource: Object
    children: Children
    store_exists: bool
    config_maps: Mapping[str, Object | None]
    """The user's ConfigMaps that the spec names; None for one that does not exist."""
    same_source: tuple[Object, ...]
    """QuantizedModels of the namespace whose spec.source is written alike, itself included."""
    artifacts: Mapping[Hashable, tuple[Object, ...]]
    """QuantizedModels of the namespace by the request digest of their artifact."""
    nodes: tuple[Object, ...]
    """Nodes of the cluster; empty where the spec names a method."""
    settings: BuilderSettings
    now: datetime


def observe(gathered: Gathered) -> Observed:
    """Parse, compute the request's digests, and find the siblings that matter."""
    resource, config_maps, nodes = gathered.resource, gathered.config_maps, gathered.nodes
    owner = Owner.of(KIND, resource)
    spec, error = parse_spec(QuantizedModelSpec, resource.get("spec"))
    source = wanted_source(owner, spec).digest if spec else ""
    status = parse_status(QuantizedModelStatus, resource.get("status"))
    ladder = decided_ladder(spec, source, status, nodes) if spec else None
    digest = request_digest(source, spec, config_maps, ladder) if spec else None
    alone = spec is None or tells_all(status, digest, source)
    return Observed(
        owner=owner,
        generation=generation_of(resource),
        spec=spec,
        spec_error=error,
        status=status,
        deleting=is_deleting(resource),
        retry=retry_of(resource),
        children=gathered.children,
        store_exists=gathered.store_exists,
        config_maps=config_maps,
        siblings=() if alone else siblings(gathered, source, digest),
        settings=gathered.settings,
        now=gathered.now,
        source_digest=source,
        request_digest=digest,
        missing_dataset=missing_dataset(spec, config_maps) if spec else "",
        ladder=ladder,
    )
