"""ModelFacts from config.json alone, without weights, for the command line and for tests; its Details for fetch, too.

Shapes follow the configuration of the Llama, Qwen, Mistral, Mixtral, Gemma, Phi-3 and DeepSeek families; the builder
reads the real ones from the safetensors headers. Norms and biases are counted roughly (well under 0.1 %).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trtllm_api.facts import CheckpointFacts, Details, LinearShape, ModelFacts
from trtllm_planner.tensorrt_llm.versions import BITS, Algorithm, algorithm_named

Config = Mapping[str, Any]
_FUSED = frozenset({"phi3"})
"""Model types with qkv_proj and gate_up_proj."""
_UNGATED = frozenset({"phi", "gptj", "gpt_neox", "starcoder2", "gpt2", "opt", "falcon", "nemotron"})
"""Model types whose MLP has two layers."""
_PREFIX = "model.layers.*."
_SHORT = 256
_MOST_SCALING = 1e6
"""Factors of rotary scaling beyond it, infinity and NaN are not believed."""
"""What the API's ShortText holds."""


class UnreadableConfig(ValueError):
    """config.json lacks what a plan needs."""


def facts_from_config(config: Config, hf_quant_config: Config | None = None) -> ModelFacts:
    """What the model of this config.json is; hf_quant_config.json, where there is one, says how it was quantized."""
    text = _text(config)
    architectures = config.get("architectures") or [""]
    needed = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    missing = [name for name in needed if not _int(text, name)]
    if missing or not architectures[0]:
        lacks = ", ".join([*missing, *([] if architectures[0] else ["architectures"])])
        raise UnreadableConfig(f"config.json does not say {lacks}: without it no plan can be made")
    heads, hidden = _int(text, "num_attention_heads"), _int(text, "hidden_size")
    linears = tuple(_linears(text))
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
    layers, vocabulary = _int(text, "num_hidden_layers"), _int(text, "vocab_size")
    parameters = sum(item.in_features * item.out_features * item.count for item in linears)
    parameters += vocabulary * hidden + (2 * layers + 1) * hidden
    if not tied:
        parameters += vocabulary * hidden
        linears = (*linears, LinearShape(name="lm_head", out_features=vocabulary, in_features=hidden, count=1))
    details = details_from_config(config, hf_quant_config)
    checkpoint = details.checkpoint
    bits = BITS[(algorithm_named(checkpoint.algorithm) if checkpoint else None) or Algorithm.NONE]
    return ModelFacts(
        architecture=str(architectures[0]),
        model_type=str(config.get("model_type", "")),
        parameters=parameters,
        bytes=int(parameters * bits / 8),
        dtype=str(text.get("torch_dtype") or text.get("dtype") or "bfloat16"),
        layers=layers,
        hidden_size=hidden,
        intermediate_size=_int(text, "intermediate_size") or 4 * hidden,
        heads=heads,
        key_value_heads=_int(text, "num_key_value_heads") or heads,
        head_dim=_int(text, "head_dim") or hidden // heads,
        vocabulary_size=vocabulary,
        max_position_embeddings=_int(text, "max_position_embeddings"),
        experts=_experts(text),
        tied_embeddings=tied,
        custom_code=bool(config.get("auto_map")),
        quantization=checkpoint.method if checkpoint is not None else None,
        details=details,
        linears=linears,
    )


def details_from_config(config: Config, hf_quant_config: Config | None = None) -> Details:
    """What config.json says beyond the usual; hf_quant_config.json, where there is one, wins over it."""
    text = _text(config)
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    rope = rope if isinstance(rope, Mapping) else {}
    kind = rope.get("rope_type") or rope.get("type")
    layer_types = text.get("layer_types")
    attention = None
    if isinstance(layer_types, list):
        attention = sum("attention" in str(item) and "linear" not in str(item) for item in layer_types)
    return Details(
        positions=_positions(text, rope, str(kind) if kind else None) or None,
        rope_type=str(kind)[:_SHORT] if kind else None,
        moe_intermediate_size=_int(text, "moe_intermediate_size") or None,
        experts_per_token=_int(text, "num_experts_per_tok") or None,
        attention_layers=attention,
        kv_lora_rank=_int(text, "kv_lora_rank") or None,
        qk_rope_head_dim=_int(text, "qk_rope_head_dim") or None,
        checkpoint=checkpoint_format(config, hf_quant_config),
    )


