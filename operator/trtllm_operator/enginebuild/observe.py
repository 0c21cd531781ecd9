"""observe: the snapshot of one EngineBuild, made of plain objects; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trtllm_api.enginebuild import KIND, EngineBuildSpec
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.source import Storage
from trtllm_operator.enginebuild.checkpoint import wanted_source
from trtllm_operator.enginebuild.observed import Model, Observed
from trtllm_operator.enginebuild.siblings import Engines, fetched_by, leaders
from trtllm_operator.kube.objects import Object, dig, is_deleting, name_of
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.shared.children import Children
from trtllm_operator.shared.parse import generation_of, parse_spec, parse_status, retry_of
from trtllm_planner.inventory import gpu_inventory

Holders = Mapping[Hashable, tuple[Object, ...]]
"""Objects by the value that they have in an index of the cache."""


@dataclass(frozen=True)
class Gathered:
    """Everything that decides about an EngineBuild, as plain objects."""

    resource: Object
    children: Children
    model: Object | None
    """The QuantizedModel of spec.modelRef."""
    claim: Object | None
    """The PersistentVolumeClaim of model and engine."""
    nodes: tuple[Object, ...]
    same_source: tuple[Object, ...]
    """EngineBuilds of the namespace whose spec.source is written alike, itself included."""
    same_build: tuple[Object, ...]
    """EngineBuilds of the namespace whose engine is asked for alike, itself included."""
    engines: Holders
    """EngineBuilds of the namespace by the request digest of their engine."""
    sources: tuple[Holders, ...]
    """Resources of both kinds by the request digest of their source."""
    settings: BuilderSettings
    now: datetime


def observe(gathered: Gathered) -> Observed:
    """Parse, and find the siblings that matter."""
    resource = gathered.resource
    spec, error = parse_spec(EngineBuildSpec, resource.get("spec"))
    owner = Owner.of(KIND, resource)
    source = wanted_source(owner, spec, spec.source).digest if spec is not None and spec.source is not None else None
    return Observed(
        owner=owner,
        generation=generation_of(resource),
        spec=spec,
        spec_error=error,
        status=parse_status(EngineBuildStatus, resource.get("status")),
        deleting=is_deleting(resource),
        retry=retry_of(resource),
        model=_model(gathered.model),
        leaders=leaders(resource, gathered.same_source, gathered.same_build),
        engines=Engines(resource, gathered.engines),
        fetched_by=fetched_by(resource, source, gathered.sources) if source is not None else None,
        claim=gathered.claim,
        inventory=gpu_inventory(gathered.nodes),
        children=gathered.children,
        settings=gathered.settings,
        now=gathered.now,
    )


def model_name(resource: Object) -> str:
    """The QuantizedModel that an EngineBuild depends on."""
    return str(dig(resource, "spec", "modelRef", "name") or "")


def claim_name(resource: Object, model: Object | None) -> str:
    """The claim of model and engine; empty while it is not known."""
    if model_name(resource):
        return str(dig(model, "status", "artifact", "claimName") or "")
    return str(dig(resource, "spec", "storage", "claimName") or Storage().claim_name)


def _model(raw: Object | None) -> Model | None:
    if raw is None or is_deleting(raw):
        return None
    status = parse_status(QuantizedModelStatus, raw.get("status"))
    return Model(name_of(raw), status.observed_generation == generation_of(raw), status)
