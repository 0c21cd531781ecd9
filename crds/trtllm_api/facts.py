"""Facts about a model, compact enough for status and for a termination message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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


class CheckpointFacts(ApiModel):
    """Quantization of a checkpoint that somebody else quantized, from quantization_config or hf_quant_config.json."""

    method: ShortText
    """Value of quant_method, such as awq, gptq, compressed-tensors, fp8 or modelopt."""
    algorithm: ShortText | None = None
    """Name that TensorRT-LLM has for it (QuantAlgo). Absent if it has none."""
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
    attention_layers: _Layers | None = None
    """Number of layers with a KV cache, for models where not every layer has one."""
    kv_lora_rank: Dimension | None = None
    """Rank of the compressed KV cache (multi-head latent attention), in features."""
    qk_rope_head_dim: Dimension | None = None
    """Rotary part of a head (multi-head latent attention), in features."""
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