def checkpoint_format(config: Config, hf_quant_config: Config | None = None) -> CheckpointFacts | None:
    """What hf_quant_config.json or quantization_config says; None for a checkpoint that is not quantized."""
    own = (hf_quant_config or {}).get("quantization")
    if isinstance(own, Mapping) and (own.get("quant_algo") or own.get("kv_cache_quant_algo")):
        return _modelopt(own)
    found = config.get("quantization_config")
    if not isinstance(found, Mapping) or not found.get("quant_method"):
        return None
    method = str(found["quant_method"])
    if method.startswith("modelopt"):
        return _modelopt(found)
    if method == "compressed-tensors":
        return _compressed(found)
    group = _int(found, "group_size", "q_group_size") or None
    if found.get("group_size", found.get("q_group_size")) == -1:
        group = 0  # a scale for each channel
    blocks = found.get("weight_block_size")
    if isinstance(blocks, list) and blocks:
        size = _int({"block": blocks[0]}, "block")
        return CheckpointFacts(method=method[:_SHORT], algorithm=Algorithm.FP8_BLOCK, group_size=size)
    algorithm = {
        ("awq", 4): Algorithm.W4A16_AWQ,
        ("gptq", 4): Algorithm.W4A16_GPTQ,
        ("gptq", 8): Algorithm.W8A16_GPTQ,
        ("mxfp4", 0): Algorithm.MXFP4,
        ("nvfp4", 0): Algorithm.NVFP4,
    }.get((method, _int(found, "bits", "w_bit")))
    return CheckpointFacts(
        method=method[:_SHORT],
        algorithm=algorithm,
        group_size=group,
        act_order=bool(found.get("desc_act")),
        symmetric=not found.get("zero_point", True) if method == "awq" else found.get("sym") is not False,
    )


def _modelopt(found: Config) -> CheckpointFacts:
    """hf_quant_config.json's `quantization`, or the same keys in config.json."""
    return CheckpointFacts(
        method="modelopt",
        algorithm=_short(found.get("quant_algo")),
        group_size=_int(found, "group_size") or None,
        symmetric=not found.get("has_zero_point"),
        kv_cache=_short(found.get("kv_cache_quant_algo")),
    )


def _compressed(found: Config) -> CheckpointFacts:
    groups = found.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights: Any = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        return CheckpointFacts(method="compressed-tensors")
    bits, group, strategy = _int(weights, "num_bits"), _int(weights, "group_size") or None, weights.get("strategy")
    integer = weights.get("type") != "float"
    algorithm = None
    if not integer and bits == 4:
        algorithm = Algorithm.MXFP4 if group == 32 else Algorithm.NVFP4
    elif not integer:
        kinds = {"channel": Algorithm.FP8_ROWWISE, "block": Algorithm.FP8_BLOCK}
        algorithm = kinds.get(str(strategy), Algorithm.FP8)
    return CheckpointFacts(
        method="compressed-tensors",
        algorithm=algorithm,
        group_size=group,
        act_order=weights.get("actorder") in ["group", True],
        integer=integer,
        symmetric=weights.get("symmetric") is not False,
    )


def _short(value: object) -> str | None:
    return str(value)[:_SHORT] if value else None


