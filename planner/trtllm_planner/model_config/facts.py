"""ModelFacts from config.json alone, without weights: for the command line and for tests.

The builder reads names and shapes from the safetensors headers instead (its model_facts.py) and everything else from
here; tests check that both agree within 1 %. Norms and biases are counted roughly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from trtllm_api.base import MAX_DIMENSION
from trtllm_api.facts import CacheShape, CheckpointFacts, Details, LinearShape, ModelFacts
from trtllm_planner.model_config.attention import head_size, heads_of, query_heads
from trtllm_planner.model_config.draft import draft_numbers
from trtllm_planner.model_config.feed_forward import expert_width, width
from trtllm_planner.model_config.language_model import Alike, alike, embeddings, linears
from trtllm_planner.model_config.layers import Mixer, expert_count
from trtllm_planner.model_config.parts import ROUTED, Kept, Linear
from trtllm_planner.model_config.positions import longest_sequence, rope_type, sliding_window
from trtllm_planner.model_config.section import Config, Section, UnreadableConfig, bounded, whole
from trtllm_planner.model_config.shapes import Shape, folded, numbers
from trtllm_planner.model_config.towers import tower_numbers
from trtllm_planner.model_config.weight_formats import SHORT, WeightFormats, weight_formats
from trtllm_planner.tensorrt_llm.versions import Algorithm, algorithm_named
from trtllm_planner.tensorrt_llm.weights import file_bytes

_PREFIX = "model.layers."
_MOST_CACHES = 8


def facts_from_config(config: Config, beside: Mapping[str, Config] | None = None) -> ModelFacts:
    """Facts about the model of a config.json; `beside`: other JSON files of the checkpoint, by name.

    Raises UnreadableConfig if config.json lacks what a plan needs.
    """
    everything = whole(config)
    text = everything.text()
    architectures = config.get("architectures") or [""]
    groups = alike(text)
    hidden = text.number("hidden_size", "n_embd", "d_model")
    heads = query_heads(text)
    embedding, positions = embeddings(text)
    missing = [
        name
        for name, value in (
            ("hidden_size", hidden),
            ("num_hidden_layers", sum(len(group.numbers) for group in groups)),
            ("num_attention_heads", heads or not _attends(groups)),
            ("vocab_size", embedding),
        )
        if not value
    ] + ([] if isinstance(architectures, list) and architectures[0] else ["architectures"])
    if missing:
        raise UnreadableConfig(f"config.json does not say {', '.join(missing)}: without it no plan can be made")
    formats = weight_formats(config, beside)
    counts = Counter(_shapes(groups, formats))
    tied = tied_embeddings(everything, text)
    if not tied:
        counts["lm_head", embedding // hidden, hidden, _own(formats, "lm_head")] += 1
    shapes, others = folded(counts)
    in_linears = sum(map(numbers, shapes)) + others
    extra = sum(group.parts.extra * len(group.numbers) for group in groups) + positions + hidden
    details = details_from_config(config, beside, others=others)
    tower = details.tower_parameters or 0
    checkpoint = details.checkpoint
    parameters = in_linears + embedding + extra + tower
    return ModelFacts(
        architecture=str(architectures[0])[:SHORT],
        model_type=str(config.get("model_type", ""))[:SHORT],
        parameters=parameters,
        bytes=int(
            sum(_bytes(shape, checkpoint) for shape in _all_shapes(counts))
            + 2 * (embedding + extra + tower)
            + _share(counts, checkpoint) * (details.draft_parameters or 0)
        ),
        dtype=str(text.field("torch_dtype") or text.field("dtype") or config.get("torch_dtype") or "bfloat16")[:SHORT],
        tied_embeddings=tied,
        custom_code=bool(config.get("auto_map")),
        quantization=checkpoint.method if checkpoint is not None else None,
        details=details,
        linears=shapes,
        **dimensions(text, groups),
    )


def dimensions(text: Section, groups: tuple[Alike, ...]) -> dict[str, int]:
    """Dimensions of ModelFacts that config.json says; the builder uses them, too."""
    hidden, heads = text.number("hidden_size", "n_embd", "d_model"), query_heads(text)
    attending = [group.layer for group in groups if Mixer.ATTENTION in group.layer.mixers]
    keys = [heads_of(text, layer).keys for layer in attending]
    inner = max((group.layer.inner for group in groups), default=0)
    found = {
        "layers": sum(len(group.numbers) for group in groups),
        "hidden_size": hidden,
        "intermediate_size": inner or width(text),
        "heads": heads,
        "key_value_heads": min(keys, default=text.number("num_key_value_heads") or heads),
        "head_dim": head_size(text),
        "vocabulary_size": text.number("vocab_size", "n_vocab", "padded_vocab_size"),
        "max_position_embeddings": text.number("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
        "experts": expert_count(text) if expert_count(text) > 1 else 0,
    }
    return {name: bounded(name, value, MAX_DIMENSION) for name, value in found.items()}


def details_from_config(config: Config, beside: Mapping[str, Config] | None = None, *, others: int = 0) -> Details:
    """Facts that only some models have; `others`: number of weights in linear layers that are not listed."""
    everything = whole(config)
    text = everything.text()
    groups = alike(text)
    routed = expert_count(text) > 1
    state = sum(group.parts.state * len(group.numbers) for group in groups)
    return Details(
        positions=longest_sequence(text) or None,
        rope_type=rope_type(text),
        moe_intermediate_size=(expert_width(text) or None) if routed else None,
        experts_per_token=(text.number("num_experts_per_tok", "moe_topk", "top_k_experts", "moe_k") or None)
        if routed
        else None,
        caches=_caches(text, groups),
        state_bytes=state or None,
        tower_parameters=tower_numbers(everything, text) or None,
        draft_parameters=draft_numbers(text) or None,
        other_linears=others or None,
        checkpoint=weight_formats(config, beside).checkpoint,
    )


def tied_embeddings(everything: Section, text: Section) -> bool:
    """Whether head and embedding share one weight: config.json decides, then the defaults of the classes."""
    name = "tie_word_embeddings"
    for part in (text, everything):
        if part.says(name):
            return part.flag(name)
    return text.flag(name, default=everything.flag(name))


def _attends(groups: tuple[Alike, ...]) -> bool:
    return any(mixer in {Mixer.ATTENTION, Mixer.LATENT} for group in groups for mixer in group.layer.mixers)


def _caches(text: Section, groups: tuple[Alike, ...]) -> tuple[CacheShape, ...]:
    """Layers grouped by what they keep of a token and by window."""
    found: Counter[tuple[Kept, int | None]] = Counter()
    for group in groups:
        window = sliding_window(text) if group.layer.sliding else None
        for kept in group.parts.kept:
            if kept.heads and kept.width:
                found[kept, window or None] += len(group.numbers)
    return tuple(
        CacheShape(layers=layers, heads=kept.heads, width=kept.width, eight_bits=kept.eight_bits, window=window)
        for (kept, window), layers in found.most_common(_MOST_CACHES)
    )


def _shapes(groups: tuple[Alike, ...], formats: WeightFormats) -> Mapping[Shape, int]:
    """Counts of the decoder's linear layers by shape and format; layers of one name may have different formats."""
    found: Counter[Shape] = Counter()
    for linear, layers in linears(groups):
        for own, count in _by_format(linear, layers, formats):
            shape = (f"{_PREFIX}*.{linear.name}", linear.outputs, linear.inputs, own)
            found[shape] += count * linear.copies
    return found


