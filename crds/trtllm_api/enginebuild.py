"""The EngineBuild resource: which model to serve, with which runtime, on how many replicas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from trtllm_api.base import ApiModel, Device, Digest, Message, ObjectName, ShortText
from trtllm_api.meta import ConditionList, HistoryEntry, PodTemplate, Progress
from trtllm_api.quantizedmodel import Method

KIND = "EngineBuild"
PLURAL = "enginebuilds"


class Runtime(StrEnum):
    """What executes the model."""

    TRANSFORMERS = "Transformers"


class ServiceType(StrEnum):
    """Kinds of Service that reach the server."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ModelRef(ApiModel):
    """A QuantizedModel in the same namespace."""

    name: ObjectName


class ServiceSpec(ApiModel):
    """The Service in front of the replicas."""

    type: ServiceType = ServiceType.CLUSTER_IP
    port: Annotated[int, Field(ge=1, le=65535)] = 80


class Serving(ApiModel):
    """How the model is served."""

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    served_model_name: (
        Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-._/:a-zA-Z0-9]+$")] | None
    ) = None
    """The `model` that clients ask for; the resource's name when omitted."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=1024)] = 4
    """Requests of one replica that generate at the same time; the others wait."""
    service: ServiceSpec = ServiceSpec()
    pod_template: PodTemplate = PodTemplate()


class EngineBuildSpec(ApiModel):
    """What is wanted."""

    model_ref: ModelRef
    runtime: Runtime = Runtime.TRANSFORMERS
    device: Device = Device.GPU
    serving: Serving = Serving()
    suspend: bool = False


class ServedArtifact(ApiModel):
    """The artifact that the Deployment's template names."""

    digest: Digest
    claim_name: ObjectName
    path: Annotated[str, StringConstraints(max_length=1024)]
    method: Method


class ServingStatus(ApiModel):
    """The rollout as Kubernetes reports it."""

    url: ShortText | None = None
    replicas: Annotated[int, Field(ge=0)] = 0
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    selector: Message = ""
    """Serialized label selector, for the scale subresource."""


class EngineBuildStatus(ApiModel):
    """What is."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    stage: ShortText | None = None
    conditions: ConditionList = ()
    progress: Progress | None = None
    artifact: ServedArtifact | None = None
    """The artifact last rolled out completely: the one that keeps serving while a newer one is not ready."""
    serving: ServingStatus | None = None
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=10)] = ()
