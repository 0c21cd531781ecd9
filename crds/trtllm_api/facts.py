"""ModelFacts: what a checkpoint says about itself, compact enough for status and a termination message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trtllm_api.base import ApiModel, ShortText


class LinearShape(ApiModel):
    """All linear layers of one name pattern and shape."""

    name: ShortText
    """Module name with layer and expert numbers as *, such as model.layers.*.mlp.down_proj."""
    out_features: Annotated[int, Field(ge=1)]
    in_features: Annotated[int, Field(ge=1)]
    count: Annotated[int, Field(ge=1)]


class CheckpointFacts(ApiModel):
    """quantization_config or hf_quant_config.json of a checkpoint that is quantized already."""

    method: ShortText
    """quant_method: awq, gptq, compressed-tensors, fp8, modelopt, ..."""
    algorithm: ShortText | None = None
    """TensorRT-LLM's name of it (QuantAlgo), where it has one."""
    group_size: Annotated[int, Field(ge=0)] | None = None
    act_order: bool = False
    """GPTQ's desc_act."""
    integer: bool = False
    """compressed-tensors of `type: int`."""
    symmetric: bool = True
    """No zero points."""
    kv_cache: ShortText | None = None


class Details(ApiModel):
    """What config.json says beyond the usual; left out where it says nothing."""

    positions: Annotated[int, Field(ge=0)] | None = None
    """Longest sequence with rotary scaling applied."""
    rope_type: ShortText | None = None
    moe_intermediate_size: Annotated[int, Field(ge=0)] | None = None
    experts_per_token: Annotated[int, Field(ge=0)] | None = None
    attention_layers: Annotated[int, Field(ge=0)] | None = None
    """Layers with a KV cache, where not every layer has one."""
    kv_lora_rank: Annotated[int, Field(ge=0)] | None = None
    qk_rope_head_dim: Annotated[int, Field(ge=0)] | None = None
    checkpoint: CheckpointFacts | None = None


class ModelFacts(ApiModel):
    """Read from config.json, the safetensors headers and the tokenizer files."""

    architecture: ShortText
    model_type: ShortText
    parameters: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    """Size of the weight files."""
    dtype: ShortText
    layers: Annotated[int, Field(ge=0)]
    hidden_size: Annotated[int, Field(ge=0)]
    intermediate_size: Annotated[int, Field(ge=0)]
    heads: Annotated[int, Field(ge=0)]
    key_value_heads: Annotated[int, Field(ge=0)]
    head_dim: Annotated[int, Field(ge=0)]
    vocabulary_size: Annotated[int, Field(ge=0)]
    max_position_embeddings: Annotated[int, Field(ge=0)]
    experts: Annotated[int, Field(ge=0)] = 0
    tied_embeddings: bool = False
    chat_template: bool = False
    custom_code: bool = False
    """config.json or tokenizer_config.json has an auto_map: the model runs its own code."""
    quantization: ShortText | None = None
    """quant_method of a checkpoint that is already quantized."""
    details: Details = Details()
    linears: Annotated[tuple[LinearShape, ...], Field(max_length=64)] = ()
