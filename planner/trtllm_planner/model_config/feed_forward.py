"""Feed-forward layers and mixtures of experts: routed and shared experts, latent spaces, dense layers beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtllm_planner.model_config.attention import FUSED
from trtllm_planner.model_config.layers import Layer, expert_count
from trtllm_planner.model_config.parts import ROUTED, Linear, Parts
from trtllm_planner.model_config.section import Section

UNGATED = frozenset(
    {
        *("phi", "gptj", "gpt_neox", "gpt_neo", "starcoder2", "gpt2", "gpt_bigcode", "opt", "falcon", "nemotron"),
        *("bloom", "mpt", "persimmon", "fuyu", "codegen", "nemotron_h", "arcee", "apertus", "jais2", "gpt-sw3"),
        *("nanochat", "RefinedWeb", "RefinedWebModel", "jais"),
    }
)
"""Model types whose feed-forward layer has no gate: two linear layers instead of three."""
_MIXTRAL = frozenset({"mixtral", "phimoe", "minimax", "minimax_text_01", "minimax_m2", "arctic", "dbrx", "grok-1"})
"""Model types whose experts' layers are called w1, w2 and w3."""
_FUSED_EXPERTS = frozenset({"llama4_text", "gpt_oss", "granitemoe", "granitemoehybrid", "qwen3_vl_moe_text"})
"""Model types whose experts have gate and up projection in one linear layer."""
_DENSE_TOO = frozenset({"arctic", "gemma4_text", "gemma4"})
"""Model types whose mixtures have a dense layer beside them."""


def width(text: Section) -> int:
    """Width of the dense feed-forward layers."""
    if text.kind.startswith("llama4") and text.number("intermediate_size_mlp"):
        return text.number("intermediate_size_mlp")
    hidden = text.number("hidden_size", "n_embd", "d_model")
    if text.kind == "mpt":
        return text.number("expansion_ratio") * hidden
    found = text.number(
        *("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "inner_dim", "dense_intermediate_size"),
        *("block_ff_dim", "feed_forward_size"),
    )
    if text.kind.startswith("lfm2") and text.flag("block_auto_adjust_ff_dim", default=True):
        multiple = text.number("block_multiple_of") or 256
        found = -(-(2 * found // 3) // multiple) * multiple
    if text.kind == "recurrent_gemma":
        return found // 2  # config.json counts the gate, too
    return found or 4 * hidden


def dense(text: Section, layer: Layer) -> Parts:
    """The feed-forward layer of one decoder layer."""
    return Parts(tuple(_feed_forward(text, f"{module(text)}.", layer.inner or width(text), _hidden(text))))


def module(text: Section) -> str:
    """Name of a decoder layer's feed-forward part."""
    return "mixer" if text.kind == "nemotron_h" else "mlp"


def _hidden(text: Section) -> int:
    return text.number("hidden_size", "n_embd", "d_model")


def _feed_forward(text: Section, prefix: str, inner: int, hidden: int, copies: int = 1) -> Iterator[Linear]:
    if text.kind in UNGATED:
        up, down = ("up_proj", "down_proj") if text.kind in {"nemotron", "nemotron_h"} else ("fc1", "fc2")
        yield Linear(prefix + up, inner, hidden, copies)
        yield Linear(prefix + down, hidden, inner, copies)
        return
    if text.kind in FUSED:
        yield Linear(prefix + "gate_up_proj", 2 * inner, hidden, copies)
    else:
        yield Linear(prefix + "gate_proj", inner, hidden, copies)
        yield Linear(prefix + "up_proj", inner, hidden, copies)
    yield Linear(prefix + "down_proj", hidden, inner, copies)


def expert_width(text: Section) -> int:
    """Width of one routed expert."""
    for name in ("moe_intermediate_size", "moe_ffn_hidden_size"):
        first = next(iter(text.listed(name)), None)  # Hunyuan: of every layer
        if isinstance(first, int):
            return first
    if text.kind.startswith("llama4"):
        return text.number("intermediate_size")
    return text.number("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size") or width(text)


def mixture(text: Section, layer: Layer) -> Parts:
    """A mixture: routed experts, their router, shared experts, and a dense layer if the family has one."""
    hidden, experts = _hidden(text), expert_count(text)
    latent = text.number("moe_latent_size")
    prefix = "block_sparse_moe" if text.kind in _MIXTRAL else module(text)
    linears = [*_routed(text, f"{prefix}.{ROUTED}", expert_width(text), latent or hidden, experts)]
    linears.append(Linear(f"{prefix}.gate", experts, hidden))
    if latent:
        linears += [
            Linear(f"{prefix}.fc1_latent_proj", latent, hidden),
            Linear(f"{prefix}.fc2_latent_proj", hidden, latent),
        ]
    shared = shared_width(text)
    if shared:
        linears += _feed_forward(text, f"{prefix}.shared_experts.", shared, hidden)
    found = Parts(tuple(linears))
    return found + dense(text, layer) if text.kind in _DENSE_TOO else found


def _routed(text: Section, prefix: str, inner: int, hidden: int, experts: int) -> Iterator[Linear]:
    if text.kind in _MIXTRAL:
        for name, outputs, inputs in (("w1", inner, hidden), ("w2", hidden, inner), ("w3", inner, hidden)):
            yield Linear(prefix + name, outputs, inputs, experts)
    elif text.kind in _FUSED_EXPERTS:
        yield Linear(prefix + "gate_up_proj", 2 * inner, hidden, experts)
        yield Linear(prefix + "down_proj", hidden, inner, experts)
    else:
        yield from _feed_forward(text, prefix, inner, hidden, experts)


_SHARED: Mapping[str, tuple[str, ...]] = {
    "width": (
        *("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"),
        *("shared_experts_intermediate_size", "share_expert_dim", "moe_shared_intermediate_size"),
    ),
    "count": ("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"),
}


def shared_width(text: Section) -> int:
    """Width of all shared experts together; 0 if there are none."""
    if text.kind.startswith("llama4"):
        return text.number("intermediate_size")
    if text.kind == "hunyuan_v1_moe":
        counts = text.listed("num_shared_expert") or (text.number("num_shared_expert"),)
        return int(counts[0]) * expert_width(text)
    return text.number(*_SHARED["width"]) or text.number(*_SHARED["count"]) * expert_width(text)
