"""EngineQuestion: everything that the rules about engines judge, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trtllm_api.buildoptions import Build, Convert
from trtllm_api.enginebuild import Serving
from trtllm_api.enginestatus import EngineLimits
from trtllm_api.facts import Details, ModelFacts
from trtllm_planner.inventory import GpuKind
from trtllm_planner.tensorrt_llm.layout import ONE_RANK, Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, ImageInfo, KvFormat, algorithm_named

DEFAULT_GROUP = 128


class KvCacheType(StrEnum):
    """Values of --kv_cache_type."""

    PAGED = "paged"
    CONTINUOUS = "continuous"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Limits:
    """Limits that the engine or server must be able to hold."""

    max_seq_len: int
    max_batch_size: int | None = None
    max_input_len: int | None = None
    max_num_tokens: int = 8192
    max_beam_width: int = 1
    sequences: int = 1
    """Sequences of full length whose KV cache must fit at the same time."""

    @property
    def batch(self) -> int:
        """Largest batch, in sequences: max_batch_size, or else TensorRT-LLM's default."""
        return 2048 if self.max_batch_size is None else self.max_batch_size


@dataclass(frozen=True)
class Options:
    """Build and serving options that constrain each other."""

    kv_fraction: float = 0.9
    """Share of the GPU memory that weights and buffers leave, 0 to 1."""
    kv_cache_type: KvCacheType = KvCacheType.PAGED
    tokens_per_block: int = 32
    chunked_prefill: bool = False
    block_reuse: bool = False
    paged_context_fmha: bool = True
    context_fmha: bool = True
    fp8_context_fmha: bool = False
    remove_input_padding: bool = True
    gather_context_logits: bool = False
    multiple_profiles: bool = False
    opt_num_tokens: int | None = None
    gemm_swiglu_plugin: bool = False
    fused_mlp: bool = True
    streaming_llm: bool = False
    speculation: str | None = None
    """Value of --speculative_decoding_mode."""
    max_draft_len: int = 0
    drafts_with_own_layers: bool = False
    """Whether layers of the checkpoint predict further tokens (MTP), so that they are loaded, too."""
    attention_windows: tuple[int, ...] = ()
    """Tokens that each layer keeps (kv_cache_config.max_attention_window); the numbers repeat over the layers."""
    chat: bool = False
    """Whether the chat endpoint is used."""


@dataclass(frozen=True)
class EngineStamp:
    """Facts that a built engine records about itself."""

    version: str
    """Version of TensorRT-LLM that built it."""
    product: str
    capability: tuple[int, int]
    world: int
    rank_files: int
    """Number of ranks whose file exists and is not empty."""
    limits: EngineLimits | None = None
    """Limits in its config.json."""


@dataclass(frozen=True)
class ArtifactFacts:
    """The artifact of a QuantizedModel that is served, or that an engine is built from."""

    quantized: bool
    engine_format: bool
    """Whether its checkpoint.format is TensorRTLLM, with one file per rank, instead of HuggingFace."""
    tensor: int = 1
    """Tensor parallelism that a TensorRTLLM checkpoint is divided for."""
    pipeline: int = 1
    name: str = ""
    """Name of the QuantizedModel."""


@dataclass(frozen=True)
class CheckpointFile:
    """One safetensors file, described by its first bytes and its size."""

    name: str
    bytes: int
    header_bytes: int = 0
    """Size of the header: the little-endian number in the first 8 bytes."""
    data_bytes: int = 0
    """Size of the data: the largest end in data_offsets."""
    pointer: bool = False
    """Whether it is a Git-LFS pointer."""


@dataclass(frozen=True)
class FileFacts:
    """Files of a checkpoint."""

    weights: tuple[CheckpointFile, ...]
    indexed: frozenset[str] = frozenset()
    """Files that model.safetensors.index.json names."""
    tokenizer: bool = True


@dataclass(frozen=True)
class PodFacts:
    """Facts about a pod that serves or builds."""

    gpus: int
    shared_memory_bytes: int | None = None
    """Size of the memory-backed /dev/shm; None: the container runtime's 64 MiB."""
    memory_limit_bytes: int | None = None
    host: str | None = None
    """Value of the server's --host; None if the pod serves nothing."""
    writable: frozenset[str] = frozenset({"HOME", "HF_HOME", "TRITON_CACHE_DIR"})
    """Environment variables that name a writable directory."""
    volume_bytes: int | None = None
    needed_bytes: int = 0
    """Size of source, checkpoint and engine together."""
    startup_seconds: int | None = None
    """Time that the startup probe allows."""
    needed_startup_seconds: int = 0
    driver: str | None = None
    least_driver: str | None = None
    offline: bool = False
    needs_hub: bool = False
    """Whether calibration or evaluation data are read from the hub."""
    grace_seconds: int | None = None


@dataclass(frozen=True)
class HostFacts:
    """The machine that converts, calibrates or builds."""

    memory_bytes: int
    gpu_memory_bytes: int = 0
    """Memory of all its GPUs; 0 if it has none."""
    calibrates: bool = False


@dataclass(frozen=True)
class EngineQuestion:
    """One model, one layout and the options of an engine or server. The rules say whether they work together."""

    facts: ModelFacts
    limits: Limits
    image: ImageInfo
    runtime: EngineRuntime = EngineRuntime.PYTORCH
    layout: Layout = ONE_RANK
    gpu: GpuKind | None = None
    gpus_per_node: int | None = None
    pods: int | None = None
    """Number of pods; None for as many as the layout needs."""
    algorithm: Algorithm = Algorithm.NONE
    group_size: int | None = None
    kv_cache: KvFormat = KvFormat.AUTO
    calibrated: bool = True
    """Whether the scales of the KV cache come from calibration."""
    exclude_modules: tuple[str, ...] = ()
    options: Options = Options()
    trust_remote_code: bool = False
    stamp: EngineStamp | None = None
    artifact: ArtifactFacts | None = None
    """Artifact of spec.modelRef; None if the model comes from spec.source."""
    build: Build | None = None
    convert: Convert | None = None
    serving: Serving | None = None
    """Value of spec.serving; None if nothing is served."""
    access_mode: str | None = None
    """Access mode of the claim that holds model and engine; None if it is not known."""
    files: FileFacts | None = None
    pod: PodFacts | None = None
    host: HostFacts | None = None

    @property
    def details(self) -> Details:
        """Facts of the model that only some models have."""
        return self.facts.details

    @property
    def group(self) -> int:
        """Group size of grouped algorithms."""
        return self.group_size or DEFAULT_GROUP

    @property
    def formats(self) -> tuple[Algorithm | None, ...]:
        """All formats of the weights; None stands for one that TensorRT-LLM has no name for."""
        checkpoint = self.details.checkpoint if self.artifact is None else None
        if checkpoint is not None and checkpoint.formats:
            return tuple(map(algorithm_named, checkpoint.formats))
        return (self.algorithm,)

    @property
    def positions(self) -> int:
        """Longest sequence that the model supports, in tokens; 0 if config.json does not say."""
        return self.details.positions or self.facts.max_position_embeddings
