"""Parts that both custom resources share: conditions, progress, references, the pod template."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import (
    MAX_INTEGER,
    ApiModel,
    Message,
    ObjectName,
    Quantity,
    SecretKey,
    ShortText,
    StringMap,
    cel,
    free_form,
)


class ConditionStatus(StrEnum):
    """The three values of a Kubernetes condition."""

    TRUE = "True"
    """The condition holds."""
    FALSE = "False"
    """The condition does not hold; reason and message say why."""
    UNKNOWN = "Unknown"
    """Nothing is known yet: an earlier stage has not ended."""


Time = Annotated[str, StringConstraints(max_length=32), Field(json_schema_extra={"format": "date-time"})]
Generation = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class Condition(ApiModel):
    """A Kubernetes condition (metav1.Condition)."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Name of the condition, such as Ready. No two conditions of a resource have the same one."""
    status: ConditionStatus
    """Whether the condition holds."""
    observed_generation: Generation = 0
    """The metadata.generation of the spec that the condition was computed from."""
    last_transition_time: Time
    """Time of the last change of status, in UTC."""
    reason: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    """One word for programs; docs/reasons.md explains each. Events and metrics use the same one."""
    message: Message = ""
    """Sentences for people: the cause, the numbers, and what to do."""


ConditionList = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class Progress(ApiModel):
    """The current work and how far it is. Absent while nothing runs."""

    stage: ShortText
    """Name of the current step, such as Downloading or Quantizing."""
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Part of the step that is done, in percent. Absent while the step's size is unknown."""
    summary: ShortText = ""
    """Step, percentage, amount and remaining time in one line; the column Progress of `kubectl get`."""
    detail: ShortText = ""
    """Item that is being worked on, or the amount that is done, such as "3 of 16 ranks"."""
    eta_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    """Estimated time until the step ends, in seconds. Absent while nothing can be estimated."""
    job: ObjectName | None = None
    """Name of the Job whose pods report this progress. Absent for servers."""


class HistoryEntry(ApiModel):
    """One artifact or failure of the past, newest first."""

    time: Time
    """Time of the entry, in UTC."""
    generation: Generation
    """The metadata.generation of the spec that led to it."""
    reason: ShortText
    """Reason of the Ready condition at that time."""
    message: Message
    """Message of the Ready condition at that time, shortened to 1024 characters."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the resource's namespace."""

    name: ObjectName
    """Name of the Secret. Only the pod reads it; the operator has no access to Secrets."""
    key: SecretKey = "token"
    """Key of the Secret that holds the token."""


class SecretRef(ApiModel):
    """A Secret in the resource's namespace."""

    name: ObjectName
    """Name of the Secret. Only the pod, or the kubelet, reads it."""


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap in the resource's namespace."""

    name: ObjectName
    """Name of the ConfigMap."""
    key: SecretKey
    """Key of the ConfigMap; its ending, such as .txt or .jsonl, says how the value is read."""


def exactly_one(fields: tuple[str, ...], of: str) -> dict[str, Any]:
    """`json_schema_extra` with the CEL rule that exactly one of the (camelCase) fields is set."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in fields)
    return {"x-kubernetes-validations": [cel(f"{count} == 1", f"{of} takes exactly one of {', '.join(fields)}")]}


class KeySelector(ApiModel):
    """One key of a ConfigMap or Secret in the resource's namespace."""

    name: ObjectName
    """Name of the ConfigMap or Secret."""
    key: SecretKey
    """Key whose value the variable gets."""
    optional: bool | None = None
    """Whether the pod starts without the variable when the object or the key is missing. If omitted, it does not."""


class EnvVarSource(ApiModel):
    """Where the value of an environment variable comes from."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("configMapKeyRef", "secretKeyRef"), "valueFrom"))

    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap. Exactly one of configMapKeyRef and secretKeyRef is set."""
    secret_key_ref: KeySelector | None = None
    """A key of a Secret. Exactly one of configMapKeyRef and secretKeyRef is set."""


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
    """Name of the variable. It replaces a variable of the operator's with the same name."""
    value: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """Literal value. If omitted, and valueFrom is omitted too, the variable is empty."""
    value_from: EnvVarSource | None = None
    """Key of a ConfigMap or Secret that holds the value. If omitted, value is used."""


