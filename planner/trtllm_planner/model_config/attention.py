"""Linear layers and KV cache of attention: grouped heads, latent attention, and an indexer beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trtllm_planner.model_config.layers import Layer
from trtllm_planner.model_config.parts import Kept, Linear, Parts
from trtllm_planner.model_config.section import Section

INDEX_BLOCK = 128
"""Count of an indexer's key numbers that share a scale of 4 bytes."""
FUSED = frozenset({"phi3", "phi3small", "phi3_v", "phi4mm", "phi4_multimodal"})
"""Model types with qkv_proj and gate_up_proj."""
_QUERY_GATED = frozenset({"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen4_exp_text"})
"""Model types whose q_proj also makes a gate for the output, unless config.json says otherwise."""
_GLOBAL = {"gemma4_text": 512, "gemma4_unified_text": 512}
"""Size of a head in the layers without a window, unless config.json says it."""
_OUTPUT_GATED = frozenset({"afmoe"})
"""Model types with a gate_proj beside q_proj."""


@dataclass(frozen=True)
class Heads:
    """Heads of one attention layer."""

    queries: int
    keys: int
    size: int
    value_size: int


def query_heads(text: Section) -> int:
    """Query heads of the whole model."""
    return text.number("num_attention_heads", "n_head", "num_heads", "n_heads")


def head_size(text: Section) -> int:
    """Size of one head."""
    heads = query_heads(text)
    hidden = text.number("hidden_size", "n_embd", "d_model")
    return text.number("head_dim", "head_size", "kv_channels", "attention_head_dim") or (
        hidden // heads if heads else 0
    )


def heads_of(text: Section, layer: Layer) -> Heads:
    """Heads of one layer. In some families, layers with a window have other heads than those without."""
    queries, size = query_heads(text), head_size(text)
    keys = _key_heads(text, queries)
    if layer.heads_in_group:
        keys = queries // layer.heads_in_group
    value = text.number("v_head_dim") or size
    if layer.sliding:
        queries = text.number("swa_num_attention_heads") or queries
        keys = text.number("swa_num_key_value_heads") or keys
        other = text.number("swa_head_dim")
        size, value = other or size, text.number("swa_v_head_dim") or other or value
        setting = text.field("attention_other_setting")
        if isinstance(setting, dict):
            own = Section(setting, "")
            queries = own.number("num_attention_heads") or queries
            keys = own.number("num_attention_groups", "num_key_value_heads") or keys
            size = value = own.number("head_dim") or size
    elif text.number("global_head_dim") or text.kind in _GLOBAL:
        size = value = text.number("global_head_dim") or _GLOBAL[text.kind]
        if text.flag("attention_k_eq_v"):
            keys = text.number("num_global_key_value_heads") or keys
    return Heads(queries, keys, size, value)


def _key_heads(text: Section, queries: int) -> int:
    if text.flag("new_decoder_architecture"):
        return text.number("num_kv_heads") or queries
    if text.flag("multi_query"):
        return text.number("multi_query_group_num") or 1
    said = text.number("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups")
    return said or queries


def attention(text: Section, layer: Layer, shares: bool) -> Parts:
    """Attention with grouped heads; `shares`: keys and values are those of an earlier layer."""
    hidden, heads = text.number("hidden_size", "n_embd", "d_model"), heads_of(text, layer)
    linears = tuple(_projections(text, layer, hidden, heads, shares))
    if shares:
        return Parts(linears)
    return Parts(linears, kept=(Kept(heads.keys, heads.size + heads.value_size),))


def _projections(text: Section, layer: Layer, hidden: int, heads: Heads, shares: bool) -> Iterator[Linear]:
    queries, keys, values = heads.queries * heads.size, heads.keys * heads.size, heads.keys * heads.value_size
    gated = text.flag("attn_output_gate", default=text.kind in _QUERY_GATED)
    if text.kind in FUSED:
        yield Linear("self_attn.qkv_proj", queries + keys + values, hidden)
    else:
        yield Linear("self_attn.q_proj", (2 if gated else 1) * queries, hidden)
        if not shares:
            yield Linear("self_attn.k_proj", keys, hidden)
            if layer.sliding or not text.flag("attention_k_eq_v"):
                yield Linear("self_attn.v_proj", values, hidden)
    if text.kind in _OUTPUT_GATED:
        yield Linear("self_attn.gate_proj", queries, hidden)
    yield Linear("self_attn.o_proj", hidden, heads.queries * heads.value_size)


