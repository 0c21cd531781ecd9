"""Part of the model that a tensor belongs to, by its name: a tower, draft layers, or the language model."""

from __future__ import annotations

import re

_TOWER = re.compile(
    r"(^|\.)(vision|visual|audio|sound|speech|image_|img_|multi_modal|mm_|embed_vision|embed_audio|patch_merger|"
    r"embed_tokens_extend|siglip|radio|vit|qformer|resampler|perceiver|connector|aligner|projector|mlp1)[^.]*\."
)
_TEXT = re.compile(r"(^|\.)(language_model|text_model|llm)\.")
_DRAFT = re.compile(r"(^|\.)(mtp|nextn|eagle|mtp_layers|mtp_block|draft)\.")
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")


def in_tower(name: str) -> bool:
    """True for a tensor of an image or audio encoder, or of the projector after it."""
    return _TOWER.search(name) is not None and _TEXT.search(name) is None


def in_draft(name: str, layers: int) -> bool:
    """True for a tensor of a draft layer: one with such a name, or after the model's own `layers`."""
    if _DRAFT.search(name) is not None:
        return True
    number = _LAYER.search(name)
    return layers > 0 and number is not None and int(number.group(1)) >= layers
