"""Mixers that keep a state of fixed size instead of keys and values: Mamba, delta rules, convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trtllm_planner.model_config.attention import head_size, query_heads
from trtllm_planner.model_config.layers import Mixer
from trtllm_planner.model_config.parts import Linear, Parts
from trtllm_planner.model_config.section import Section

_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
_FLOAT32 = frozenset({"nemotron_h"})
"""Model types whose class keeps Mamba's state in 32 bits, unless config.json says otherwise."""


def _state_bytes(text: Section) -> int:
    """Bytes of one number of a recurrent state: mamba_ssm_cache_dtype, else the model's own type."""
    said = text.field("mamba_ssm_cache_dtype")
    return _BYTES.get(str(said), 4 if said is None and text.kind in _FLOAT32 else 2)


def mamba2(text: Section) -> Parts:
    """Mamba 2: a state space with many heads and groups of inputs."""
    hidden = text.number("hidden_size")
    heads = text.number("mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads")
    size = text.number("mamba_head_dim", "mamba_d_head", "head_dim", "mamba_headdim")
    inner = text.number("mamba_d_ssm") or heads * size or text.number("expand", "mamba_expand") * hidden
    groups, state = text.number("n_groups", "mamba_n_groups", "mamba_ngroups"), _state_size(text)
    kernel = text.number("conv_kernel", "mamba_d_conv")
    mixed = inner + 2 * groups * state
    return Parts(
        (
            Linear("mixer.in_proj", inner + mixed + heads, hidden),
            Linear("mixer.out_proj", hidden, inner),
        ),
        extra=mixed * (kernel + 1) + 3 * heads + inner,
        state=2 * mixed * max(0, kernel - 1) + inner * state * _state_bytes(text),
    )


def _state_size(text: Section) -> int:
    return text.number("ssm_state_size", "mamba_d_state", "state_size")


def mamba(text: Section) -> Parts:
    """Mamba: a state space of single channels."""
    hidden, state = text.number("hidden_size"), _state_size(text)
    inner = text.number("intermediate_size") if text.kind in {"mamba", "falcon_mamba"} else 0
    inner = inner or (text.number("expand", "mamba_expand") or 2) * hidden
    rank = text.number("time_step_rank", "mamba_dt_rank") or -(-hidden // 16)
    kernel = text.number("conv_kernel", "mamba_d_conv") or 4
    return Parts(
        (
            Linear("mixer.in_proj", 2 * inner, hidden),
            Linear("mixer.x_proj", rank + 2 * state, inner),
            Linear("mixer.dt_proj", inner, rank),
            Linear("mixer.out_proj", hidden, inner),
        ),
        extra=inner * (kernel + 1 + state + 2),
        state=2 * inner * max(0, kernel - 1) + inner * state * _state_bytes(text),
    )


def delta(text: Section) -> Parts:
    """Gated delta rule (Qwen3-Next)."""
    hidden = text.number("hidden_size")
    keys, values = text.number("linear_num_key_heads"), text.number("linear_num_value_heads")
    key, value = text.number("linear_key_head_dim"), text.number("linear_value_head_dim")
    kernel = text.number("linear_conv_kernel_dim")
    mixed = 2 * keys * key + values * value
    return Parts(
        (
            Linear("linear_attn.in_proj_qkvz", mixed + values * value, hidden),
            Linear("linear_attn.in_proj_ba", 2 * values, hidden),
            Linear("linear_attn.out_proj", hidden, values * value),
        ),
        extra=mixed * kernel + 2 * values + value,
        state=2 * mixed * max(0, kernel - 1) + values * key * value * _state_bytes(text),
    )


def kimi_delta(text: Section) -> Parts:
    """Kimi's delta attention: a decay for every channel, through a narrow pair of layers; its state has 32 bits."""
    own = text.field("linear_attn_config")
    linear = Section(own if isinstance(own, dict) else {}, "")
    hidden = text.number("hidden_size")
    heads = linear.number("num_heads") or text.number("linear_num_heads") or query_heads(text)
    size = linear.number("head_dim") or text.number("linear_head_dim") or head_size(text)
    kernel = linear.number("short_conv_kernel_size") or text.number("short_conv_kernel_size") or 4
    inner = heads * size
    projections = tuple(Linear(f"self_attn.{name}_proj", inner, hidden) for name in "qkv")
    narrow = tuple(
        item
        for name in "fg"
        for item in (Linear(f"self_attn.{name}_a_proj", size, hidden), Linear(f"self_attn.{name}_b_proj", inner, size))
    )
    return Parts(
        (
            *projections,
            *narrow,
            Linear("self_attn.b_proj", heads, hidden),
            Linear("self_attn.o_proj", hidden, inner),
        ),
        extra=3 * inner * kernel + inner + heads + size,
        state=2 * 3 * inner * max(0, kernel - 1) + 4 * inner * size,
    )


def lightning(text: Section) -> Parts:
    """Linear attention whose state is a matrix for each head, in 32 bits."""
    hidden, heads, size = text.number("hidden_size"), query_heads(text), head_size(text)
    inner = heads * size
    return Parts(
        (
            Linear("self_attn.qkv_proj", 3 * inner, hidden),
            Linear("self_attn.output_gate", inner, hidden),
            Linear("self_attn.out_proj", hidden, inner),
        ),
        extra=inner,
        state=4 * inner * size,
    )


def convolution(text: Section) -> Parts:
    """Short gated convolution (LFM2)."""
    hidden, kernel = text.number("hidden_size"), text.number("conv_L_cache")
    return Parts(
        (Linear("conv.in_proj", 3 * hidden, hidden), Linear("conv.out_proj", hidden, hidden)),
        extra=hidden * kernel,
        state=2 * hidden * kernel,
    )


def recurrence(text: Section) -> Parts:
    """Gated linear recurrence (RecurrentGemma); its state has 32 bits."""
    hidden = text.number("hidden_size")
    width, kernel, heads = text.number("lru_width") or hidden, text.number("conv1d_width") or 4, query_heads(text)
    return Parts(
        (
            Linear("temporal_block.linear_x", width, hidden),
            Linear("temporal_block.linear_y", width, hidden),
            Linear("temporal_block.linear_out", hidden, width),
        ),
        extra=width * (kernel + 1) + 2 * width * (width // max(1, heads)) + 3 * width,
        state=2 * width * max(0, kernel - 1) + 4 * width,
    )


MIXERS: Mapping[Mixer, Callable[[Section], Parts]] = {
    Mixer.MAMBA: mamba,
    Mixer.MAMBA2: mamba2,
    Mixer.DELTA: delta,
    Mixer.KIMI_DELTA: kimi_delta,
    Mixer.LIGHTNING: lightning,
    Mixer.CONVOLUTION: convolution,
    Mixer.RECURRENT: recurrence,
}
