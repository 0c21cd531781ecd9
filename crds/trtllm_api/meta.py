"""Parts that both custom resources share: conditions, progress, references, the pod template."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

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
    summary: ShortText = ""
    """All of it in a few words, for `kubectl get`."""
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


def exactly_one(fields: tuple[str, ...], of: str) -> dict[str, Any]:
    """`json_schema_extra` with the CEL rule that exactly one of the (camelCase) fields is set."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in fields)
    return {"x-kubernetes-validations": [cel(f"{count} == 1", f"{of} takes exactly one of {', '.join(fields)}")]}


class KeySelector(ApiModel):
    """One key of a ConfigMap or Secret in the resource's namespace."""

    name: ObjectName
    key: SecretKey
    optional: bool | None = None


class EnvVarSource(ApiModel):
    """Where the value of an environment variable comes from."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("configMapKeyRef", "secretKeyRef"), "valueFrom"))

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(ApiModel):
    """An environment variable: a literal value, or one from a ConfigMap or Secret."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("!(has(self.value) && has(self.valueFrom))", "env takes value or valueFrom, not both")
            ]
        }
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: Annotated[str, StringConstraints(max_length=4096)] | None = None
    value_from: EnvVarSource | None = None


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


RawObject = Annotated[
    dict[str, Any], Field(max_length=32, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
]
"""An object of Kubernetes' own API, checked by Kubernetes when the pod is made."""


class VolumeMount(ApiModel):
    """Where a volume of podTemplate.volumes appears in the container."""

    name: ObjectName
    mount_path: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    sub_path: Annotated[str, StringConstraints(max_length=1024)] | None = None
    read_only: bool | None = None


class ResourceClaim(ApiModel):
    """A claim of dynamic resource allocation; the container uses all of them."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(("resourceClaimName", "resourceClaimTemplateName"), "a resource claim")
    )

    name: ObjectName
    resource_claim_name: ObjectName | None = None
    resource_claim_template_name: ObjectName | None = None


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
    affinity: RawObject | None = None
    volumes: Annotated[tuple[RawObject, ...], Field(max_length=32)] | None = None
    """Kubernetes volumes; their names must not be those of the operator's own (tmp, shm, claim-*, file-*, app)."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] | None = None
    resource_claims: Annotated[tuple[ResourceClaim, ...], Field(max_length=8)] | None = None
    image_pull_secrets: Annotated[tuple[SecretRef, ...], Field(max_length=8)] | None = None
