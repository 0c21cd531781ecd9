"""Parts that both custom resources share: conditions, progress, references, the pod template."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from trtllm_api.base import ApiModel, Message, ObjectName, Quantity, SecretKey, ShortText, StringMap, cel


class ConditionStatus(StrEnum):
    """The three values of a Kubernetes condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A Kubernetes condition (metav1.Condition)."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    status: ConditionStatus
    observed_generation: Annotated[int, Field(ge=0)] = 0
    last_transition_time: Annotated[
        str, StringConstraints(max_length=32), Field(json_schema_extra={"format": "date-time"})
    ]
    reason: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    message: Message = ""


ConditionList = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class Progress(ApiModel):
    """What is being done now and how far it is; gone when nothing runs."""

    stage: ShortText
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    detail: ShortText = ""
    eta_seconds: Annotated[int, Field(ge=0)] | None = None
    job: ObjectName | None = None


class HistoryEntry(ApiModel):
    """One artifact or failure of the past, newest first."""

    time: Annotated[str, StringConstraints(max_length=32), Field(json_schema_extra={"format": "date-time"})]
    generation: Annotated[int, Field(ge=0)]
    reason: ShortText
    message: Message


class SecretKeyRef(ApiModel):
    """One key of a Secret in the resource's namespace."""

    name: ObjectName
    key: SecretKey = "token"


class SecretRef(ApiModel):
    """A Secret in the resource's namespace; every key becomes an environment variable."""

    name: ObjectName


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap in the resource's namespace."""

    name: ObjectName
    key: SecretKey


class EnvVar(ApiModel):
    """An environment variable with a literal value."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: Annotated[str, StringConstraints(max_length=4096)] = ""


class Toleration(ApiModel):
    """A Kubernetes toleration."""

    key: ShortText | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: ShortText | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None


ResourceList = Annotated[dict[ShortText, Quantity], Field(max_length=16)]


class ResourceRequirements(ApiModel):
    """Requests and limits of the main container; what is unset is planned."""

    requests: ResourceList | None = None
    limits: ResourceList | None = None


class PodTemplate(ApiModel):
    """What users may set on the pods of a stage; merged over what the operator plans."""

    labels: StringMap | None = None
    annotations: StringMap | None = None
    node_selector: StringMap | None = None
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] | None = None
    resources: ResourceRequirements | None = None
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64)] | None = None
    priority_class_name: ObjectName | None = None
    runtime_class_name: ObjectName | None = None
    service_account_name: ObjectName | None = None
    image_pull_secrets: Annotated[tuple[SecretRef, ...], Field(max_length=8)] | None = None


def exactly_one(fields: tuple[str, ...], of: str) -> dict[str, Any]:
    """`json_schema_extra` with the CEL rule that exactly one of the (camelCase) fields is set."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in fields)
    return {"x-kubernetes-validations": [cel(f"{count} == 1", f"{of} takes exactly one of {', '.join(fields)}")]}
