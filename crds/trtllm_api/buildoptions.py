"""What users set about an engine: GPUs, parallelism, limits, conversion and build; part of EngineBuild's spec.

Every option of trtllm-build and convert_checkpoint.py has its field here, or is reachable through extraArgs; the
argument lists are made in trtllm_planner.commands.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import ApiModel, Fraction, Quantity, RelativePath, ShortText, cel
from trtllm_api.quantization import KVCache
from trtllm_api.source import VolumeSource

Count = Annotated[int, Field(ge=1, le=1048576)]
Argument = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
ExtraArguments = Annotated[tuple[Argument, ...], Field(max_length=64)]
"""Arguments as on a command line: `--flag=value`, or `--flag` and `value`."""


class GpuSelector(ApiModel):
    """Which of the cluster's GPUs; everything that is set narrows the choice."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-_.a-zA-Z0-9]+$")] | None = None
    """Exactly as the node label nvidia.com/gpu.product has it."""
    compute_capability: Annotated[str, StringConstraints(max_length=4, pattern=r"^[0-9]{1,2}\.[0-9]$")] | None = None
    memory: Quantity | None = None
    """At least that much for each GPU; with perNode, of GPUs that no node has yet (an autoscaler brings them)."""
    per_node: Annotated[int, Field(ge=1, le=64)] | None = None
    """GPUs of one node to use; with product, of nodes that an autoscaler brings."""


class Parallelism(ApiModel):
    """How the model is divided among GPUs: world size = tensor x pipeline x context."""

    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1
    context: Annotated[int, Field(ge=1, le=64)] = 1
    moe_tensor: Annotated[int, Field(ge=1, le=64)] | None = None
    moe_expert: Annotated[int, Field(ge=1, le=64)] | None = None


class Limits(ApiModel):
    """What an engine is built for, or a PyTorch server started with; TensorRT-LLM's defaults where nothing is set."""

    max_batch_size: Count | None = None
    """Requests that are scheduled at the same time."""
    max_input_length: Count | None = None
    """Tokens of a prompt."""
    max_sequence_length: Count | None = None
    """Tokens of prompt and answer; the model's own limit when omitted."""
    max_tokens: Count | None = None
    """Tokens of one step over all requests (max_num_tokens)."""
    max_beam_width: Annotated[int, Field(ge=1, le=64)] = 1


class KvCacheType(StrEnum):
    """--kv_cache_type."""

    PAGED = "Paged"
    CONTINUOUS = "Continuous"
    DISABLED = "Disabled"


class SpeculativeMode(StrEnum):
    """--speculative_decoding_mode."""

    DRAFT_TOKENS_EXTERNAL = "DraftTokensExternal"
    LOOKAHEAD = "LookaheadDecoding"
    MEDUSA = "Medusa"
    EXPLICIT_DRAFT_TOKENS = "ExplicitDraftTokens"
    EAGLE = "Eagle"


class SpeculativeDecoding(ApiModel):
    """A draft of several tokens that the model checks at once."""

    mode: SpeculativeMode
    max_draft_length: Annotated[int, Field(ge=1, le=1024)]


class LoraSource(StrEnum):
    """--lora_ckpt_source."""

    HF = "HF"
    NEMO = "NeMo"


class LoraBuild(ApiModel):
    """Makes the engine take LoRA adapters."""

    max_rank: Annotated[int, Field(ge=1, le=1024)] = 64
    target_modules: Annotated[tuple[ShortText, ...], Field(max_length=32)] = ()
    """TensorRT-LLM's names: attn_qkv, attn_q, attn_dense, mlp_h_to_4h, ..."""
    source: LoraSource = LoraSource.HF
    directories: Annotated[tuple[RelativePath, ...], Field(max_length=16)] = ()
    """Adapters on the model's claim; the first one tells ranks and modules."""


class PluginType(StrEnum):
    """Data types of a plugin."""

    AUTO = "auto"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT32 = "int32"
    FP8 = "fp8"
    NVFP4 = "nvfp4"
    DISABLE = "disable"


