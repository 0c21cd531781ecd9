"""EngineBuild's status: the model, the plan, the engine and the servers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trtllm_api.base import (
    ApiModel,
    ComputeCapability,
    Digest,
    Dimension,
    Message,
    ObjectName,
    ShortText,
    Size,
    StorePath,
)
from trtllm_api.buildoptions import MAX_COUNT, Beams, Count
from trtllm_api.enginebuild import Runtime
from trtllm_api.facts import ModelFacts
from trtllm_api.meta import ConditionList, Generation, HistoryEntry, Progress
from trtllm_api.modelstatus import SourceStatus
from trtllm_api.quantization import Method


class PlanItem(ApiModel):
    """One item of a GPU's memory."""

    name: ShortText
    """Name of the item, such as weights or KV cache."""
    size: ShortText
    """Size of the item with its unit, such as "4.5 GiB"."""


class EnginePlan(ApiModel):
    """Parallelism and GPUs of one replica. Nodes that come or go later do not change it."""

    inputs: Digest
    """Identity of everything that the plan depends on, except the cluster's nodes."""
    tensor: Dimension
    """Tensor parallelism, in GPUs."""
    pipeline: Dimension
    """Pipeline parallelism, in stages."""
    context: Dimension = 1
    """Context parallelism, in GPUs."""
    moe_tensor: Dimension | None = None
    """Tensor parallelism of the experts, in GPUs. Absent for models without experts."""
    moe_expert: Dimension | None = None
    """Expert parallelism, in GPUs. Absent for models without experts."""
    nodes: Dimension
    """Number of pods of one replica, each on a node of its own."""
    gpus_per_node: Dimension
    """Number of GPUs of each of these pods."""
    product: ShortText
    """GPU product, as in the node label nvidia.com/gpu.product."""
    compute_capability: ComputeCapability
    """Compute capability of the GPU, such as "9.0"."""
    memory: Annotated[tuple[PlanItem, ...], Field(max_length=8)] = ()
    """Estimated memory of the fullest GPU, item by item."""
    why: Annotated[tuple[Message, ...], Field(max_length=16)] = ()
    """Sentences about what was decided, with the numbers."""
    alternatives: Annotated[tuple[Message, ...], Field(max_length=4)] = ()
    """Other layouts that fit, at most 4."""


class EngineLimits(ApiModel):
    """Limits that an engine was built for, read from its config.json."""

    max_batch_size: Count
    """Largest number of requests that are scheduled at the same time."""
    max_input_length: Annotated[int, Field(ge=0, le=MAX_COUNT)]
    """Longest prompt, in tokens."""
    max_sequence_length: Count
    """Longest prompt and answer together, in tokens."""
    max_tokens: Count
    """Largest number of tokens in one step over all requests."""
    max_beam_width: Beams
    """Largest number of beams per request."""


class EngineArtifact(ApiModel):
    """The published engine, checked rank by rank."""

    request_digest: Digest
    """Identity of everything that was requested. A resource with the same one uses this engine without a Job."""
    digest: Digest
    """Identity of the engine: sha256 over everything that determines its bytes."""
    claim_name: ObjectName
    """PersistentVolumeClaim that holds the engine."""
    path: StorePath
    """Path of the engine's directory on that claim."""
    bytes: Size
    """Size of all files, in bytes."""
    version: ShortText
    """Version of TensorRT-LLM that built the engine, as it reports itself."""
    product: ShortText
    """GPU product that the building pods saw. Servers run only on this GPU."""
    compute_capability: ComputeCapability
    """Compute capability of that GPU, such as "9.0"."""
    world: Dimension
    """Number of ranks: tensor x pipeline x context."""
    limits: EngineLimits
    """Limits that the engine was built for."""
    reused_from: ObjectName | None = None
    """EngineBuild that built the engine. Absent if this one did."""


class ServedArtifact(ApiModel):
    """The files that the servers read."""

    digest: Digest
    """Identity of the artifact, the engine or the source."""
    claim_name: ObjectName
    """PersistentVolumeClaim that holds the files."""
    path: StorePath
    """Path of the directory on that claim."""
    method: Method | None = None
    """Method that the model is quantized with. Absent for engines, and for a source that is served unchanged."""
    runtime: Runtime = Runtime.TRANSFORMERS
    """Runtime that serves the files."""


class ServingStatus(ApiModel):
    """Servers and Service, as Kubernetes reports them."""

    url: ShortText | None = None
    """Address of the Service inside the cluster; the OpenAI endpoints are below /v1. Absent until servers exist."""
    replicas: Dimension = 0
    """Number of replicas of all revisions."""
    ready_replicas: Dimension = 0
    """Number of replicas that answered their known prompt."""
    selector: Message = ""
    """Label selector of the servers' pods, for the scale subresource."""


class EngineBuildStatus(ApiModel):
    """Observed state: the conditions, the plan, the engine and the servers."""

    observed_generation: Generation = 0
    """The metadata.generation of the spec that this status was computed from."""
    stage: ShortText | None = None
    """Current stage in one word, such as Fetching, Converting, Building, Publishing, RollingOut, Serving or Failed."""
    conditions: ConditionList = ()
    """Conditions Ready, Reconciling and Stalled, and one for each stage: ModelReady, PreflightPassed, EngineReady,
    Available."""
    progress: Progress | None = None
    """Progress of the current step. Absent while nothing runs."""
    source: SourceStatus | None = None
    """The source that was fetched. Absent with spec.modelRef."""
    model_facts: ModelFacts | None = None
    """Facts about the model of spec.source. Absent with spec.modelRef."""
    plan: EnginePlan | None = None
    """Parallelism and GPUs of one replica, and why. Absent for runtime Transformers."""
    engine: EngineArtifact | None = None
    """The published engine. Absent for other runtimes than TensorRT, and until an engine is built."""
    artifact: ServedArtifact | None = None
    """The artifact that was last rolled out completely. It keeps serving while a newer one is not ready."""
    serving: ServingStatus | None = None
    """Servers and Service. Absent if nothing is served."""
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=10)] = ()
    """Engines, rollouts and failures, the newest first; at most 10."""
