"""The EngineBuild resource: a model, the engine that is built of it, and the servers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from trtllm_api.base import ApiModel, Device, Fraction, ObjectName, ResourceSpec, ShortText, cel, free_form
from trtllm_api.buildoptions import (
    Beams,
    Build,
    Convert,
    Count,
    ExtraArguments,
    GpuSelector,
    Limits,
    LoraServing,
    Parallelism,
)
from trtllm_api.meta import PodTemplate
from trtllm_api.source import Source, Storage

KIND = "EngineBuild"
PLURAL = "enginebuilds"


class Runtime(StrEnum):
    """Program that executes the model."""

    TRANSFORMERS = "Transformers"
    """Hugging Face transformers in the builder's own image, on any CPU or GPU."""
    PYTORCH = "PyTorch"
    """TensorRT-LLM's PyTorch backend: trtllm-serve on a Hugging Face checkpoint, without an engine."""
    TENSORRT = "TensorRT"
    """TensorRT-LLM's engines: convert_checkpoint.py, trtllm-build, trtllm-serve; images 0.20 to 1.2."""


class ServiceType(StrEnum):
    """Type of the Service."""

    CLUSTER_IP = "ClusterIP"
    """Reachable inside the cluster."""
    NODE_PORT = "NodePort"
    """Reachable at a port of every node, too."""
    LOAD_BALANCER = "LoadBalancer"
    """Reachable at an address of the cloud's load balancer, too."""


class ModelRef(ApiModel):
    """A QuantizedModel in the same namespace."""

    name: ObjectName
    """Name of the QuantizedModel."""