class Toleration(ApiModel):
    """A Kubernetes toleration."""

    key: ShortText | None = None
    """Key of the taint. If omitted, every key matches, and operator must be Exists."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists matches any value of the taint, Equal compares it with value. If omitted, Equal."""
    value: ShortText | None = None
    """Value of the taint, for operator Equal. If omitted, the empty value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint: NoSchedule keeps new pods away, PreferNoSchedule tries to, NoExecute also evicts pods
    that run. If omitted, every effect matches."""
    toleration_seconds: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    """Time that the pod may stay on a node with a taint of effect NoExecute, in seconds. If omitted, for ever."""


ResourceList = Annotated[dict[ShortText, Quantity], Field(max_length=16)]


class ResourceRequirements(ApiModel):
    """Requests and limits of a container."""

    requests: ResourceList | None = None
    """Amounts that the scheduler reserves, by resource name, such as {cpu: "2", memory: 16Gi}. If omitted, they are
    planned from the model's size."""
    limits: ResourceList | None = None
    """Amounts that the container cannot exceed, by resource name. If omitted, they are planned: memory at twice its
    request, nvidia.com/gpu by the stage. A limit below the planned request lowers the request."""


_FREE = Field(max_length=32, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
Affinity = Annotated[dict[str, Any], _FREE, free_form(16384)]
"""An object of Kubernetes' own API, checked by Kubernetes when the pod is made."""
Volume = Annotated[dict[str, Any], _FREE, free_form(4096)]
"""An object of Kubernetes' own API, checked by Kubernetes when the pod is made."""


class VolumeMount(ApiModel):
    """Where a volume of podTemplate.volumes appears in the container."""

    name: ObjectName
    """Name of the volume in podTemplate.volumes."""
    mount_path: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Absolute path in the container. The operator's own paths, such as /store and /tmp, are refused."""
    sub_path: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Path inside the volume that is mounted. If omitted, the volume's root."""
    read_only: bool | None = None
    """Whether the container cannot write to the volume. If omitted, it can."""


class ResourceClaim(ApiModel):
    """A claim of dynamic resource allocation; the container uses all of them."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one(("resourceClaimName", "resourceClaimTemplateName"), "a resource claim")
    )

    name: ObjectName
    """Name of the claim inside the pod."""
    resource_claim_name: ObjectName | None = None
    """Name of a ResourceClaim, which all pods share. Exactly one of resourceClaimName and resourceClaimTemplateName is
    set."""
    resource_claim_template_name: ObjectName | None = None
    """Name of a ResourceClaimTemplate, from which each pod gets a claim. Exactly one of resourceClaimName and
    resourceClaimTemplateName is set."""


class PodTemplate(ApiModel):
    """Settings of the pods: labels, scheduling, resources, environment, volumes; merged over the operator's."""

    labels: StringMap | None = None
    """Labels of the pods; the operator's own win. Kueue's queue-name and priority-class are set on the Jobs and servers
    too. If omitted, no further labels."""
    annotations: StringMap | None = None
    """Annotations of the pods. If omitted, no further annotations."""
    node_selector: StringMap | None = None
    """Labels that a node must have to run the pods. If omitted, every node qualifies."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] | None = None
    """Taints of nodes that the pods tolerate. If omitted, none."""
    resources: ResourceRequirements | None = None
    """Requests and limits of the main container; stages that only download or check files ignore them. If omitted,
    they are planned from the model's size."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64)] | None = None
    """Environment variables of the main container, such as HF_ENDPOINT. If omitted, the operator's own."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods. If omitted, the cluster's default."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, such as nvidia. If omitted, the cluster's default."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, for instance with a cloud identity for object stores; its token is not mounted. If
    omitted, the namespace's default."""
    affinity: Affinity | None = None
    """Affinity of the pods, as in a Kubernetes pod; the operator adds the GPU that an engine needs. At most 16 KiB of
    JSON. If omitted, only the operator's."""
    volumes: Annotated[tuple[Volume, ...], Field(max_length=32)] | None = None
    """Volumes of the pods, as in a Kubernetes pod, each at most 4 KiB of JSON. The names tmp, shm, app, claim-* and
    file-* are the operator's. If omitted, only the operator's."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(max_length=32)] | None = None
    """Places of these volumes in the main container. If omitted, none."""
    resource_claims: Annotated[tuple[ResourceClaim, ...], Field(max_length=8)] | None = None
    """Claims of dynamic resource allocation, for stages on a GPU. The pods then request no nvidia.com/gpu, because the
    claim provides the GPUs. If omitted, nvidia.com/gpu is requested."""
    image_pull_secrets: Annotated[tuple[SecretRef, ...], Field(max_length=8)] | None = None
    """Secrets with credentials for the images' registries, beside those of the operator's chart. If omitted, only
    those."""
