"""The contract between the operator and a builder Job.

BuildRequest is one JSON file mounted from a ConfigMap at REQUEST_PATH; BuildResult is the container's termination
message; progress is the last log line that parses as a ProgressLine. Builder pods have no Kubernetes credentials:
Secrets reach them as environment variables, files as volumes.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from trtllm_api.base import (
    MAX_INTEGER,
    ApiModel,
    ComputeCapability,
    Device,
    Digest,
    Dimension,
    Message,
    ShortText,
    Size,
    StorePath,
)
from trtllm_api.enginebuild import Runtime
from trtllm_api.enginestatus import EngineLimits
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import CandidatePlan, CandidateStatus, Measures
from trtllm_api.quality import Canary, HubDataset, OnFailure
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_api.source import Source
from trtllm_api.termination import fitted

REQUEST_PATH = "/etc/trtllm/request.json"
STORE_PATH = "/store"
"""Mount point of spec.storage's claim: sources/<hex>/, artifacts/<hex>/, work/ below it."""
SOURCE_PATH = "/source"
"""Mount point of a persistentVolumeClaim source, read-only."""
CALIBRATION_PATH = "/calibration"
"""Mount point of a calibration dataset from a ConfigMap or a claim, read-only."""
EVALUATION_PATH = "/evaluation"
"""Mount point of an evaluation dataset from a ConfigMap or a claim, read-only."""
TERMINATION_PATH = "/dev/termination-log"
MAX_RESULT_BYTES = 4096
HF_TOKEN_ENV = "HF_TOKEN"
DATASET_TOKEN_ENV = "TRTLLM_DATASET_TOKEN"
SERVE_PORT = 8000
CONTROL_PORT = 8001
"""Port of the launcher beside trtllm-serve, where it answers whether the server is ready."""
APP_PATH = "/opt/trtllm/app"
"""Directory of the builder's code. In containers of NVIDIA's image, an init container copies it there."""
LAUNCH_PATH = "/etc/trtllm/launch.json"
"""Path of a server's LaunchRequest."""


class ExitCode(IntEnum):
    """Exit code of a builder. 64 to 69 are permanent: a retry ends with the same one."""

    OK = 0
    BAD_REQUEST = 64
    BAD_MODEL = 65
    QUALITY_REFUSED = 66
    NOT_SUPPORTED = 67
    INPUT_MISSING = 69
    TRANSIENT = 75


PERMANENT_EXIT_CODES: tuple[int, ...] = (
    ExitCode.BAD_REQUEST,
    ExitCode.BAD_MODEL,
    ExitCode.QUALITY_REFUSED,
    ExitCode.NOT_SUPPORTED,
    ExitCode.INPUT_MISSING,
)


class Stage(StrEnum):
    """Work of a builder Job."""

    FETCH = "Fetch"
    QUANTIZE = "Quantize"
    CONVERT = "Convert"
    BUILD = "Build"
    PUBLISH = "Publish"


class DatasetRequest(ApiModel):
    """A dataset as the builder finds it: a mounted file or directory, or a hub repository."""

    path: Annotated[str, StringConstraints(max_length=1024)] | None = None
    hugging_face: HubDataset | None = None


class FetchRequest(ApiModel):
    """Fetch, pin and verify the source, compute ModelFacts, publish the source artifact."""

    source: Source
    trust_remote_code: bool = False


class CalibrationRequest(ApiModel):
    """Calibration with its dataset resolved; without a dataset, the builder's own texts are used."""

    dataset: DatasetRequest | None = None
    samples: int
    sequence_length: int
    batch_size: int


class GateRequest(ApiModel):
    """The quality gate's thresholds and data."""

    max_perplexity_increase: str
    max_kl_divergence: str | None = None
    min_top_token_agreement: str
    dataset: DatasetRequest | None = None
    tokens: int
    sequence_length: int
    canaries: tuple[Canary, ...] = ()
    on_failure: OnFailure


class QuantizeRequest(ApiModel):
    """Measure the source, then try the candidates in order until the gate passes one."""

    source_digest: Digest
    source_path: str
    """Absolute path of the model's files inside the pod."""
    source_manifest: str
    """Absolute path of the source's manifest inside the pod."""
    candidates: tuple[CandidatePlan, ...]
    checkpoint: Checkpoint = Checkpoint()
    calibration: CalibrationRequest
    gate: GateRequest
    device: Device
    trust_remote_code: bool = False


class ExpectedGpu(ApiModel):
    """GPUs that a pod must find on its node. A field that is None accepts any."""

    product: ShortText | None = None
    """GPU product, as in the node label nvidia.com/gpu.product."""
    compute_capability: ShortText | None = None
    """Compute capability, such as "9.0"; compared as numbers."""
    count: int = 1
    """Least number of GPUs that the container must see."""


class ConvertRequest(ApiModel):
    """Run convert_checkpoint.py, which writes a TensorRT-LLM checkpoint to `checkpoint/` in the work directory."""

    script: ShortText
    """Family of the script: llama, qwen, ...; the image's examples directory has one for each."""
    arguments: tuple[str, ...]
    """Arguments of the script, except --model_dir and --output_dir."""
    model_path: str
    """Absolute path of the Hugging Face checkpoint inside the pod."""
    model_manifest: str
    """Absolute path of its manifest inside the pod."""
    tensor: int
    pipeline: int
    context: int = 1
    gpu: ExpectedGpu
    version: ShortText | None = None
    """Version of TensorRT-LLM that the image must report; None accepts any."""


