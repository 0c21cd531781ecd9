"""The longest sequence that a model supports, and windows of its attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trtllm_planner.model_config.section import Section
from trtllm_planner.model_config.weight_formats import SHORT

_UNSCALED = frozenset({None, "default", "llama3", "longrope", "su", "proportional"})
"""Kinds of rotary scaling that max_position_embeddings already includes."""


def _rope(text: Section) -> Mapping[str, Any]:
    found = text.field("rope_scaling") or text.field("rope_parameters") or {}
    if not isinstance(found, Mapping):
        return {}
    full = found.get("full_attention")  # layers with and without a window may rotate differently
    return full if isinstance(full, Mapping) else found


def _kind(rope: Mapping[str, Any]) -> str | None:
    kind = rope.get("rope_type") or rope.get("type")
    return str(kind)[:SHORT] if kind else None


def rope_type(text: Section) -> str | None:
    """Kind of rotary scaling."""
    return _kind(_rope(text))


def longest_sequence(text: Section) -> int:
    """Longest sequence with rotary scaling, in tokens; max_position_embeddings may include the scaling already."""
    rope = _rope(text)
    most = text.number("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    factor = Section(rope, "").real("factor")
    if not factor or _kind(rope) in _UNSCALED:
        return most
    original = rope.get("original_max_position_embeddings")
    if isinstance(original, int) and not isinstance(original, bool) and original > 0:
        return max(most, int(original * factor))
    return int(most * factor)


def sliding_window(text: Section) -> int:
    """Number of tokens that layers with a window look back; 0 if there is no window."""
    return text.number("sliding_window", "attention_window_size", "sliding_window_size")
