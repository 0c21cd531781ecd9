"""Facts about a model, compact enough for status and for a termination message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from trtllm_api.base import MAX_DIMENSION, ApiModel, Dimension, ShortText, Size

MAX_LAYERS = 1024
"""Most decoder layers: rules and planner look at every one. The largest published models have fewer than 200."""
_Layers = Annotated[int, Field(ge=0, le=MAX_LAYERS)]


class LinearShape(ApiModel):
    """Linear layers with the same name pattern and the same shape."""

    name: ShortText
    """Module name with * for the numbers of layers and experts, such as model.layers.*.mlp.down_proj."""
    out_features: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    """Number of output features: rows of the weight."""
    in_features: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    """Number of input features: columns of the weight."""
    count: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    """Number of such layers."""
    algorithm: ShortText | None = None
    """Format of these layers in a quantized checkpoint, such as FP8, or NO_QUANT for 16 bits. If omitted, the
    checkpoint's own format."""


class CacheShape(ApiModel):
    """Layers that keep the same amount of every token in the KV cache."""

    layers: _Layers
    """Number of such layers."""
    heads: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    """Number of heads that are kept. Tensor parallelism divides them among the ranks, down to one for each rank."""
    width: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    """Numbers kept for each head: its key and its value, or the one vector of latent attention."""
    eight_bits: bool = False
    """Whether the numbers have 8 bits, whatever the format of the cache is: the keys of an indexer."""
    window: Annotated[int, Field(ge=1, le=MAX_DIMENSION)] | None = None
    """Number of tokens that the attention of these layers looks back. Absent if it is all."""


class CheckpointFacts(ApiModel):
    """Quantization of a checkpoint that somebody else quantized, from quantization_config or hf_quant_config.json."""

    method: ShortText
    """Value of quant_method, such as awq, gptq, compressed-tensors, fp8 or modelopt."""
    algorithm: ShortText | None = None
    """Name that TensorRT-LLM has for it (QuantAlgo); MIXED_PRECISION if layers have different ones. Absent if it has
    none."""
    formats: Annotated[tuple[Annotated[str, StringConstraints(max_length=32)], ...], Field(max_length=8)] = ()
    """All formats of a checkpoint whose layers have different ones."""
    bits: Annotated[int, Field(ge=1, le=64)] | None = None
    """Bits of a weight. Absent if `algorithm` says it."""
    group_size: Dimension | None = None
    """Number of input columns that share one scale. Absent if there are no groups."""
    act_order: bool = False
    """Whether columns are permuted (desc_act of GPTQ)."""
    integer: bool = False
    """Whether the weights are integers; compressed-tensors only."""
    symmetric: bool = True
    """Whether the weights have no zero points."""
    kv_cache: ShortText | None = None
    """Precision of the KV cache that the checkpoint has scales for. Absent if it has none."""
    dynamic: bool = False
    """Whether the scales of activations are computed with each request instead of being stored."""


class Details(ApiModel):
    """Facts that only some models have. A field is absent if config.json does not have it."""

    positions: Dimension | None = None
    """Longest sequence with rotary scaling applied, in tokens."""
    rope_type: ShortText | None = None
    """Kind of rotary scaling, such as llama3 or yarn."""
    moe_intermediate_size: Dimension | None = None
    """Intermediate size of an expert, in features."""
    experts_per_token: Dimension | None = None
    """Number of experts that each token is routed to."""
    caches: Annotated[tuple[CacheShape, ...], Field(max_length=8)] = ()
    """Memory of a token that the layers keep in the KV cache. If empty, every layer keeps 2 x keyValueHeads x
    headDim numbers."""
    state_bytes: Size | None = None
    """Size of what recurrent layers (Mamba, linear attention) keep of one sequence of any length, in bytes."""
    tower_parameters: Size | None = None
    """Number of parameters of image and audio encoders, which stay in 16 bits."""
    draft_parameters: Size | None = None
    """Number of parameters of layers that only predict further tokens (MTP). `parameters` does not count them."""
    other_linears: Size | None = None
    """Number of weights in linear layers that `linears` has no room for."""
    own_tokenizer: bool = False
    """Whether the tokenizer is Python code of the checkpoint."""
    checkpoint: CheckpointFacts | None = None
    """Quantization of the checkpoint. Absent if it is not quantized."""


class ModelFacts(ApiModel):
    """Facts about a model from config.json, the safetensors headers and the tokenizer files."""

    architecture: ShortText
    """Class name of the model, such as LlamaForCausalLM."""
    model_type: ShortText
    """Value of model_type in config.json, such as llama."""
    parameters: Size
    """Number of parameters; packed weights count as the numbers that they stand for."""
    bytes: Size
    """Size of the weight files, in bytes."""
    dtype: ShortText
    """Data type of most weights, such as bfloat16."""
    layers: _Layers
    """Number of decoder layers."""
    hidden_size: Dimension
    """Width of the hidden state, in features."""
    intermediate_size: Dimension
    """Width of the MLP, in features."""
    heads: Dimension
    """Number of attention heads."""
    key_value_heads: Dimension
    """Number of key and value heads."""
    head_dim: Dimension
    """Size of a head, in features."""
    vocabulary_size: Dimension
    """Number of tokens in the vocabulary."""
    max_position_embeddings: Dimension
    """Longest sequence that config.json names, in tokens."""
    experts: Dimension = 0
    """Number of experts in each layer; 0 for models without experts."""
    tied_embeddings: bool = False
    """Whether the output layer shares the weight of the input embedding."""
    chat_template: bool = False
    """Whether the tokenizer has a chat template."""
    custom_code: bool = False
    """Whether the model brings Python code (auto_map), which needs spec.trustRemoteCode."""
    quantization: ShortText | None = None
    """Value of quant_method of a checkpoint that somebody else quantized. Absent if it is not quantized."""
    details: Details = Details()
    linears: Annotated[tuple[LinearShape, ...], Field(max_length=64)] = ()
    """Shapes of the linear layers, the largest ones if there are many."""

    @property
    def title(self) -> str:
        """Architecture, size and data type, for messages."""
        count = self.parameters
        parameters = f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
        return f"{self.architecture}, {parameters} parameters, {self.dtype}"
