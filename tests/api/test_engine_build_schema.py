"""Every bound and every rule of an EngineBuild's spec, as the API server applies it."""

from __future__ import annotations

from typing import Any

import pytest
from control_plane import ENGINE_BUILD, ApiServer, Spec
from schema_cases import (
    Acceptance,
    Field,
    Rejection,
    acceptances,
    assert_accepted,
    assert_refused,
    broken_rule,
    choice,
    number,
    rejections,
    spec_schema,
    text,
    unaccepted,
    unbounded,
    uncovered,
)
from shared_fields import OBJECT_NAME, POD_TEMPLATE, pod_fields, pod_required

SPEC: dict[str, Any] = {
    "modelRef": {"name": "smollm2"},
    "runtime": "Transformers",
    "device": "GPU",
    "serving": {
        "replicas": 2,
        "servedModelName": "smollm2",
        "maxConcurrentRequests": 8,
        "service": {"type": "ClusterIP", "port": 8000},
        "podTemplate": POD_TEMPLATE,
    },
    "suspend": False,
}
MINIMAL: dict[str, Any] = {"modelRef": {"name": "smollm2"}}
NAME_RULE = "metadata.name must be no more than 40 characters: names of Jobs and Services are derived from it"
SERVED_NAME = text(
    128,
    shortest=1,
    pattern="^[-._/:a-zA-Z0-9]+$",
    wrong={"with a space": "my model", "with a hash": "a#b"},
    right={"with an organisation and a tag": "org/model_v1.0:latest"},
)
FIELDS = [
    Field("spec.modelRef.name", "the model's name", OBJECT_NAME, SPEC),
    Field("spec.runtime", "a runtime", choice("Transformers"), SPEC),
    Field("spec.device", "a device", choice("GPU", "CPU"), SPEC),
    Field("spec.serving.replicas", "a number of replicas", number(0, 1000), SPEC),
    Field("spec.serving.servedModelName", "a served name", SERVED_NAME, SPEC),
    Field("spec.serving.maxConcurrentRequests", "a number of requests at once", number(1, 1024), SPEC),
    Field("spec.serving.service.type", "a kind of Service", choice("ClusterIP", "NodePort", "LoadBalancer"), SPEC),
    Field("spec.serving.service.port", "a port", number(1, 65535), SPEC),
    *pod_fields("spec.serving.podTemplate", SPEC),
]
REQUIRED: dict[str, tuple[str, Spec]] = {
    "spec.modelRef": ("a model", SPEC),
    "spec.modelRef.name": ("the model's name", SPEC),
    **pod_required("spec.serving.podTemplate", SPEC),
}
REJECTIONS = [
    *rejections(FIELDS, REQUIRED),
    broken_rule("a name of 41 characters is refused", SPEC, "", NAME_RULE, "a" * 41),
]
ACCEPTANCES = [
    *acceptances(FIELDS),
    Acceptance("a name of 40 characters is accepted", SPEC, "a" * 40),
    Acceptance("the least that can be asked for is accepted", MINIMAL),
]


@pytest.mark.parametrize("case", REJECTIONS, ids=lambda case: case.id)
def test_refused(api: ApiServer, case: Rejection) -> None:
    assert_refused(api, ENGINE_BUILD, case)


@pytest.mark.parametrize("case", ACCEPTANCES, ids=lambda case: case.id)
def test_accepted(api: ApiServer, case: Acceptance) -> None:
    assert_accepted(api, ENGINE_BUILD, case)


def test_every_bound_and_rule_has_a_rejected_case(api: ApiServer) -> None:
    assert uncovered(api, ENGINE_BUILD, REJECTIONS) == []


def test_every_bounded_field_has_an_accepted_case(api: ApiServer) -> None:
    assert unaccepted(api, ENGINE_BUILD, FIELDS) == []


def test_every_field_of_the_spec_is_bounded(api: ApiServer) -> None:
    assert list(unbounded(spec_schema(api, ENGINE_BUILD), "spec")) == []
