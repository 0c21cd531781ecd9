"""Decoder layers: each has attention or a recurrent mixer, and a feed-forward layer or a mixture of experts.

config.json describes them in a dozen ways: lists of types, patterns of letters, the first or every n-th layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trtllm_api.facts import MAX_LAYERS
from trtllm_planner.model_config.section import Section, bounded


class Mixer(StrEnum):
    """Part of a layer that carries information from token to token."""

    ATTENTION = "attention"
    LATENT = "latent attention"
    COMPRESSED = "compressed attention"
    MAMBA = "Mamba"
    MAMBA2 = "Mamba 2"
    DELTA = "gated delta rule"
    KIMI_DELTA = "Kimi delta attention"
    LIGHTNING = "lightning attention"
    CONVOLUTION = "short convolution"
    RECURRENT = "gated linear recurrence"


class Feed(StrEnum):
    """Part of a layer that follows the mixer."""

    DENSE = "dense"
    EXPERTS = "experts"
    NONE = "none"


@dataclass(frozen=True)
class Layer:
    """One decoder layer."""

    mixers: tuple[Mixer, ...]
    """Mixers of the layer: usually one, none in a layer that only feeds forward."""
    feed: Feed
    sliding: bool = False
    """Whether attention looks back over a window only."""
    heads_in_group: int = 0
    """Query heads per key/value head if layers differ; 0 for those of the whole model."""
    inner: int = 0
    """Width of the feed-forward layer if layers differ; 0 for that of the whole model."""
    shares: bool = False
    """Whether keys and values are those of an earlier layer."""
    ratio: int = 0
    """Number of tokens that compressed attention keeps as one; 0 if it keeps a window only."""


_TYPES: Mapping[str, Mixer] = {
    "mamba": Mixer.MAMBA2,
    "mamba2": Mixer.MAMBA2,
    "conv": Mixer.CONVOLUTION,
    "recurrent": Mixer.RECURRENT,
    "linear_attention": Mixer.DELTA,
    "kda": Mixer.KIMI_DELTA,
}
_LINEAR: Mapping[str, Mixer] = {
    "minimax": Mixer.LIGHTNING,
    "minimax_text_01": Mixer.LIGHTNING,
    "bailing_hybrid": Mixer.LIGHTNING,
    "jamba": Mixer.MAMBA,
    "nemotron_h": Mixer.MAMBA2,
    "granitemoehybrid": Mixer.MAMBA2,
    "bamba": Mixer.MAMBA2,
    "zamba": Mixer.MAMBA,
    "kimi_linear": Mixer.KIMI_DELTA,
    "lfm2": Mixer.CONVOLUTION,
    "lfm2_moe": Mixer.CONVOLUTION,
    "recurrent_gemma": Mixer.RECURRENT,
}
"""Mixers that `linear_attention` stands for in a list of layer types, if not the gated delta rule."""
_RECURRENT_ONLY: Mapping[str, tuple[Mixer, ...]] = {
    "mamba": (Mixer.MAMBA,),
    "falcon_mamba": (Mixer.MAMBA,),
    "mamba2": (Mixer.MAMBA2,),
    "falcon_h1": (Mixer.ATTENTION, Mixer.MAMBA2),
}
"""Mixers of families whose layers are all alike and are not only attention."""
_LETTERS: Mapping[str, Layer] = {
    "M": Layer((Mixer.MAMBA2,), Feed.NONE),
    "*": Layer((Mixer.ATTENTION,), Feed.NONE),
    "E": Layer((), Feed.EXPERTS),
    "-": Layer((), Feed.DENSE),
}
"""Layers by letter of Nemotron-H's pattern: each layer has one part."""
_BLOCKS: Mapping[str, str] = {
    "mamba": "M",
    "linear_attention": "M",
    "attention": "*",
    "full_attention": "*",
    "moe": "E",
    "mlp": "-",
}
"""Letters of that pattern by word, for configs with a list of words."""


