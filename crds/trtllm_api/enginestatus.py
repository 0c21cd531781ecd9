"""EngineBuild's status: what is known of the model, the plan, the engine and the servers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from trtllm_api.base import ApiModel, Digest, Message, ObjectName, ShortText
from trtllm_api.enginebuild import Runtime
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import ConditionList, HistoryEntry, Progress
from trtllm_api.modelstatus import SourceStatus
from trtllm_api.quantization import Method

_Path = Annotated[str, StringConstraints(max_length=1024)]
_Number = Annotated[int, Field(ge=0)]


class PlanItem(ApiModel):
    """One item of the memory of the fullest GPU."""

    name: ShortText
    size: ShortText


class EnginePlan(ApiModel):
    """What was decided, and why; decided once for a spec, whatever nodes come and go."""

    inputs: Digest
    """Identity of everything that was decided from, the cluster's GPUs aside."""
    tensor: _Number
    pipeline: _Number
    context: _Number = 1
    moe_tensor: _Number | None = None
    moe_expert: _Number | None = None
    nodes: _Number
    """Pods of one replica, each on a node of its own."""
    gpus_per_node: _Number
    """GPUs of each of these pods."""
    product: ShortText
    compute_capability: ShortText
    memory: Annotated[tuple[PlanItem, ...], Field(max_length=8)] = ()
    """Of the fullest GPU."""
    why: Annotated[tuple[Message, ...], Field(max_length=16)] = ()
    alternatives: Annotated[tuple[Message, ...], Field(max_length=4)] = ()
    """What else would fit."""


class EngineLimits(ApiModel):
    """What an engine was built for, as its own config.json says."""

    max_batch_size: _Number
    max_input_length: _Number
    max_sequence_length: _Number
    max_tokens: _Number
    max_beam_width: _Number


class EngineArtifact(ApiModel):
    """A verified engine."""

    request_digest: Digest
    """Identity of everything that was asked for: an identical resource uses this engine without a Job."""
    digest: Digest
    claim_name: ObjectName
    path: _Path
    bytes: _Number
    version: ShortText
    """TensorRT-LLM's, as it says itself."""
    product: ShortText
    """GPU product as seen inside the pods that built it."""
    compute_capability: ShortText
    world: _Number
    limits: EngineLimits
    reused_from: ObjectName | None = None


class ServedArtifact(ApiModel):
    """The artifact that the servers' template names."""

    digest: Digest
    claim_name: ObjectName
    path: _Path
    method: Method | None = None
    """How the model was quantized; none for a source that is served as it is."""
    runtime: Runtime = Runtime.TRANSFORMERS


class ServingStatus(ApiModel):
    """The rollout as Kubernetes reports it."""

    url: ShortText | None = None
    replicas: _Number = 0
    ready_replicas: _Number = 0
    selector: Message = ""
    """Serialized label selector, for the scale subresource."""


class EngineBuildStatus(ApiModel):
    """What is."""

    observed_generation: _Number = 0
    stage: ShortText | None = None
    conditions: ConditionList = ()
    progress: Progress | None = None
    source: SourceStatus | None = None
    """The fetched spec.source."""
    model_facts: ModelFacts | None = None
    """Of spec.source."""
    plan: EnginePlan | None = None
    engine: EngineArtifact | None = None
    artifact: ServedArtifact | None = None
    """The artifact last rolled out completely: the one that keeps serving while a newer one is not ready."""
    serving: ServingStatus | None = None
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=10)] = ()
