"""ModelFacts from config.json and the safetensors headers: no torch, milliseconds; fetch calls it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from trtllm_api.facts import CheckpointFacts, Details, LinearShape, ModelFacts
from trtllm_builder.checkpoint_files import Checkpoint
from trtllm_builder.logical_shapes import is_companion, linear_of
from trtllm_planner.model_config import details_from_config

_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "float8_e4m3fn"}
_COMPUTED_WITH = frozenset({"BF16", "F16", "F32"})
TENSORRT_LLM = "tensorrt_llm"
"""The method of a checkpoint that is split into ranks, quantized or not."""
_MODEL = re.compile(r"(For[A-Z]|LMHeadModel).*$")
_NOT_LINEAR = re.compile(r"(embed|wte|wpe|norm|ln_|layernorm|rotary|conv)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_SHORT = 256
"""What the API's ShortText holds."""
_MAX_LINEARS = 24
_MAX_LINEARS_BYTES = 2100
"""Distinct shapes kept, the heaviest first: a BuildResult must fit 4096 bytes."""


def model_facts(checkpoint: Checkpoint) -> ModelFacts:
    """What the checkpoint says about itself."""
    config = checkpoint.config
    nested = config.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else config
    heads = _number(text, "num_attention_heads", "n_head", "num_heads")
    hidden = _number(text, "hidden_size", "n_embd", "d_model")
    tensors = checkpoint.tensors
    details = _details(checkpoint)
    architecture = str(config["architecture"] if checkpoint.is_ranks else config["architectures"][0])
    embeddings = any("embed_tokens" in name or name.endswith("wte.weight") for name in tensors)
    head = any(name.endswith("lm_head.weight") for name in tensors)
    return ModelFacts(
        architecture=architecture[:_SHORT],
        model_type=str(config.get("model_type") or _MODEL.sub("", architecture).lower())[:_SHORT],
        parameters=_parameters(checkpoint, details.checkpoint),
        bytes=checkpoint.weight_bytes,
        dtype=_dtype(checkpoint, details.checkpoint, text)[:_SHORT],
        layers=_number(text, "num_hidden_layers", "n_layer", "num_layers"),
        hidden_size=hidden,
        intermediate_size=_number(text, "intermediate_size", "n_inner", "ffn_dim"),
        heads=heads,
        key_value_heads=_number(text, "num_key_value_heads") or heads,
        head_dim=_number(text, "head_dim", "head_size") or (hidden // heads if heads else 0),
        vocabulary_size=_number(text, "vocab_size"),
        max_position_embeddings=_number(text, "max_position_embeddings", "n_positions"),
        experts=_number(text, "num_local_experts", "n_routed_experts", "num_experts")
        or _number(_moe(text), "num_experts"),
        tied_embeddings=bool(text.get("tie_word_embeddings", embeddings and not head)),
        chat_template=bool(checkpoint.tokenizer_config.get("chat_template"))
        or (checkpoint.directory / "chat_template.jinja").exists(),
        custom_code=bool(config.get("auto_map") or checkpoint.tokenizer_config.get("auto_map")),
        quantization=details.checkpoint.method if details.checkpoint is not None else None,
        details=details,
        linears=() if checkpoint.is_ranks else _linears(checkpoint, details.checkpoint),
    )


def _details(checkpoint: Checkpoint) -> Details:
    """What is beyond the usual; a checkpoint of ranks says it in other words."""
    config = checkpoint.config
    if not checkpoint.is_ranks:
        return details_from_config(config, checkpoint.quantization or None)
    found = config.get("quantization")
    own: dict[str, Any] = found if isinstance(found, dict) else {}
    algorithm, kv_cache = own.get("quant_algo"), own.get("kv_cache_quant_algo")
    return Details(
        experts_per_token=_number(_moe(config), "top_k") or None,
        checkpoint=CheckpointFacts(
            method=TENSORRT_LLM,
            algorithm=str(algorithm)[:_SHORT] if algorithm else None,
            group_size=_number(own, "group_size") or None,
            symmetric=not own.get("has_zero_point"),
            kv_cache=str(kv_cache)[:_SHORT] if kv_cache else None,
        ),
    )


def _moe(config: dict[str, Any]) -> dict[str, Any]:
    """Of a checkpoint of ranks."""
    found = config.get("moe")
    return found if isinstance(found, dict) else {}


def _dtype(checkpoint: Checkpoint, quantized: CheckpointFacts | None, text: dict[str, Any]) -> str:
    """What most of the weights are; of packed ones, what they are computed with."""
    sizes = Counter[str]()
    for tensor in checkpoint.tensors.values():
        sizes[tensor.dtype] += tensor.bytes
    main = sizes.most_common(1)[0][0]
    if quantized is not None and main not in _DTYPES:
        said = text.get("torch_dtype") or text.get("dtype")
        plain = [dtype for dtype, _ in sizes.most_common() if dtype in _COMPUTED_WITH]
        main = str(said) if said else plain[0] if plain else main
    return _DTYPES.get(main, main)


def _parameters(checkpoint: Checkpoint, quantized: CheckpointFacts | None) -> int:
    """Of the model itself: packed weights are counted as they compute, scales not at all."""
    plain = quantized is None or checkpoint.is_ranks
    total = 0
    for name, tensor in checkpoint.tensors.items():
        linear = None if plain else linear_of(name, tensor, checkpoint.config, quantized)
        if linear is not None:
            total += math.prod(linear[1])
        elif plain or not is_companion(name):
            total += math.prod(tensor.shape)
    return total


def _linears(checkpoint: Checkpoint, quantized: CheckpointFacts | None) -> tuple[LinearShape, ...]:
    counts: Counter[tuple[str, int, int]] = Counter()
    for name, tensor in checkpoint.tensors.items():
        linear = None if _NOT_LINEAR.search(name) else linear_of(name, tensor, checkpoint.config, quantized)
        if linear is not None:
            module, (out, inner) = linear
            counts[(_NUMBER.sub("*", module)[:_SHORT], out, inner)] += 1
    shapes = [
        LinearShape(name=name, out_features=out, in_features=inner, count=count)
        for (name, out, inner), count in counts.items()
    ]
    shapes.sort(key=lambda shape: shape.out_features * shape.in_features * shape.count, reverse=True)
    kept: list[LinearShape] = []
    room = _MAX_LINEARS_BYTES
    for shape in shapes[:_MAX_LINEARS]:
        room -= len(json.dumps(shape.to_wire()))
        if room < 0:
            break
        kept.append(shape)
    return tuple(sorted(kept, key=lambda shape: (shape.name, shape.out_features, shape.in_features)))


def _number(config: dict[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0
