"""ModelFacts from config.json and the safetensors headers: no torch, milliseconds; fetch calls it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_builder.checkpoint_files import Checkpoint

_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "float8_e4m3fn"}
_NOT_LINEAR = re.compile(r"(embed|wte|wpe|norm|ln_|layernorm|rotary|conv)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_SHORT = 256
"""What the API's ShortText holds."""
_MAX_LINEARS = 24
_MAX_LINEARS_BYTES = 2400
"""Distinct shapes kept, the heaviest first: a BuildResult must fit 4096 bytes."""


def model_facts(checkpoint: Checkpoint) -> ModelFacts:
    """What the checkpoint says about itself."""
    config = checkpoint.config
    nested = config.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else config
    heads = _number(text, "num_attention_heads", "n_head", "num_heads")
    hidden = _number(text, "hidden_size", "n_embd", "d_model")
    tensors = checkpoint.tensors
    dtypes = Counter[str]()
    for tensor in tensors.values():
        dtypes[tensor.dtype] += tensor.bytes
    main = dtypes.most_common(1)[0][0]
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    embeddings = any("embed_tokens" in name or name.endswith("wte.weight") for name in tensors)
    head = any(name.endswith("lm_head.weight") for name in tensors)
    return ModelFacts(
        architecture=str(config["architectures"][0])[:_SHORT],
        model_type=str(config["model_type"])[:_SHORT],
        parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        bytes=checkpoint.weight_bytes,
        dtype=_DTYPES.get(main, main)[:_SHORT],
        layers=_number(text, "num_hidden_layers", "n_layer", "num_layers"),
        hidden_size=hidden,
        intermediate_size=_number(text, "intermediate_size", "n_inner", "ffn_dim"),
        heads=heads,
        key_value_heads=_number(text, "num_key_value_heads") or heads,
        head_dim=_number(text, "head_dim") or (hidden // heads if heads else 0),
        vocabulary_size=_number(text, "vocab_size"),
        max_position_embeddings=_number(text, "max_position_embeddings", "n_positions"),
        experts=_number(text, "num_local_experts", "n_routed_experts", "num_experts"),
        tied_embeddings=bool(text.get("tie_word_embeddings", embeddings and not head)),
        chat_template=bool(checkpoint.tokenizer_config.get("chat_template"))
        or (checkpoint.directory / "chat_template.jinja").exists(),
        custom_code=bool(config.get("auto_map") or checkpoint.tokenizer_config.get("auto_map")),
        quantization=str(method)[:_SHORT] if method else None,
        linears=_linears(checkpoint),
    )


def _linears(checkpoint: Checkpoint) -> tuple[LinearShape, ...]:
    counts: Counter[tuple[str, int, int]] = Counter()
    for name, tensor in checkpoint.tensors.items():
        if (
            name.endswith(".weight")
            and len(tensor.shape) == 2
            and min(tensor.shape) > 0
            and not _NOT_LINEAR.search(name)
        ):
            pattern = _NUMBER.sub("*", name.removesuffix(".weight"))[:_SHORT]
            counts[(pattern, tensor.shape[0], tensor.shape[1])] += 1
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