def _by_format(linear: Linear, layers: tuple[int, ...], formats: WeightFormats) -> Iterator[tuple[str | None, int]]:
    if formats.checkpoint is None:
        yield None, len(layers)
        return
    name = linear.name.replace(ROUTED, "experts.0.")
    counts = Counter(_own(formats, f"{_PREFIX}{layer}.{name}") for layer in layers)
    yield from counts.items()


def _own(formats: WeightFormats, module: str) -> str | None:
    """A module's format; None if it is the checkpoint's own."""
    checkpoint = formats.checkpoint
    if checkpoint is None:
        return None
    found = formats.of(module)
    return None if found is None or found == checkpoint.algorithm else str(found)


def _all_shapes(counts: Counter[Shape]) -> Iterator[LinearShape]:
    for (name, out, inner, algorithm), count in counts.items():
        yield LinearShape(name=name, out_features=out, in_features=inner, count=count, algorithm=algorithm)


def _bytes(shape: LinearShape, checkpoint: CheckpointFacts | None) -> float:
    """Bytes of all layers of a shape in the files."""
    if checkpoint is None:
        return 2 * numbers(shape)
    algorithm = algorithm_named(shape.algorithm or checkpoint.algorithm)
    if algorithm is None or algorithm is Algorithm.MIXED:
        return numbers(shape) * (checkpoint.bits or 8) / 8
    group = checkpoint.group_size or 128
    return shape.count * file_bytes(shape.in_features, shape.out_features, algorithm, group)


def _share(counts: Counter[Shape], checkpoint: CheckpointFacts | None) -> float:
    """Average bytes per weight of the linear layers, which is assumed for draft layers, too."""
    shapes = tuple(_all_shapes(counts))
    total = sum(map(numbers, shapes))
    return sum(_bytes(shape, checkpoint) for shape in shapes) / total if total else 2.0