def latent_attention(text: Section) -> Parts:
    """Latent attention: keys and values of all heads are made from one vector, and only that is cached."""
    hidden, heads, rank = text.number("hidden_size"), query_heads(text), text.number("kv_lora_rank")
    rope, plain = text.number("qk_rope_head_dim"), text.number("qk_nope_head_dim")
    value, low = text.number("v_head_dim"), text.number("q_lora_rank")
    linears = [Linear("self_attn.q_a_proj", low, hidden)] if low else []
    linears += [
        Linear("self_attn.q_b_proj" if low else "self_attn.q_proj", heads * (plain + rope), low or hidden),
        Linear("self_attn.kv_a_proj_with_mqa", rank + rope, hidden),
        Linear("self_attn.kv_b_proj", heads * (plain + value), rank),
        Linear("self_attn.o_proj", hidden, heads * value),
    ]
    return Parts(tuple(linears), kept=(Kept(1, rank + rope),)) + _indexer(text, hidden, low or hidden)


def compressed_attention(text: Section, layer: Layer) -> Parts:
    """Compressed attention (DeepSeek-V4): one key/value head, and a compressor that combines layer.ratio tokens."""
    hidden, heads, size = text.number("hidden_size"), query_heads(text), head_size(text)
    low, groups, out = text.number("q_lora_rank"), text.number("o_groups"), text.number("o_lora_rank")
    found = Parts(
        (
            Linear("self_attn.q_a_proj", low, hidden),
            Linear("self_attn.q_b_proj", heads * size, low),
            Linear("self_attn.kv_proj", size, hidden),
            Linear("self_attn.o_a_proj", groups * out, heads * size // max(1, groups)),
            Linear("self_attn.o_b_proj", hidden, groups * out),
        ),
        extra=2 * text.number("hc_mult") * hidden * 24,
    )
    if layer.ratio < 2:
        return found
    sparse = layer.ratio < INDEX_BLOCK
    width = (2 if sparse else 1) * size
    found += Parts(
        (
            Linear("self_attn.compressor.kv_proj", width, hidden),
            Linear("self_attn.compressor.gate_proj", width, hidden),
        ),
        kept=(Kept(1, -(-size // layer.ratio)),),
    )
    return found + _compressed_indexer(text, hidden, low, layer.ratio) if sparse else found


def _compressed_indexer(text: Section, hidden: int, query: int, ratio: int) -> Parts:
    heads, size = text.number("index_n_heads"), text.number("index_head_dim")
    prefix = "self_attn.compressor.indexer."
    linears = (
        Linear(prefix + "kv_proj", 2 * size, hidden),
        Linear(prefix + "gate_proj", 2 * size, hidden),
        Linear(prefix + "q_b_proj", heads * size, query),
        Linear(prefix + "weights_proj", heads, hidden),
    )
    return Parts(linears, kept=(Kept(1, -(-(size + 4) // ratio), eight_bits=True),))


def _indexer(text: Section, hidden: int, query: int) -> Parts:
    """Indexer of sparse attention, which chooses tokens: it has its own keys in the cache, in 8 bits with scales."""
    heads, size = text.number("index_n_heads"), text.number("index_head_dim")
    if not heads or not size:
        return Parts()
    linears = (
        Linear("self_attn.indexer.wq_b", heads * size, query),
        Linear("self_attn.indexer.wk", size, hidden),
        Linear("self_attn.indexer.weights_proj", heads, hidden),
    )
    return Parts(linears, kept=(Kept(1, size + 4 * -(-size // INDEX_BLOCK), eight_bits=True),))