class ServiceSpec(ApiModel):
    """Service that clients reach the replicas through. If omitted, one of type ClusterIP with port 80."""

    type: ServiceType = ServiceType.CLUSTER_IP
    """Type of the Service."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    """Port of the Service; the servers listen on 8000."""


class Serving(ApiModel):
    """Servers behind OpenAI's endpoints: how many, with which limits and options, and their Service."""

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of servers; each has all ranks of the model. `kubectl scale` sets it, and 0 stops serving."""
    served_model_name: (
        Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-._/:a-zA-Z0-9]+$")] | None
    ) = None
    """Name of the model in requests and in /v1/models, where images before 1.3.0rc10 show only what follows its last
    slash. If omitted, the resource's name."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=1024)] = 4
    """Number of requests that one replica answers at the same time; further ones wait. Runtime Transformers only."""
    max_batch_size: Count | None = None
    """Largest number of requests that one replica schedules at the same time, at most the engine's. If omitted,
    limits.maxBatchSize. Runtimes PyTorch and TensorRT."""
    max_tokens: Count | None = None
    """Largest number of tokens in one step over all requests, at most the engine's. If omitted, limits.maxTokens.
    Runtimes PyTorch and TensorRT."""
    max_sequence_length: Count | None = None
    """Longest prompt and answer together, in tokens, at most the engine's. If omitted, limits.maxSequenceLength.
    Runtimes PyTorch and TensorRT."""
    max_beam_width: Beams | None = None
    """Largest number of beams per request, at most the engine's. If omitted, limits.maxBeamWidth. Runtimes PyTorch and
    TensorRT."""
    kv_cache_fraction: Fraction | None = None
    """Share of the GPU memory that weights and buffers leave, "0" to "1", for the KV cache. If omitted, TensorRT-LLM's
    default (0.9). Runtimes PyTorch and TensorRT."""
    chunked_prefill: bool | None = None
    """Whether long prompts are processed in pieces of maxTokens tokens. If omitted, TensorRT-LLM's default (false).
    Runtimes PyTorch and TensorRT."""
    lora: LoraServing | None = None
    """LoRA adapters; an engine also needs build.lora, with targetModules or directories. If omitted, the server takes
    none. Runtimes PyTorch and TensorRT."""
    reasoning_parser: ShortText | None = None
    """Parser that separates a model's reasoning from its answer, such as deepseek-r1 or qwen3, if the image's version
    has it. If omitted, reasoning stays in the answer."""
    tool_parser: ShortText | None = None
    """Parser of tool calls, such as qwen3 or deepseek_v3, if the image's version has it. If omitted, tool calls stay in
    the answer."""
    options: Annotated[
        dict[str, Any],
        Field(max_length=64, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
        free_form(16384),
    ] = Field(default={})
    """Further keys of the YAML file that trtllm-serve reads (LlmArgs), at most 16 KiB of JSON; names, types and values
    are checked for the image's version before a GPU is used. The other fields of spec win over them."""
    extra_args: ExtraArguments = ()
    """Further arguments of trtllm-serve, as on a command line. Unknown flags, and flags that a field or the operator
    sets, are refused."""
    shared_memory: Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+(Mi|Gi)$")] | None = None
    """Size of the memory-backed /dev/shm of each pod, in MiB or GiB, such as 8Gi. If omitted, 1 GiB for one GPU and
    2 GiB per GPU for several. Runtimes PyTorch and TensorRT."""
    service: ServiceSpec = ServiceSpec()
    pod_template: PodTemplate = PodTemplate()
    """Settings of the servers' pods, such as nodeSelector, tolerations and resources; they are merged over the
    operator's."""


_NVIDIA = "self.runtime != 'Transformers'"
_ENGINE = "self.runtime == 'TensorRT'"
_RULES: list[JsonValue] = [
    cel(
        "(has(self.modelRef) ? 1 : 0) + (has(self.source) ? 1 : 0) == 1",
        "spec takes exactly one of modelRef and source",
    ),
    cel(
        f"has(self.image) == ({_NVIDIA})",
        "image names the TensorRT-LLM image of runtime PyTorch or TensorRT, which need it; Transformers takes none",
    ),
    cel(
        f"has(self.serving) || {_ENGINE}",
        "serving can be left out with runtime TensorRT only: the others build nothing",
    ),
    cel(f"{_ENGINE} || !(has(self.build) || has(self.convert))", "build and convert belong to runtime TensorRT"),
    cel(
        f"{_NVIDIA} || !(has(self.gpu) || has(self.parallelism) || has(self.limits) || has(self.imageVersion))",
        "gpu, parallelism, limits and imageVersion belong to the runtimes PyTorch and TensorRT",
    ),
    cel(f"self.device == 'GPU' || !({_NVIDIA})", "device CPU is for runtime Transformers"),
    cel(
        f"has(self.modelRef) || {_NVIDIA}",
        "source is for the runtimes PyTorch and TensorRT: use a QuantizedModel and modelRef",
    ),
]


class EngineBuildSpec(ResourceSpec):
    """Desired state: the model, the runtime, the engine, and how it is served; at most 64 KiB of JSON."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": _RULES})

    model_ref: ModelRef | None = None
    """QuantizedModel in the same namespace whose artifact is used. Exactly one of modelRef and source is set; runtime
    Transformers takes modelRef."""
    source: Source | None = None
    """A checkpoint that is used unchanged: unquantized, or quantized by somebody else. Exactly one of modelRef and
    source is set; runtimes PyTorch and TensorRT take it."""
    trust_remote_code: bool = False
    """Whether Python code that comes with spec.source may run in the pods. Set it only for sources that you trust."""
    storage: Storage = Storage()
    """PersistentVolumeClaim for the source and the engine; created if it does not exist, and never deleted. With
    modelRef, the QuantizedModel's claim is used instead."""
    runtime: Runtime = Runtime.TRANSFORMERS
    """Program that executes the model."""
    image: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = None
    """TensorRT-LLM's image or a mirror of it, such as nvcr.io/nvidia/tensorrt-llm/release:1.2.1. Required for runtimes
    PyTorch and TensorRT; omitted for Transformers."""
    image_version: (
        Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?(rc[0-9]+)?$")] | None
    ) = None
    """TensorRT-LLM's version in the image, such as 1.2.1; flags and formats depend on it. If omitted, it is read from
    the image's tag."""
    device: Device = Device.GPU
    """Device that serves. CPU is for runtime Transformers only."""
    gpu: GpuSelector | None = None
    """GPUs of the cluster that qualify. If omitted, all of them. Runtimes PyTorch and TensorRT."""
    parallelism: Parallelism | None = None
    """Division of the model among GPUs. If omitted, the smallest layout that fits the model is planned. Runtimes
    PyTorch and TensorRT."""
    limits: Limits | None = None
    """Limits that the engine is built for, or that the PyTorch server is started with. If omitted, TensorRT-LLM's
    defaults, and sequences of 8192 tokens at most."""
    convert: Convert | None = None
    """Conversion of a Hugging Face checkpoint by convert_checkpoint.py. If omitted, its defaults. Runtime TensorRT."""
    build: Build | None = None
    """Build of the engine by trtllm-build. If omitted, its defaults. Runtime TensorRT."""
    pod_template: PodTemplate = PodTemplate()
    """Settings of the pods of the Jobs that fetch, convert and build; they are merged over the operator's."""
    serving: Serving | None = None
    """Servers behind OpenAI's endpoints: how many, with which limits and options, and their Service. If omitted, the
    engine is built and not served; runtimes PyTorch and Transformers need it."""
    suspend: bool = False
    """Whether changes are held back: no Job starts and nothing is rolled out. Servers keep serving."""
