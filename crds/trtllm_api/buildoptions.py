"""Options of an engine: GPUs, parallelism, limits, conversion and build; part of EngineBuild's spec.

Every option of trtllm-build and convert_checkpoint.py has its field here, or is reachable through extraArgs; the
argument lists are made in trtllm_planner.commands.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import (
    ApiModel,
    Fraction,
    ObjectName,
    Quantity,
    RelativePath,
    ShortText,
    cel,
)
from trtllm_api.quantization import KVCache
from trtllm_api.source import VolumeSource

MAX_COUNT = 1048576
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Beams = Annotated[int, Field(ge=1, le=64)]
Argument = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
ExtraArguments = Annotated[tuple[Argument, ...], Field(max_length=64)]
"""Arguments as on a command line: `--flag=value`, or `--flag` and `value`."""


class GpuSelector(ApiModel):
    """GPUs of the cluster that qualify. Each field that is set narrows the choice; without any, all GPUs qualify."""

    product: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-_.a-zA-Z0-9]+$")] | None = None
    """GPU product, exactly as in the node label nvidia.com/gpu.product. If omitted, every product qualifies."""
    compute_capability: Annotated[str, StringConstraints(max_length=4, pattern=r"^[0-9]{1,2}\.[0-9]$")] | None = None
    """Compute capability, such as "9.0". If omitted, every one qualifies; a product that no node has and that the
    operator does not know needs it."""
    memory: Quantity | None = None
    """Least memory of each GPU, in bytes, such as 40Gi. If omitted, every size qualifies; a product that no node has
    and that the operator does not know needs it."""
    per_node: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of GPUs that are used on each node. If omitted, as many as the plan needs. Together with product, the
    nodes may not exist yet: an autoscaler can add them."""


class Parallelism(ApiModel):
    """Division of the model among GPUs. One replica has tensor x pipeline x context ranks, one GPU each."""

    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    """Tensor parallelism: the number of GPUs that share each layer."""
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1
    """Pipeline parallelism: the number of groups of GPUs that hold consecutive layers."""
    context: Annotated[int, Field(ge=1, le=64)] = 1
    """Context parallelism: the number of groups of GPUs that share each sequence."""
    moe_tensor: Annotated[int, Field(ge=1, le=64)] | None = None
    """Tensor parallelism of the experts, in GPUs; moeTensor x moeExpert equals tensor. If omitted, what moeExpert
    leaves."""
    moe_expert: Annotated[int, Field(ge=1, le=64)] | None = None
    """Expert parallelism: the number of GPUs that the experts are distributed over. If omitted, what moeTensor
    leaves, or 1."""


class Limits(ApiModel):
    """Limits that an engine is built for, or that a PyTorch server is started with."""

    max_batch_size: Count | None = None
    """Largest number of requests that are scheduled at the same time. If omitted, TensorRT-LLM's default (2048)."""
    max_input_length: Count | None = None
    """Longest prompt of an engine, in tokens. If omitted, TensorRT-LLM's default (1024 in 0.20 to 1.2)."""
    max_sequence_length: Count | None = None
    """Longest prompt and answer together, in tokens. If omitted, serving.maxSequenceLength, or else 8192 or the model's
    own limit, whichever is less."""
    max_tokens: Count | None = None
    """Largest number of tokens in one step over all requests (max_num_tokens). If omitted, TensorRT-LLM's default
    (8192)."""
    max_beam_width: Beams = 1
    """Largest number of beams per request."""


class KvCacheType(StrEnum):
    """Layout of the KV cache (--kv_cache_type)."""

    PAGED = "Paged"
    """Blocks that are given to requests as they grow."""
    CONTINUOUS = "Continuous"
    """One piece of memory for each request, as long as the longest sequence."""
    DISABLED = "Disabled"
    """No cache: each step computes the whole sequence."""


class SpeculativeMode(StrEnum):
    """Source of the drafts (--speculative_decoding_mode)."""

    DRAFT_TOKENS_EXTERNAL = "DraftTokensExternal"
    """Tokens that the client, or a draft model, sends with the request."""
    LOOKAHEAD = "LookaheadDecoding"
    """N-grams that the model found itself while it generated."""
    MEDUSA = "Medusa"
    """Medusa heads in the checkpoint; refused, because conversion does not make them."""
    EXPLICIT_DRAFT_TOKENS = "ExplicitDraftTokens"
    """Explicit draft tokens (ReDrafter) in the checkpoint; refused, because conversion does not make them."""
    EAGLE = "Eagle"
    """EAGLE layers in the checkpoint; refused, because conversion does not make them."""


class SpeculativeDecoding(ApiModel):
    """Speculative decoding: drafts of several tokens that the model checks in one step."""

    mode: SpeculativeMode
    """Source of the drafts."""
    max_draft_length: Annotated[int, Field(ge=1, le=1024)]
    """Longest draft, in tokens (--max_draft_len)."""


