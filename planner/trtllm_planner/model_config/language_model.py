"""The language model as a whole: its decoder layers and their parts, and its embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trtllm_planner.model_config.attention import attention, compressed_attention, latent_attention
from trtllm_planner.model_config.feed_forward import dense, mixture
from trtllm_planner.model_config.layers import Feed, Layer, Mixer, decoder_layers
from trtllm_planner.model_config.parts import Linear, Parts
from trtllm_planner.model_config.recurrent import MIXERS
from trtllm_planner.model_config.section import Section


@dataclass(frozen=True)
class Alike:
    """Decoder layers that are alike."""

    layer: Layer
    numbers: tuple[int, ...]
    """Numbers of the layers, from 0."""
    parts: Parts


def alike(text: Section) -> tuple[Alike, ...]:
    """All decoder layers in groups of equal ones, in the order of the first of each group."""
    found: dict[Layer, list[int]] = {}
    for number, layer in enumerate(decoder_layers(text)):
        found.setdefault(layer, []).append(number)
    return tuple(Alike(layer, tuple(numbers), parts_of(text, layer)) for layer, numbers in found.items())


def parts_of(text: Section, layer: Layer) -> Parts:
    """Parts of one decoder layer, with its norms."""
    found = Parts(extra=(len(layer.mixers) + (layer.feed is not Feed.NONE)) * text.number("hidden_size"))
    for mixer in layer.mixers:
        if mixer is Mixer.ATTENTION:
            found += attention(text, layer, layer.shares)
        elif mixer is Mixer.LATENT:
            found += latent_attention(text)
        elif mixer is Mixer.COMPRESSED:
            found += compressed_attention(text, layer)
        else:
            found += MIXERS[mixer](text)
    if layer.feed is Feed.EXPERTS:
        found += mixture(text, layer)
    elif layer.feed is Feed.DENSE:
        found += dense(text, layer)
    return found


def embeddings(text: Section) -> tuple[int, int]:
    """Number of parameters of the vocabulary's embedding, and of other embeddings: of positions, of every layer."""
    hidden = text.number("hidden_size", "n_embd", "d_model")
    vocabulary = text.number("vocab_size", "n_vocab", "padded_vocab_size")
    others = 0
    if text.kind in {"gpt2", "gpt_bigcode", "opt", "gpt_neo", "jais", "gpt-sw3"} or text.flag("learned_pos_emb"):
        others += text.number("max_position_embeddings", "n_positions", "max_seq_len") * hidden
    each = text.number("hidden_size_per_layer_input")
    if each:  # Gemma: a vector of every word for every layer, and its way in and out
        layers = text.number("num_hidden_layers")
        others += text.number("vocab_size_per_layer_input") * layers * each + 3 * layers * each * hidden
    return vocabulary * (text.number("word_embed_proj_dim") or hidden), others


def linears(groups: tuple[Alike, ...]) -> Iterator[tuple[Linear, tuple[int, ...]]]:
    """Every kind of linear layer with the numbers of the decoder layers that have it; the same shape once."""
    found: dict[Linear, list[int]] = {}
    for group in groups:
        for linear in group.parts.linears:
            found.setdefault(linear, []).extend(group.numbers)
    for linear, numbers in found.items():
        yield linear, tuple(sorted(numbers))