class DataType(StrEnum):
    """Precision of what is not quantized."""

    AUTO = "auto"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


class LogitsType(StrEnum):
    """--logits_dtype."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


class ProfilingVerbosity(StrEnum):
    """--profiling_verbosity."""

    LAYER_NAMES_ONLY = "layer_names_only"
    DETAILED = "detailed"
    NONE = "none"


class SmoothQuant(ApiModel):
    """SmoothQuant by convert_checkpoint.py."""

    alpha: Fraction = "0.5"
    per_channel: bool = False
    per_token: bool = False


class WeightOnly(StrEnum):
    """Weight-only quantization by convert_checkpoint.py, without calibration."""

    INT8 = "INT8"
    INT4 = "INT4"


class Convert(ApiModel):
    """convert_checkpoint.py: from a Hugging Face checkpoint to a TensorRT-LLM one."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "!(has(self.weightOnly) && has(self.smoothQuant))",
                    "convert takes weightOnly or smoothQuant, not both",
                )
            ]
        }
    )

    data_type: DataType = DataType.AUTO
    weight_only: WeightOnly | None = None
    smooth_quant: SmoothQuant | None = None
    kv_cache: KVCache | None = None
    calibration: VolumeSource | None = None
    """Calibration data of smoothQuant and kvCache: a data set's directory on a claim."""
    calibration_samples: Annotated[int, Field(ge=1, le=16384)] | None = None
    parallel_embedding: bool = False
    embedding_sharding_dimension: Annotated[int, Field(ge=0, le=1)] | None = None
    load_by_shard: bool = False
    load_on_cpu: bool = False
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    extra_args: ExtraArguments = ()


class Build(ApiModel):
    """trtllm-build; an unset field leaves the image's own default."""

    gpus: Annotated[int, Field(ge=1, le=512)] | None = None
    """GPUs that build; fewer than ranks build one after another. One for each rank when omitted."""
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Ranks that a pod builds at the same time; as many as it has GPUs when omitted."""
    kv_cache_type: KvCacheType | None = None
    tokens_per_block: Annotated[int, Field(ge=1, le=1024)] | None = None
    opt_tokens: Count | None = None
    context_attention: bool | None = None
    """--context_fmha."""
    paged_context_attention: bool | None = None
    """--use_paged_context_fmha: chunked prefill and KV cache reuse need it."""
    fp8_context_attention: bool | None = None
    """--use_fp8_context_fmha."""
    remove_input_padding: bool | None = None
    fused_mlp: bool | None = None
    multiple_profiles: bool | None = None
    gather_context_logits: bool = False
    gather_generation_logits: bool = False
    logits_type: LogitsType | None = None
    max_prompt_embedding_table_size: Annotated[int, Field(ge=0, le=1048576)] | None = None
    lora: LoraBuild | None = None
    speculative_decoding: SpeculativeDecoding | None = None
    plugins: Annotated[dict[ShortText, PluginType], Field(max_length=32)] = Field(default={})
    """By trtllm-build's names without dashes and `_plugin`: {gemm: auto, moe: disable, ...}."""
    timing_cache: bool = True
    """Keep the timing cache on the claim, for builds with the same image on the same GPU."""
    profiling_verbosity: ProfilingVerbosity | None = None
    strip_plan: bool = False
    weight_sparsity: bool = False
    weight_streaming: bool = False
    fast_build: bool = False
    monitor_memory: bool = False
    extra_args: ExtraArguments = ()


class LoraAdapter(ApiModel):
    """An adapter that requests may name."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-._a-zA-Z0-9]+$")]
    claim_name: Annotated[
        str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ]
    path: RelativePath


class LoraServing(ApiModel):
    """LoRA of a PyTorch server, or of an engine built with build.lora."""

    adapters: Annotated[tuple[LoraAdapter, ...], Field(max_length=16)] = ()
    max_rank: Annotated[int, Field(ge=1, le=1024)] = 64
    max_loaded: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Adapters that are in GPU memory at the same time."""
