"""What the rules about engines are asked, as frozen data; built by the operator from resources and by the CLI."""

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
    """--kv_cache_type."""

    PAGED = "paged"
    CONTINUOUS = "continuous"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Limits:
    """What the engine must be able to hold."""

    max_seq_len: int
    max_batch_size: int | None = None
    max_input_len: int | None = None
    max_num_tokens: int = 8192
    max_beam_width: int = 1
    sequences: int = 1
    """Sequences of full length whose KV cache must fit at the same time."""

    @property
    def batch(self) -> int:
        """TensorRT-LLM's default where nothing is said."""
        return 2048 if self.max_batch_size is None else self.max_batch_size


@dataclass(frozen=True)
class Options:
    """Build and serving options that constrain each other."""

    kv_fraction: float = 0.9
    """Of what weights and buffers leave."""
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
    """--speculative_decoding_mode."""
    max_draft_len: int = 0
    drafts_with_own_layers: bool = False
    """The checkpoint's own layers predict further tokens (MTP): they are loaded, too."""
    attention_windows: tuple[int, ...] = ()
    """kv_cache_config.max_attention_window: tokens that layers keep, one number after the other, over and over."""
    chat: bool = False
    """The chat endpoint is used."""


@dataclass(frozen=True)
class EngineStamp:
    """What an engine says about itself."""

    version: str
    """TensorRT-LLM version that built it."""
    product: str
    capability: tuple[int, int]
    world: int
    rank_files: int
    """Ranks whose file is there and not empty."""
    limits: EngineLimits | None = None
    """What its config.json says it was built for."""


@dataclass(frozen=True)
class ArtifactFacts:
    """The artifact of a QuantizedModel, from which an engine is built or which is served."""

    quantized: bool
    engine_format: bool
    """checkpoint.format TensorRTLLM: one file per rank; else a Hugging Face checkpoint."""
    tensor: int = 1
    """Parallelism that is baked into a checkpoint of the engine's format."""
    pipeline: int = 1
    name: str = ""
    """Of the QuantizedModel."""


@dataclass(frozen=True)
class CheckpointFile:
    """One safetensors file, as its first bytes and its size describe it."""

    name: str
    bytes: int
    header_bytes: int = 0
    """The little-endian number in its first 8 bytes."""
    data_bytes: int = 0
    """The largest end in data_offsets."""
    pointer: bool = False
    """It begins as a Git-LFS pointer does."""


@dataclass(frozen=True)
class FileFacts:
    """Files of a checkpoint."""

    weights: tuple[CheckpointFile, ...]
    indexed: frozenset[str] = frozenset()
    """Files that model.safetensors.index.json names."""
    tokenizer: bool = True


@dataclass(frozen=True)
class PodFacts:
    """What a serving or build pod will have."""

    gpus: int
    shared_memory_bytes: int | None = None
    """Size of the memory-backed /dev/shm; None: the container runtime's 64 MiB."""
    memory_limit_bytes: int | None = None
    host: str | None = None
    """--host of the server; None: this pod serves nothing."""
    writable: frozenset[str] = frozenset({"HOME", "HF_HOME", "TRITON_CACHE_DIR"})
    """Environment variables that name a writable directory."""
    volume_bytes: int | None = None
    needed_bytes: int = 0
    """Source, checkpoint and engine together."""
    startup_seconds: int | None = None
    """What the startup probe allows."""
    needed_startup_seconds: int = 0
    driver: str | None = None
    least_driver: str | None = None
    offline: bool = False
    needs_hub: bool = False
    """The calibration or evaluation data are read from the hub."""
    grace_seconds: int | None = None


@dataclass(frozen=True)
class HostFacts:
    """The machine that converts, calibrates or builds."""

    memory_bytes: int
    gpu_memory_bytes: int = 0
    """Of all its GPUs; 0: it has none."""
    calibrates: bool = False


@dataclass(frozen=True)
class EngineQuestion:
    """Whether this model may become, or be served as, this engine."""

    facts: ModelFacts
    limits: Limits
    image: ImageInfo
    runtime: EngineRuntime = EngineRuntime.PYTORCH
    layout: Layout = ONE_RANK
    gpu: GpuKind | None = None
    gpus_per_node: int | None = None
    pods: int | None = None
    """Pods that were asked for; None: as many as are needed."""
    algorithm: Algorithm = Algorithm.NONE
    group_size: int | None = None
    kv_cache: KvFormat = KvFormat.AUTO
    calibrated: bool = True
    """Scales of the KV cache come from calibration."""
    exclude_modules: tuple[str, ...] = ()
    options: Options = Options()
    trust_remote_code: bool = False
    stamp: EngineStamp | None = None
    artifact: ArtifactFacts | None = None
    """None: the model comes from spec.source."""
    build: Build | None = None
    convert: Convert | None = None
    serving: Serving | None = None
    """None: nothing is served."""
    access_mode: str | None = None
    """Of the claim that holds model and engine; None: not known."""
    files: FileFacts | None = None
    pod: PodFacts | None = None
    host: HostFacts | None = None

    @property
    def details(self) -> Details:
        """What config.json says beyond the usual."""
        return self.facts.details

    @property
    def group(self) -> int:
        """Group size of grouped algorithms."""
        return self.group_size or DEFAULT_GROUP

    @property
    def formats(self) -> tuple[Algorithm | None, ...]:
        """Every format of the weights; None for one that TensorRT-LLM has no name for."""
        checkpoint = self.details.checkpoint if self.artifact is None else None
        if checkpoint is not None and checkpoint.formats:
            return tuple(map(algorithm_named, checkpoint.formats))
        return (self.algorithm,)

    @property
    def positions(self) -> int:
        """Longest sequence that the model knows; 0: it does not say."""
        return self.details.positions or self.facts.max_position_embeddings