class LoraSource(StrEnum):
    """Format of LoRA adapters (--lora_ckpt_source)."""

    HF = "HF"
    """Directories of Hugging Face PEFT."""
    NEMO = "NeMo"
    """Files of NVIDIA NeMo."""


class LoraBuild(ApiModel):
    """Support for LoRA adapters in the engine. Set targetModules or directories."""

    max_rank: Annotated[int, Field(ge=1, le=1024)] = 64
    """Largest rank of an adapter (--max_lora_rank)."""
    target_modules: Annotated[tuple[ShortText, ...], Field(max_length=32)] = ()
    """Modules that adapters may change, in TensorRT-LLM's names, such as attn_q, attn_dense or mlp_h_to_4h."""
    source: LoraSource = LoraSource.HF
    """Format of the adapters in directories."""
    directories: Annotated[tuple[RelativePath, ...], Field(max_length=16)] = ()
    """Paths of adapters on the claim that holds the model. The first one's configuration gives rank and
    modules."""


class PluginType(StrEnum):
    """Data type of a plugin; not every plugin has every type."""

    AUTO = "auto"
    """The model's own data type."""
    FLOAT16 = "float16"
    """16-bit floating point."""
    FLOAT32 = "float32"
    """32-bit floating point."""
    BFLOAT16 = "bfloat16"
    """16-bit brain floating point."""
    INT32 = "int32"
    """32-bit integers."""
    FP8 = "fp8"
    """8-bit floating point."""
    NVFP4 = "nvfp4"
    """NVIDIA's 4-bit floating point."""
    DISABLE = "disable"
    """The plugin is off; TensorRT's own layers are used."""


class DataType(StrEnum):
    """Data type of weights and activations that are not quantized."""

    AUTO = "auto"
    """The checkpoint's own data type."""
    FLOAT16 = "float16"
    """16-bit floating point."""
    BFLOAT16 = "bfloat16"
    """16-bit brain floating point."""
    FLOAT32 = "float32"
    """32-bit floating point."""


class LogitsType(StrEnum):
    """Data type of the logits (--logits_dtype)."""

    FLOAT16 = "float16"
    """16-bit floating point."""
    FLOAT32 = "float32"
    """32-bit floating point."""


class ProfilingVerbosity(StrEnum):
    """Profiling information in the engine (--profiling_verbosity)."""

    LAYER_NAMES_ONLY = "layer_names_only"
    """Names of the layers."""
    DETAILED = "detailed"
    """Names, types and parameters of the layers."""
    NONE = "none"
    """No information."""


class SmoothQuant(ApiModel):
    """Options of SmoothQuant: INT8 weights and activations, calibrated by convert_checkpoint.py."""

    alpha: Fraction = "0.5"
    """Share of the activations' range that moves into the weights, "0" to "1" (--smoothquant)."""
    per_channel: bool = False
    """Whether weights have a scale per channel instead of one per tensor."""
    per_token: bool = False
    """Whether activations have a scale per token instead of one per tensor."""


class WeightOnly(StrEnum):
    """Precision of weights that convert_checkpoint.py quantizes without calibration."""

    INT8 = "INT8"
    """8-bit integers with a scale per channel."""
    INT4 = "INT4"
    """4-bit integers with a scale per channel."""


class Convert(ApiModel):
    """Conversion of a Hugging Face checkpoint to a TensorRT-LLM one by convert_checkpoint.py."""

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
    """Data type of weights and activations that are not quantized (--dtype)."""
    weight_only: WeightOnly | None = None
    """Precision of weight-only quantization; not together with smoothQuant. If omitted, weights are not quantized."""
    smooth_quant: SmoothQuant | None = None
    """SmoothQuant; not together with weightOnly. If omitted, SmoothQuant is not used."""
    kv_cache: KVCache | None = None
    """Precision of the KV cache, for which scales are calibrated. If omitted, the model's own precision."""
    calibration: VolumeSource | None = None
    """Directory of a data set on a PersistentVolumeClaim, for smoothQuant and kvCache (--calib_dataset). If omitted,
    nothing can be calibrated."""
    calibration_samples: Annotated[int, Field(ge=1, le=16384)] | None = None
    """Number of texts to calibrate with (--calib_size). If omitted, the script's default (512)."""
    parallel_embedding: bool = False
    """Whether the embedding table is divided among the ranks (--use_parallel_embedding)."""
    embedding_sharding_dimension: Annotated[int, Field(ge=0, le=1)] | None = None
    """Dimension that the embedding table is divided along: 0 is the vocabulary, 1 the hidden size. If omitted, the
    script's default (0)."""
    load_by_shard: bool = False
    """Whether the checkpoint is read shard by shard, which takes less host memory (--load_by_shard)."""
    load_on_cpu: bool = False
    """Whether the model is loaded on the CPU, for models larger than a GPU (--load_model_on_cpu)."""
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of ranks that are converted at the same time. If omitted, the script's default (1)."""
    extra_args: ExtraArguments = ()
    """Further arguments of convert_checkpoint.py, as on a command line. Unknown flags, and flags that a field or the
    operator sets, are refused."""