class RanksRequest(ApiModel):
    """Run trtllm-build for this pod's ranks, which it writes to `engine/` in the work directory."""

    checkpoint_path: str | None = None
    """Absolute path of a published TensorRT-LLM checkpoint; None: `checkpoint/` of the work directory."""
    arguments: tuple[str, ...]
    """Arguments of trtllm-build, except --checkpoint_dir, --output_dir, --workers and the timing caches."""
    world: int
    pods: int
    """Number of pods that share the ranks; JOB_COMPLETION_INDEX says which one this is."""
    gpus_per_pod: int
    node_size: int | None = None
    """Value of mapping.gpus_per_node in the engine: GPUs of a serving pod. None keeps the checkpoint's value."""
    workers: int
    timing_cache: bool = True
    gpu: ExpectedGpu
    version: ShortText | None = None


class PublishRequest(ApiModel):
    """Check every rank and config.json, and publish the engine."""

    inputs: dict[str, Any]
    """Everything that changes the bytes and is known before the build: model, options, image. The builder adds what
    the pods report."""
    world: int
    pods: int
    tensor: int
    pipeline: int
    context: int = 1
    probe_manifest: str | None = None
    """Absolute path of the model's manifest. The engine must answer its probe, too."""
    tokenizer_path: str | None = None
    """Absolute path of the model's directory. Its files except the weights become the engine's `tokenizer/`."""


class LaunchRequest(ApiModel):
    """How to start trtllm-serve. All pods of a replica get the same one; LeaderWorkerSet's labels tell them apart."""

    runtime: Runtime
    model_path: str
    """Absolute path of the engine, or of the Hugging Face checkpoint."""
    model_manifest: str
    """Absolute path of its manifest. The server must answer its probe; without a probe, any readable answer passes."""
    tokenizer_path: str
    """Absolute path of a directory with the tokenizer; the checkpoint itself if it has one."""
    arguments: tuple[str, ...]
    """Arguments of trtllm-serve, except the model, --tokenizer, --host, --port and the file of options."""
    options_flag: ShortText
    """Flag of the file of options in this version: --config or --extra_llm_api_options."""
    options: dict[str, Any]
    """Contents of the file of options (LlmArgs)."""
    served_model_name: ShortText
    world: int
    nodes: int = 1
    """Number of pods of a replica; with several, mpirun starts a rank for each GPU."""
    gpus_per_node: int
    gpu: ExpectedGpu
    version: ShortText | None = None
    drain_seconds: int = 120


class BuildRequest(ApiModel):
    """Work of one Job. Exactly one of the stages' parts is set."""

    stage: Stage
    namespace: str
    name: str
    request_digest: Digest
    fetch: FetchRequest | None = None
    quantize: QuantizeRequest | None = None
    convert: ConvertRequest | None = None
    ranks: RanksRequest | None = None
    publish: PublishRequest | None = None


class FetchResult(ApiModel):
    """A verified source."""

    digest: Digest
    revision: ShortText | None = None
    path: StorePath
    """Path relative to the store for fetched files, to the source claim for a persistentVolumeClaim source."""
    manifest_path: StorePath
    """Path relative to the store."""
    bytes: Size
    facts: ModelFacts


class ArtifactResult(ApiModel):
    """A published artifact."""

    digest: Digest
    path: StorePath
    """Path relative to the store."""
    bytes: Size
    method: Method
    group_size: Dimension | None = None
    report: StorePath
    """Path relative to the store."""
    reused: bool = False
    """Whether the artifact was on the volume already, so that nothing was computed."""


class QuantizeResult(ApiModel):
    """Candidates that were tried and, if one passed, the artifact that was published."""

    reference: Measures | None = None
    candidates: Annotated[tuple[CandidateStatus, ...], Field(max_length=10)] = ()
    artifact: ArtifactResult | None = None


class EngineResult(ApiModel):
    """A published engine."""

    digest: Digest
    path: StorePath
    """Path relative to the store."""
    bytes: Size
    version: ShortText
    product: ShortText
    compute_capability: ComputeCapability
    world: Dimension
    limits: EngineLimits
    reused: bool = False


class BuildResult(ApiModel):
    """The termination message of a builder. Its fields are bounded like those of the status that they become."""

    stage: Stage
    exit_code: Annotated[int, Field(ge=0, le=255)]
    reason: Reason | None = None
    message: Message = ""
    remedy: Message = ""
    fetch: FetchResult | None = None
    quantize: QuantizeResult | None = None
    engine: EngineResult | None = None

    def to_termination_message(self) -> bytes:
        """JSON of at most MAX_RESULT_BYTES bytes; the least useful parts are left out first."""
        # the reader fills in defaults
        wire = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        return fitted(wire, MAX_RESULT_BYTES)


_Amount = Annotated[float, Field(ge=0, le=MAX_INTEGER)]


class ProgressLine(ApiModel):
    """One JSON log line: `{"progress": {...}}`."""

    stage: Annotated[str, StringConstraints(max_length=64)]
    """Name of the step: Downloading, Verifying, MeasuringSource, Quantizing, Exporting, Evaluating, ..."""
    done: _Amount
    total: _Amount
    unit: Annotated[str, StringConstraints(max_length=32)] = ""
    eta_seconds: _Amount | None = None
    rate: _Amount | None = None
    """Units per second since the step began."""
    detail: ShortText = ""
    memory_peak: Size | None = None
    """Peak so far of the container's memory that the kernel cannot reclaim, in bytes."""