def decoder_layers(text: Section) -> tuple[Layer, ...]:
    """All layers of the language model, from first to last."""
    blocks = text.listed("block_configs")
    if blocks:
        return tuple(_searched(text, block) for block in blocks[:MAX_LAYERS])
    pattern = text.field("hybrid_override_pattern")
    if not isinstance(pattern, str) and text.kind == "nemotron_h":
        pattern = "".join(_BLOCKS.get(str(name), "") for name in text.listed("layers_block_type"))
    if isinstance(pattern, str) and pattern:
        return tuple(_LETTERS[letter] for letter in pattern[:MAX_LAYERS] if letter in _LETTERS)
    count = layer_count(text)
    mixers, feeds = _mixers(text, count), _feeds(text, count)
    sliding = _sliding(text, count)
    own, ratios = count - text.number("num_kv_shared_layers"), _ratios(text, count)
    widths = text.listed("intermediate_size")
    return tuple(
        Layer(
            mixers[index],
            feeds[index],
            sliding[index],
            inner=_inner(text, widths, index, index >= own),
            shares=index >= own,
            ratio=ratios[index],
        )
        for index in range(count)
    )


def _inner(text: Section, widths: tuple[object, ...], index: int, shares: bool) -> int:
    """Width of one layer if config.json lists widths, or widens layers that share keys and values; else 0."""
    listed = widths[index] if index < len(widths) else 0
    if isinstance(listed, int) and not isinstance(listed, bool) and listed > 0:
        return listed
    return 2 * text.number("intermediate_size") if shares and text.flag("use_double_wide_mlp") else 0


_RATIOS: Mapping[str, int] = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}


def _ratios(text: Section, count: int) -> list[int]:
    """Number of tokens that each layer keeps as one (DeepSeek-V4)."""
    if text.kind != "deepseek_v4":
        return [0] * count
    listed, types = text.listed("compress_ratios"), text.listed("layer_types")
    if listed:
        return [
            listed[index] if index < len(listed) and isinstance(listed[index], int) else 0 for index in range(count)
        ]
    if types:
        return [_RATIOS.get(str(types[index % len(types)]), 0) for index in range(count)]
    return [128 if index < 3 or index % 2 == 0 else 4 for index in range(count)]


def layer_count(text: Section) -> int:
    """Number of decoder layers, without draft layers."""
    return bounded("layers", text.number("num_hidden_layers", "n_layer", "num_layers", "n_layers"), MAX_LAYERS)


