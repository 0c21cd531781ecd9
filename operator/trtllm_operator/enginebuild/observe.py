"""observe: Observed of one EngineBuild from plain objects; called by the controller."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.enginebuild import KIND, EngineBuildSpec, EngineBuildStatus
from trtllm_api.quantizedmodel import QuantizedModelStatus
from trtllm_operator.children.identity import Owner
from trtllm_operator.children.objects import Object, dig, is_deleting, name_of
from trtllm_operator.children.parse import generation_of, parse_spec, parse_status
from trtllm_operator.children.settings import BuilderSettings
from trtllm_operator.enginebuild.observed import Model, Observed


def observe(
    resource: Object,
    *,
    model: Object | None,
    deployment: Object | None,
    service: Object | None,
    replica_sets: Iterable[Object],
    pods: Iterable[Object],
    progress: ProgressLine | None,
    settings: BuilderSettings,
    now: datetime,
) -> Observed:
    """`model` is the QuantizedModel that modelRef names; the other objects are this resource's."""
    spec, error = parse_spec(EngineBuildSpec, resource.get("spec"))
    return Observed(
        owner=Owner.of(KIND, resource),
        generation=generation_of(resource),
        spec=spec,
        spec_error=error,
        status=parse_status(EngineBuildStatus, resource.get("status")),
        deleting=is_deleting(resource),
        model=_model(model),
        deployment=deployment,
        service=service,
        replica_sets=tuple(replica_sets),
        pods=tuple(pods),
        progress=progress,
        settings=settings,
        now=now,
    )


def model_name(resource: Object) -> str:
    """The QuantizedModel that an EngineBuild depends on."""
    return str(dig(resource, "spec", "modelRef", "name") or "")


def _model(raw: Object | None) -> Model | None:
    if raw is None or is_deleting(raw):
        return None
    status = parse_status(QuantizedModelStatus, raw.get("status"))
    return Model(name_of(raw), status.observed_generation == generation_of(raw), status)
