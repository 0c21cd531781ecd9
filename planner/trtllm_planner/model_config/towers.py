"""Number of parameters of towers: image and audio encoders and their projectors, beside the language model."""

from __future__ import annotations

from trtllm_planner.model_config.section import Section

VISION = ("vision_config", "visual_config", "vision_tower_config", "img_processor")
AUDIO = ("audio_config", "sound_config", "audio_processor")
_GATED = frozenset({"pixtral", "exaone4_5_vision", "glm4v_vision", "glm4v_moe_vision", "glm_ocr_vision"})
_GATED_BEGINS = ("qwen2_5", "gemma4")
"""Encoders whose feed-forward layer has a gate."""
_CONFORMERS = frozenset({"gemma4_audio", "phi4_multimodal_audio", "gemma3n_audio", "parakeet_encoder"})
_MEAN_WIDTH = 4
"""Width of a feed-forward layer as a multiple of the hidden size, if config.json does not say it."""


def tower_numbers(whole: Section, text: Section) -> int:
    """Number of parameters of all towers; 0 for a text model."""
    vision, audio = whole.part(*VISION), whole.part(*AUDIO)
    hidden = text.number("hidden_size")
    found = 0
    if vision is not None:
        found += _encoder(vision, whole) + _projector(vision, whole, hidden)
    if audio is not None:
        found += _audio(audio, hidden)
    return found


def _sizes(part: Section) -> tuple[int, int, int]:
    """Layers, hidden size, width of the feed-forward layer."""
    layers = part.number("num_hidden_layers", "depth", "num_layers", "encoder_layers", "vt_num_hidden_layers")
    hidden = part.number("embed_dim", "hidden_size", "width", "d_model", "vt_hidden_size")
    inner = part.number("intermediate_size", "encoder_ffn_dim", "mlp_dim", "vt_intermediate_size")
    inner = inner or int((part.real("mlp_ratio") or _MEAN_WIDTH) * hidden)
    if part.kind in {"glm4v_moe_vision", "glm4v_vision"}:
        inner = part.number("out_hidden_size")
    return layers, hidden, inner


def _encoder(part: Section, whole: Section) -> int:
    layers, hidden, inner = _sizes(part)
    heads, keys = part.number("num_attention_heads", "num_heads"), part.number("num_key_value_heads")
    share = keys / heads if heads and 0 < keys < heads else 1.0
    gated = part.kind in _GATED or part.kind.startswith(_GATED_BEGINS)
    layer = int((2 + 2 * share) * hidden * hidden) + (3 if gated else 2) * hidden * inner
    layers += part.number("num_global_layers")
    patch = part.number("patch_size") or 14
    channels = (part.number("num_channels", "in_channels", "in_chans") or 3) * (part.number("temporal_patch_size") or 1)
    found = layers * layer + channels * patch * patch * hidden + _positions(part, patch, hidden)
    if part.kind == "step3p5_vision":  # two convolutions of 3 x 3, each of twice as many channels
        found += 9 * 2 * hidden * hidden * 5
    if part.flag("vision_use_head", default=part.kind in {"siglip_vision_model", "phi4_multimodal_vision"}):
        found += layer
    if whole.kind == "mllama":
        tiles = (part.number("max_num_tiles") or 4) * 2 + 1
        found += tiles * (part.number("max_num_tiles") or 4) * _positions(part, patch, hidden)
    return found


def _positions(part: Section, patch: int, hidden: int) -> int:
    """Number of parameters of learned positions; most newer encoders rotate instead and have none."""
    named = part.number("num_position_embeddings", "position_embedding_size")
    if named:
        return named * hidden * (2 if part.kind.startswith("gemma4") else 1)
    if part.number("max_img_size"):
        return (part.number("max_img_size") // patch) ** 2 * hidden
    rotating = part.kind in {"pixtral", "exaone4_5_vision"} or part.kind.startswith(("qwen2", "minimax"))
    image = part.number("image_size") or 0
    return 0 if rotating else (image // patch) ** 2 * hidden


def _projector(part: Section, whole: Section, text: int) -> int:
    """Number of parameters of the projector between an encoder and the language model."""
    _, hidden, inner = _sizes(part)
    merge = part.number("spatial_merge_size", "merge_size") or whole.number("spatial_merge_size")
    merged = hidden * (merge or 1) ** 2
    out = part.number("out_hidden_size") or text
    kind = whole.kind
    if kind.startswith(("gemma3", "gemma4")):
        return hidden * text
    if kind.startswith("llama4"):
        own, made = part.number("projector_input_dim"), part.number("projector_output_dim")
        return inner * own + own * made + part.number("vision_output_dim") * text
    if kind == "mllama":
        return part.number("vision_output_dim") * text
    if kind in {"mistral3", "lighton_ocr"}:
        return merged * hidden + hidden * text + text * text
    if kind.startswith("glm4v"):
        return merged * out + out * out + 3 * out * part.number("intermediate_size")
    if kind == "step3p7":
        return 4 * hidden * text
    if kind == "minimax_m3_vl":
        wide = whole.number("projector_hidden_size") or text
        return hidden * wide + wide * text + whole.number("merged_hidden_size") * wide + wide * text
    if kind == "hyperclovax_vision_v2":
        return merged * merged + merged * out + out * text
    if kind in {"nemotron_h_omni", "NemotronH_Nano_VL_V2", "internvl", "internvl_chat"}:
        wide = whole.number("projector_hidden_size") or text
        return 4 * hidden * wide + wide * text
    if merge:
        listed = part.listed("deepstack_visual_indexes")
        return (1 + len(listed)) * (merged * merged + merged * out)
    return hidden * text + text * text


def _audio(part: Section, text: int) -> int:
    layers, hidden, inner = _sizes(part)
    if part.kind == "phi4_multimodal_audio" and not layers:
        layers = part.number("num_blocks") or 24
    attention = 4 * hidden * hidden
    if part.kind in _CONFORMERS:  # two feed-forward layers around attention and a convolution
        feeds = 2 * (3 if part.kind.startswith("phi4") else 2) * hidden * inner
        layer = attention + feeds + 3 * hidden * hidden
    else:
        layer = attention + 2 * hidden * inner
    return layers * layer + 4 * hidden * hidden + hidden * text