def _text(config: Config) -> Config:
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _int(config: Config, *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return 0


def _experts(text: Config) -> int:
    return _int(text, "num_local_experts", "n_routed_experts", "num_experts")


def _positions(text: Config, rope: Config, kind: str | None) -> int:
    """Longest sequence with rotary scaling; where the original length is given, the longest may be scaled already."""
    most = _int(text, "max_position_embeddings")
    factor = rope.get("factor")
    if (
        not isinstance(factor, int | float)
        or not 0 < factor < _MOST_SCALING
        or kind in {None, "default", "llama3", "longrope", "su"}
    ):
        return most
    original = _int(rope, "original_max_position_embeddings")
    return max(most, int(original * factor)) if original else int(most * factor)


def _linear(name: str, out: int, inner: int, count: int) -> LinearShape:
    return LinearShape(name=_PREFIX + name, out_features=out, in_features=inner, count=count)


def _linears(text: Config) -> Iterator[LinearShape]:
    layers = _int(text, "num_hidden_layers")
    yield from _attention(text, layers)
    experts = _experts(text)
    inner = _int(text, "intermediate_size") or 4 * _int(text, "hidden_size")
    if not experts:
        yield from _mlp(text, "mlp.", inner, layers)
        return
    dense = min(layers, _int(text, "first_k_dense_replace"))
    if dense:
        yield from _mlp(text, "mlp.", inner, dense)
    yield from _mixture(text, experts, layers - dense, inner)


def _attention(text: Config, layers: int) -> Iterator[LinearShape]:
    hidden, heads = _int(text, "hidden_size"), _int(text, "num_attention_heads")
    rank = _int(text, "kv_lora_rank")
    if rank:
        rope, plain = _int(text, "qk_rope_head_dim"), _int(text, "qk_nope_head_dim")
        value, low = _int(text, "v_head_dim"), _int(text, "q_lora_rank")
        if low:
            yield _linear("self_attn.q_a_proj", low, hidden, layers)
        yield _linear(
            "self_attn.q_b_proj" if low else "self_attn.q_proj", heads * (plain + rope), low or hidden, layers
        )
        yield _linear("self_attn.kv_a_proj_with_mqa", rank + rope, hidden, layers)
        yield _linear("self_attn.kv_b_proj", heads * (plain + value), rank, layers)
        yield _linear("self_attn.o_proj", hidden, heads * value, layers)
        return
    size = _int(text, "head_dim") or hidden // heads
    queries, keys = heads * size, (_int(text, "num_key_value_heads") or heads) * size
    if text.get("model_type") in _FUSED:
        yield _linear("self_attn.qkv_proj", queries + 2 * keys, hidden, layers)
    else:
        yield _linear("self_attn.q_proj", queries, hidden, layers)
        yield _linear("self_attn.k_proj", keys, hidden, layers)
        yield _linear("self_attn.v_proj", keys, hidden, layers)
    yield _linear("self_attn.o_proj", hidden, queries, layers)


def _mlp(text: Config, prefix: str, inner: int, count: int) -> Iterator[LinearShape]:
    hidden, kind = _int(text, "hidden_size"), text.get("model_type")
    if kind in _UNGATED:
        yield _linear(prefix + "fc1", inner, hidden, count)
        yield _linear(prefix + "fc2", hidden, inner, count)
        return
    if kind in _FUSED:
        yield _linear(prefix + "gate_up_proj", 2 * inner, hidden, count)
    else:
        yield _linear(prefix + "gate_proj", inner, hidden, count)
        yield _linear(prefix + "up_proj", inner, hidden, count)
    yield _linear(prefix + "down_proj", hidden, inner, count)


def _mixture(text: Config, experts: int, layers: int, inner: int) -> Iterator[LinearShape]:
    hidden = _int(text, "hidden_size")
    if text.get("model_type") == "mixtral":
        for name, out, width in (("w1", inner, hidden), ("w2", hidden, inner), ("w3", inner, hidden)):
            yield _linear(f"block_sparse_moe.experts.*.{name}", out, width, layers * experts)
        yield _linear("block_sparse_moe.gate", experts, hidden, layers)
        return
    each = _int(text, "moe_intermediate_size") or inner
    yield from _mlp(text, "mlp.experts.*.", each, layers * experts)
    yield _linear("mlp.gate", experts, hidden, layers)
    shared = _int(text, "n_shared_experts") * each or _int(text, "shared_expert_intermediate_size")
    if shared:
        yield from _mlp(text, "mlp.shared_experts.", shared, layers)
