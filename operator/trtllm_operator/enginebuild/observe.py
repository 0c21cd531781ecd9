"""observe: Observed of one EngineBuild from plain objects; called by the controller."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.enginebuild import KIND, EngineBuildSpec
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.source import Storage
from trtllm_operator.enginebuild.checkpoint import wanted_source
from trtllm_operator.enginebuild.observed import Model, Observed
from trtllm_operator.enginebuild.siblings import fetched_by, siblings
from trtllm_operator.kube.objects import Object, dig, is_deleting, name_of
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.shared.parse import generation_of, parse_spec, parse_status, retry_of
from trtllm_planner.inventory import gpu_inventory


def observe(
    resource: Object,
    *,
    model: Object | None,
    models: Iterable[Object],
    others: Iterable[Object],
    claim: Object | None,
    nodes: Iterable[Object],
    jobs: Iterable[Object],
    deployment: Object | None,
    groups: Object | None,
    groups_served: bool,
    service: Object | None,
    replica_sets: Iterable[Object],
    pods: Iterable[Object],
    progress: ProgressLine | None,
    evidence: Evidence,
    settings: BuilderSettings,
    now: datetime,
) -> Observed:
    """`model` is the QuantizedModel that modelRef names; models and others are both kinds' resources of the namespace.

    The children are this resource's; `groups` is its LeaderWorkerSet.
    """
    spec, error = parse_spec(EngineBuildSpec, resource.get("spec"))
    owner, others = Owner.of(KIND, resource), tuple(others)
    source = wanted_source(owner, spec, spec.source).digest if spec is not None and spec.source is not None else None
    return Observed(
        owner=owner,
        generation=generation_of(resource),
        spec=spec,
        spec_error=error,
        status=parse_status(EngineBuildStatus, resource.get("status")),
        deleting=is_deleting(resource),
        retry=retry_of(resource),
        model=_model(model),
        siblings=siblings(resource, others),
        fetched_by=fetched_by(resource, source, (*models, *others)) if source is not None else None,
        claim=claim,
        inventory=gpu_inventory(nodes),
        jobs=tuple(jobs),
        deployment=deployment,
        groups=groups,
        groups_served=groups_served,
        service=service,
        replica_sets=tuple(replica_sets),
        pods=tuple(pods),
        progress=progress,
        evidence=evidence,
        settings=settings,
        now=now,
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