class Build(ApiModel):
    """Build of the engine by trtllm-build. Defaults in parentheses are those of TensorRT-LLM 0.20 to 1.2."""

    gpus: Annotated[int, Field(ge=1, le=512)] | None = None
    """Number of GPUs that build at the same time. With fewer GPUs than ranks, ranks are built one after another. If
    omitted, one GPU for each rank."""
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of ranks that one pod builds at the same time. If omitted, as many as the pod has GPUs."""
    kv_cache_type: KvCacheType | None = None
    """Layout of the KV cache (--kv_cache_type). If omitted, the image's default (Paged)."""
    tokens_per_block: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Size of a block of the paged KV cache, in tokens (--tokens_per_block). If omitted, the image's default (32)."""
    opt_tokens: Count | None = None
    """Number of tokens in one step that the engine is tuned for (--opt_num_tokens). If omitted, TensorRT-LLM computes
    it from the batch size and the beam width."""
    context_attention: bool | None = None
    """Whether prompts use the fused attention kernel (--context_fmha). If omitted, the image's default (true)."""
    paged_context_attention: bool | None = None
    """Whether prompts use the paged KV cache (--use_paged_context_fmha); chunked prefill and reuse of the KV cache need
    it. If omitted, the image's default (true)."""
    fp8_context_attention: bool | None = None
    """Whether the attention of prompts computes in FP8 (--use_fp8_context_fmha). If omitted, the image's default
    (true)."""
    remove_input_padding: bool | None = None
    """Whether prompts are packed without padding (--remove_input_padding). If omitted, the image's default (true)."""
    fused_mlp: bool | None = None
    """Whether the gated MLP is one multiplication (--use_fused_mlp). If omitted, the image's default (true)."""
    multiple_profiles: bool | None = None
    """Whether the engine has several optimization profiles, which builds longer and may run faster
    (--multiple_profiles). If omitted, the image's default (false)."""
    gather_context_logits: bool = False
    """Whether the engine can return the logits of prompts (--gather_context_logits)."""
    gather_generation_logits: bool = False
    """Whether the engine can return the logits of answers (--gather_generation_logits)."""
    logits_type: LogitsType | None = None
    """Data type of the logits (--logits_dtype). If omitted, the checkpoint's own."""
    max_prompt_embedding_table_size: Annotated[int, Field(ge=0, le=1048576)] | None = None
    """Size of the prompt embedding table, in tokens (--max_prompt_embedding_table_size). If omitted, the image's
    default (0: none)."""
    lora: LoraBuild | None = None
    """Support for LoRA adapters. If omitted, the engine takes none."""
    speculative_decoding: SpeculativeDecoding | None = None
    """Speculative decoding. If omitted, the engine generates token by token."""
    plugins: Annotated[dict[ShortText, PluginType], Field(max_length=32)] = Field(default={})
    """Data types of plugins by name: --gemm_plugin is gemm, as in {gemm: auto, moe: disable}. A plugin that is not
    named keeps the image's default."""
    timing_cache: bool = True
    """Whether TensorRT's timing cache is kept on the claim: later builds with the same image and GPU are faster."""
    profiling_verbosity: ProfilingVerbosity | None = None
    """Profiling information in the engine. If omitted, the image's default (layer_names_only)."""
    strip_plan: bool = False
    """Whether weights are left out of the engine, to be refitted from the checkpoint later (--strip_plan)."""
    weight_sparsity: bool = False
    """Whether TensorRT uses structured sparsity of the weights (--weight_sparsity)."""
    weight_streaming: bool = False
    """Whether weights can stay in host memory while the engine runs (--weight_streaming)."""
    fast_build: bool = False
    """Whether the build is shortened at the cost of speed of the engine (--fast_build)."""
    monitor_memory: bool = False
    """Whether trtllm-build logs the memory that it uses (--monitor_memory)."""
    extra_args: ExtraArguments = ()
    """Further arguments of trtllm-build, as on a command line. Unknown flags, and flags that a field or the operator
    sets, are refused."""


class LoraAdapter(ApiModel):
    """A LoRA adapter on a PersistentVolumeClaim."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Name of the adapter, for messages and logs."""
    claim_name: ObjectName
    """PersistentVolumeClaim that holds the adapter; it is mounted read-only at /adapters/<claimName>."""
    path: RelativePath
    """Path of the adapter's directory on that claim. Requests name the adapter by /adapters/<claimName>/<path>."""


class LoraServing(ApiModel):
    """LoRA adapters of the server; an engine needs build.lora."""

    adapters: Annotated[tuple[LoraAdapter, ...], Field(max_length=16)] = ()
    """Adapters that are mounted into the server's pods."""
    max_rank: Annotated[int, Field(ge=1, le=1024)] = 64
    """Largest rank of an adapter; for an engine at most build.lora.maxRank."""
    max_loaded: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Number of adapters in GPU memory at the same time. If omitted, TensorRT-LLM's default."""