def _searched(text: Section, block: object) -> Layer:
    """A layer chosen by an architecture search: without attention or feed-forward layer, or with its own widths."""
    parts: Mapping[str, Mapping[str, object]] = block if isinstance(block, dict) else {}
    attention, feed = Section(parts.get("attention") or {}, ""), Section(parts.get("ffn") or {}, "")
    hidden = text.number("hidden_size")
    inner = feed.number("intermediate_size") or multiplied_width(feed.real("ffn_mult"), hidden)
    group = attention.number("n_heads_in_group")
    keys = attention.number("num_key_value_heads")
    group = group or (text.number("num_attention_heads") // keys if keys else 0)
    mixes = not attention.flag("no_op") and not attention.flag("replace_with_linear")
    feeds = not feed.flag("no_op") and not feed.flag("replace_with_linear")
    return Layer(
        (Mixer.ATTENTION,) if mixes else (), Feed.DENSE if feeds else Feed.NONE, heads_in_group=group, inner=inner
    )


def multiplied_width(multiple: float, hidden: int) -> int:
    """Width of a gated feed-forward layer that is `multiple` times the hidden size, rounded up to a multiple of 256."""
    return -(-int(2 * multiple * hidden / 3) // 256) * 256


def _mixers(text: Section, count: int) -> list[tuple[Mixer, ...]]:
    if text.kind in _RECURRENT_ONLY:
        return [_RECURRENT_ONLY[text.kind]] * count
    if text.kind == "deepseek_v4":
        return [(Mixer.COMPRESSED,)] * count
    attention = Mixer.LATENT if text.number("kv_lora_rank") else Mixer.ATTENTION
    types = text.listed("layer_types") or text.listed("layers_block_type") or text.listed("block_types")
    if types:
        return [(_typed(text, str(types[index % len(types)]), attention),) for index in range(count)]
    recurrent = _recurrent(text)
    if recurrent is None:
        return [(attention,)] * count
    is_attention, mixer = recurrent
    return [(attention if is_attention(index) else mixer,) for index in range(count)]


def _typed(text: Section, name: str, attention: Mixer) -> Mixer:
    if name == "linear_attention":
        return _LINEAR.get(text.kind, Mixer.DELTA)
    if name == "mamba":
        return _LINEAR.get(text.kind, Mixer.MAMBA2)
    return _TYPES.get(name, attention)


def _recurrent(text: Section) -> tuple[Callable[[int], bool], Mixer] | None:
    """Test for layers with attention, and the mixer of the others, in families without a list of types."""
    mixer = _LINEAR.get(text.kind, Mixer.DELTA)
    linear = text.field("linear_attn_config")
    if isinstance(linear, dict) and isinstance(linear.get("full_attn_layers"), list):
        full = frozenset(linear["full_attn_layers"])  # counted from 1
        return lambda index: index + 1 in full, Mixer.KIMI_DELTA
    period = text.number("attn_layer_period")
    if period:
        offset = text.number("attn_layer_offset")
        return lambda index: index % period == offset % period, mixer
    if text.kind == "bamba" or text.listed("attn_layer_indices"):
        indices = frozenset(text.listed("attn_layer_indices"))
        return lambda index: index in indices, mixer
    kinds = text.listed("attn_type_list")
    if kinds:
        return lambda index: kinds[index % len(kinds)] == 1, mixer
    interval = text.number("full_attention_interval", "layer_group_size")
    if interval:
        return lambda index: (index + 1) % interval == 0, mixer
    if text.kind in {"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"}:
        return lambda index: (index + 1) % 4 == 0, mixer
    return None


def _sliding(text: Section, count: int) -> list[bool]:
    types = text.listed("layer_types")
    if types:
        return ["sliding" in str(types[index % len(types)]) for index in range(count)]
    if not text.number("sliding_window") or not text.flag("use_sliding_window", default=True):
        return [False] * count
    pattern = text.number("sliding_window_pattern", "_sliding_window_pattern") or _PATTERNS.get(text.kind, 0)
    if pattern:
        return [(index + 1) % pattern != 0 for index in range(count)]
    first = text.number("max_window_layers") if text.says("max_window_layers") else 0
    return [index >= first for index in range(count)]


_PATTERNS: Mapping[str, int] = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2, "gemma3n_text": 5}
"""Period of layers without a window in families whose config.json does not say it: one in so many."""


def expert_count(text: Section) -> int:
    """Number of routed experts of a mixture; 0 for a dense model."""
    if text.kind.startswith("gemma4") and not text.flag("enable_moe_block"):
        return 0
    names = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_moe_experts")
    for name in names:
        first = next(iter(text.listed(name)), None)  # ERNIE: of text, then of vision
        if isinstance(first, int):
            return first
    return text.number(*names)


def _feeds(text: Section, count: int) -> list[Feed]:
    if text.kind in {"mamba", "mamba2", "falcon_mamba"}:
        return [Feed.NONE] * count
    if expert_count(text) < 2:
        return [Feed.DENSE] * count
    chosen = frozenset(_expert_layers(text, count))
    return [Feed.EXPERTS if index in chosen else Feed.DENSE for index in range(count)]


def _expert_layers(text: Section, count: int) -> Iterator[int]:
    """Numbers of the layers that are mixtures."""
    every = range(count)
    types, frequencies = text.listed("mlp_layer_types"), text.listed("moe_layer_freq")
    named = text.listed("moe_layers")
    enumerated = text.field("moe_layers_enum")
    if types:
        yield from (index for index in every if str(types[index % len(types)]) not in {"dense", "mlp"})
    elif frequencies:
        yield from (index for index in every if index < len(frequencies) and frequencies[index])
    elif named:
        yield from (index for index in named if isinstance(index, int))
    elif isinstance(enumerated, str) and enumerated:
        yield from (int(item) for item in enumerated.split(",") if item.strip().isdecimal())
    else:
        yield from _periodic(text, count)


def _periodic(text: Section, count: int) -> Iterator[int]:
    step, start = 1, text.number("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    end, dense = count, frozenset(text.listed("mlp_only_layers"))
    offset = 0
    if text.number("interleave_moe_layer_step"):
        step = text.number("interleave_moe_layer_step")
        offset = step - 1
    elif text.number("decoder_sparse_step"):
        step = text.number("decoder_sparse_step")
        offset = step - 1
    elif text.number("expert_layer_period"):
        step, offset = text.number("expert_layer_period"), text.number("expert_layer_offset")
    elif text.number("moe_layer_freq", "moe_layer_interval"):
        step = text.number("moe_layer_freq", "moe_layer_interval")
        offset = step - 1 if text.kind.startswith("ernie") else 0
    last = text.number("moe_layer_end_index")
    if last:
        end = min(count, last + 1)
    yield from (index for index in range(start, end) if index % step == offset % step and index not in dense)
