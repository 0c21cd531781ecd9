"""The EngineBuild resource: which model to build an engine of, how to serve it, on how many replicas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from trtllm_api.base import ApiModel, Device, Fraction, ObjectName, ShortText, cel
from trtllm_api.buildoptions import Build, Convert, Count, ExtraArguments, GpuSelector, Limits, LoraServing, Parallelism
from trtllm_api.meta import PodTemplate
from trtllm_api.source import Source, Storage

KIND = "EngineBuild"
PLURAL = "enginebuilds"


class Runtime(StrEnum):
    """What executes the model."""

    TRANSFORMERS = "Transformers"
    """Hugging Face transformers in the builder's own image; any CPU or GPU."""
    PYTORCH = "PyTorch"
    """TensorRT-LLM's PyTorch backend: trtllm-serve on a Hugging Face checkpoint, no engine."""
    TENSORRT = "TensorRT"
    """TensorRT-LLM's engines: convert, trtllm-build, trtllm-serve; images up to 1.2."""


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
    """Runtime Transformers: requests of one replica that generate at the same time; the others wait."""
    max_batch_size: Count | None = None
    """This and the other limits: never above those that the engine was built for; its own when omitted."""
    max_tokens: Count | None = None
    max_sequence_length: Count | None = None
    max_beam_width: Annotated[int, Field(ge=1, le=64)] | None = None
    kv_cache_fraction: Fraction | None = None
    """Of the GPU memory that weights and buffers leave; TensorRT-LLM's 0.9 when omitted."""
    chunked_prefill: bool | None = None
    """Long prompts in pieces of maxTokens."""
    lora: LoraServing | None = None
    reasoning_parser: ShortText | None = None
    tool_parser: ShortText | None = None
    options: Annotated[
        dict[str, Any], Field(max_length=64, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = Field(default={})
    """Goes into the YAML that trtllm-serve reads (LlmArgs), under what the fields above say."""
    extra_args: ExtraArguments = ()
    """Further arguments of trtllm-serve."""
    shared_memory: Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+(Mi|Gi)$")] | None = None
    """Size of the memory-backed /dev/shm; planned from the number of GPUs when omitted."""
    service: ServiceSpec = ServiceSpec()
    pod_template: PodTemplate = PodTemplate()


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


class EngineBuildSpec(ApiModel):
    """What is wanted."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": _RULES})

    model_ref: ModelRef | None = None
    source: Source | None = None
    """A checkpoint that is used as it is: unquantized, or quantized by somebody else."""
    trust_remote_code: bool = False
    """Of the source."""
    storage: Storage = Storage()
    """Where the source and the engine go; with modelRef, the model's own claim is used."""
    runtime: Runtime = Runtime.TRANSFORMERS
    image: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = None
    """nvcr.io/nvidia/tensorrt-llm/release:1.2.1, or a mirror of it."""
    image_version: (
        Annotated[str, StringConstraints(max_length=32, pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?(rc[0-9]+)?$")] | None
    ) = None
    """The TensorRT-LLM version in the image, where its tag does not say it."""
    device: Device = Device.GPU
    gpu: GpuSelector | None = None
    parallelism: Parallelism | None = None
    """Planned from the model and the cluster's GPUs when omitted."""
    limits: Limits | None = None
    convert: Convert | None = None
    build: Build | None = None
    pod_template: PodTemplate = PodTemplate()
    """Of the Jobs that fetch, convert and build."""
    serving: Serving | None = None
    """Omitted with runtime TensorRT: the engine is built and not served."""
    suspend: bool = False
