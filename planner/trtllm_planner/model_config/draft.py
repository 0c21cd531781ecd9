"""Draft layers at a checkpoint's end, which only predict further tokens (MTP); servers load them for speculation."""

from __future__ import annotations

from trtllm_planner.model_config.language_model import parts_of
from trtllm_planner.model_config.layers import Feed, Layer, Mixer, expert_count
from trtllm_planner.model_config.section import Section

_NAMES = ("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers", "num_mtp_modules")
_ASSUMED = {"qwen3_next": 1}
"""Number of draft layers of model types whose config.json does not say it."""


def draft_numbers(text: Section) -> int:
    """Number of parameters of draft layers: each is a decoder layer behind a projection of two hidden states."""
    count = next((text.number(name) for name in _NAMES if text.says(name)), 0) or _ASSUMED.get(text.kind, 0)
    if not count or count > 16:
        return 0
    hidden = text.number("hidden_size")
    latent = bool(text.number("kv_lora_rank"))
    feed = Feed.EXPERTS if expert_count(text) > 1 else Feed.DENSE
    layer = parts_of(text, Layer((Mixer.LATENT if latent else Mixer.ATTENTION,), feed))
    return count * (sum(linear.numbers for linear in layer.linears) + layer.extra + 2 * hidden * hidden)
