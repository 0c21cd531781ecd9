"""Estimated GPU memory of one rank, item by item.

For the fullest rank of a layout (bytes; T = max_num_tokens, B = min(max_batch_size, T) x max_beam_width,
V = vocabulary, S = sequences of full length at the same time, tp, pp, cp = parallelism):

    weights      linear layers of ceil(layers/pp) layers, cut as linears.shard says, at the algorithm's bits and with
                 its scales, MXFP4's sides padded to 128; what is not quantized at 16 bits; embeddings (replicated by
                 the engine runtime, cut by tp in PyTorch) on the first stage, the head on the last
    layers       2T(4 hidden + (heads + 2 kv_heads + heads) head_dim/tp + 4 intermediate/tp), for a mixture
                 4 moe_intermediate/moe_tp and 2 hidden for each expert of a token
    activations  engine: layers + 32 B V, for its logits and the decoder's buffers are allocated beside them;
                 PyTorch: the larger of layers and 4T hidden + 6 B V + 34 S V, logits and top-p sampling;
                 4 T V more with gathered context logits
    runtime      CUDA context, kernels, library workspaces: 1.5 GiB, and 0.5 GiB of NCCL buffers with several ranks
    KV pool      kv_fraction (memory - weights - activations - runtime)
    per token    over the layers that are alike: ceil(layers/pp) max(1, ceil(heads/tp)) width bytes / cp; width is
                 2 head_dim, of latent attention kv_lora_rank + qk_rope_head_dim with one head, of an indexer
                 index_head_dim + 4 in 8 bits
    state        of recurrent layers: bytes of one sequence / (tp pp) x max_batch_size

Sources: bench/build/tuning.py of TensorRT-LLM (KV bytes per token; here, integer caches count at their own size, and
key and value heads are replicated as the mapping does), its documentation on memory use (90 % of what weights and
buffers leave; activations of one layer, linear in max_num_tokens), and logs of its servers and decoders on a GPU for
the factors. docs/planning.md compares estimates and measurements; a test checks that no estimate is too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trtllm_api.facts import CacheShape, LinearShape, ModelFacts
from trtllm_planner.inventory import GpuKind
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.shards import Cut, cut_of, excluded_layers, is_expert, is_kept, is_quantized, shard
from trtllm_planner.tensorrt_llm.versions import KV_BYTES, Algorithm, EngineRuntime, algorithm_named
from trtllm_planner.tensorrt_llm.weights import gpu_bytes

GIB = 1 << 30
MIB = 1 << 20
CONTEXT_BYTES = 3 * GIB // 2
COMMUNICATION_BYTES = GIB // 2
ENGINE_LOGITS = 32
"""Bytes per sequence and word of the vocabulary: 29 in logs of 0.12 to 0.15, and 2 in the engine."""
TORCH_LOGITS = 6
"""The same for PyTorch with greedy decoding: logits in 16 and in 32 bits."""
TORCH_SAMPLING = 34
"""Bytes that top-p sampling adds: scaled, normalised, sorted with indices, summed and masked logits."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the fullest GPU."""

    available: int
    weights: int
    activations: int
    runtime: int
    state: int
    """State of recurrent layers for a whole batch."""
    kv_fraction: float
    kv_bytes_per_token: int
    needed_tokens: int
    """Tokens that the limits of the spec need in the KV cache."""

    @property
    def free(self) -> int:
        """Bytes that weights, activations, runtime and recurrent state leave; negative if they do not fit."""
        return self.available - self.weights - self.activations - self.runtime - self.state

    @property
    def kv_pool(self) -> int:
        """Bytes of the KV cache."""
        return max(0, int(self.free * self.kv_fraction))

    @property
    def tokens(self) -> int:
        """Tokens that the KV cache holds."""
        return self.kv_pool // self.kv_bytes_per_token if self.kv_bytes_per_token else 0

    @property
    def fits(self) -> bool:
        """Whether everything has room."""
        return self.free >= 0 and (self.needed_tokens == 0 or self.tokens >= self.needed_tokens)


def gib(size: float) -> str:
    """A size in bytes as text: `12.3 GiB`."""
    return f"{size / GIB:.1f} GiB"


def estimate(question: EngineQuestion, gpu: GpuKind, weights: int | None = None) -> MemoryEstimate:
    """Estimate for a question's layout on a GPU; `weights`: bytes of the weights, if they are counted already."""
    runtime = CONTEXT_BYTES + (COMMUNICATION_BYTES if question.layout.world > 1 else 0)
    return MemoryEstimate(
        available=gpu.usable_mib * MIB,
        weights=weight_bytes(question) if weights is None else weights,
        activations=activation_bytes(question),
        runtime=runtime,
        state=state_bytes(question),
        kv_fraction=question.options.kv_fraction,
        kv_bytes_per_token=kv_bytes_per_token(question),
        needed_tokens=needed_tokens(question),
    )


def needed_tokens(question: EngineQuestion) -> int:
    """Tokens of the KV cache, in whole blocks, for Limits.sequences; a continuous cache reserves the whole batch."""
    limits, options = question.limits, question.options
    if options.kv_cache_type is KvCacheType.DISABLED or kv_bytes_per_token(question) == 0:
        return 0
    if options.kv_cache_type is KvCacheType.CONTINUOUS:
        return limits.batch * limits.max_seq_len * limits.max_beam_width
    blocks = -(-limits.max_seq_len // options.tokens_per_block)
    return blocks * options.tokens_per_block * limits.sequences * limits.max_beam_width


def kv_bytes_per_token(question: EngineQuestion) -> int:
    """Bytes of one token in the KV cache of one rank.

    Layers with a window in kv_cache_config keep less of a long sequence; the average over the longest is counted.
    """
    layout, size = question.layout, KV_BYTES[question.kv_cache]
    total, first = 0.0, 0
    for cache in caches(question.facts):
        layers = math.ceil(cache.layers / layout.pipeline)
        each = max(1, math.ceil(cache.heads / layout.tensor)) * cache.width * (1 if cache.eight_bits else size)
        total += each * _whole_layers(question, first, layers)
        first += layers
    return math.ceil(total / layout.context)


def _whole_layers(question: EngineQuestion, first: int, layers: int) -> float:
    """Number of layers without a window that would keep as much of the longest sequence."""
    windows, longest = question.options.attention_windows, question.limits.max_seq_len
    if not windows:
        return layers
    return sum(min(1.0, windows[number % len(windows)] / longest) for number in range(first, first + layers))


def caches(facts: ModelFacts) -> tuple[CacheShape, ...]:
    """Numbers that layers keep of a token, by groups of layers that keep the same."""
    heads, width = facts.key_value_heads, 2 * facts.head_dim
    usual = (CacheShape(layers=facts.layers, heads=heads, width=width),) if heads and width else ()
    return facts.details.caches or (() if facts.details.state_bytes else usual)


def state_bytes(question: EngineQuestion) -> int:
    """Bytes that recurrent layers keep for all sequences of a batch on the fullest rank, allocated at the start."""
    layout = question.layout
    whole = question.details.state_bytes or 0
    return math.ceil(whole / (layout.tensor * layout.pipeline)) * question.limits.batch


def activation_bytes(question: EngineQuestion) -> int:
    """Bytes of one layer's largest working set for a full batch of tokens, of the logits, and of sampling from them."""
    facts, limits = question.facts, question.limits
    tokens = min(limits.max_num_tokens, limits.batch * limits.max_seq_len)
    batch = min(limits.batch, tokens) * limits.max_beam_width
    vocabulary = facts.vocabulary_size
    layers = 2 * tokens * _width(question)
    if question.runtime is EngineRuntime.TENSORRT:
        size = layers + logits_bytes(question)
    else:
        sampled = min(batch, limits.sequences * limits.max_beam_width)
        head = 4 * tokens * facts.hidden_size + (TORCH_LOGITS * batch + TORCH_SAMPLING * sampled) * vocabulary
        size = max(layers, head)
    return size + (4 * tokens * vocabulary if question.options.gather_context_logits else 0)


def logits_bytes(question: EngineQuestion) -> int:
    """Bytes of an engine's logits and decoder for all sequences that it is built for."""
    limits = question.limits
    sequences = min(limits.batch, limits.max_num_tokens) * limits.max_beam_width
    return ENGINE_LOGITS * sequences * question.facts.vocabulary_size


def _width(question: EngineQuestion) -> int:
    """Activations of one token that a layer holds at the same time, as a count of numbers."""
    facts, details, layout = question.facts, question.details, question.layout
    width = 4 * facts.hidden_size
    width += math.ceil((2 * facts.heads + 2 * facts.key_value_heads) * facts.head_dim / layout.tensor)
    if not facts.experts:
        return width + math.ceil(4 * facts.intermediate_size / layout.tensor)
    inner = details.moe_intermediate_size or facts.intermediate_size
    chosen = details.experts_per_token or 2
    return width + chosen * (math.ceil(4 * inner / layout.moe_tensor) + 2 * facts.hidden_size)


def weight_bytes(question: EngineQuestion) -> int:
    """Bytes of the weights of the fullest rank."""
    facts, layout = question.facts, question.layout
    stage = 0.0
    first = last = 0.0
    counted = 0
    for linear in facts.linears:
        part = shard(linear, facts, layout)
        counted += linear.in_features * linear.out_features * linear.count
        algorithm = format_of(linear, question)
        size = _bytes(part.inputs, part.outputs, algorithm, question)
        if cut_of(linear.name) is Cut.HEAD:
            last += size
        else:
            copies = _copies(linear, facts, layout)
            kept = 0 if algorithm is Algorithm.NONE else min(copies, _kept(linear, question))
            stage += size * (copies - kept) + _bytes(part.inputs, part.outputs, Algorithm.NONE, question) * kept
    embedding = facts.vocabulary_size * facts.hidden_size
    engine = question.runtime is EngineRuntime.TENSORRT
    first += 2 * embedding / (1 if engine else layout.tensor)
    if facts.tied_embeddings and engine:
        last += 2 * embedding / layout.tensor
    stage += _rest(question, facts.parameters - counted - embedding)
    if layout.pipeline == 1:
        return math.ceil(stage + first + last)
    return math.ceil(stage + max(first, last))


def format_of(linear: LinearShape, question: EngineQuestion) -> Algorithm | None:
    """Format of a linear layer; None if TensorRT-LLM has no name for it."""
    if linear.algorithm is not None and question.artifact is None:
        return algorithm_named(linear.algorithm)
    checkpoint = question.details.checkpoint if question.artifact is None else None
    if checkpoint is not None and checkpoint.bits and not is_kept(linear.name, ()):
        return None
    if is_quantized(linear.name, question.algorithm, question.exclude_modules):
        return question.algorithm
    return Algorithm.NONE


def _bytes(inputs: int, outputs: int, algorithm: Algorithm | None, question: EngineQuestion) -> float:
    if algorithm is None:
        checkpoint = question.details.checkpoint
        return inputs * outputs * ((checkpoint.bits if checkpoint else None) or 16) / 8
    return gpu_bytes(inputs, outputs, algorithm, question.group)


def _kept(linear: LinearShape, question: EngineQuestion) -> int:
    """Number of copies that stay in full precision because single layers are excluded. One rank may hold them all."""
    facts = question.facts
    layers = excluded_layers(linear.name, facts.layers, question.exclude_modules)
    return layers * (facts.experts if is_expert(linear.name) and facts.experts else 1)


def _copies(linear: LinearShape, facts: ModelFacts, layout: Layout) -> int:
    """Number of layers of this shape on the fullest rank."""
    if not is_expert(linear.name) or not facts.experts:
        return _on_stage(linear.count, facts, layout)
    layers = math.ceil(linear.count / facts.experts)
    return _on_stage(layers, facts, layout) * math.ceil(facts.experts / layout.moe_expert)


def _on_stage(layers: int, facts: ModelFacts, layout: Layout) -> int:
    """Number of `layers` on the fullest stage.

    If they are more than half of all layers, a stage may consist of them alone; otherwise they are spread evenly.
    """
    if 2 * layers > facts.layers:
        return min(layers, math.ceil(max(layers, facts.layers) / layout.pipeline))
    return math.ceil(layers / layout.pipeline)


def _rest(question: EngineQuestion, parameters: int) -> float:
    """Bytes of everything that is neither a listed linear layer nor the embedding.

    Linear layers that the list has no room for are divided like the others. Every rank holds towers, norms, biases and
    the rest whole, in 16 bits. Layers that only predict further tokens (MTP) are loaded for speculation only.
    """
    facts, details, layout = question.facts, question.details, question.layout
    share = math.ceil(facts.layers / layout.pipeline) / max(1, facts.layers)
    towers, others = details.tower_parameters or 0, details.other_linears or 0
    rest = max(0, parameters - towers - others)
    cut = others + (details.draft_parameters or 0 if question.options.drafts_with_own_layers else 0)
    size = _bytes(cut, 1, question.algorithm, question) * share / layout.tensor
    return size + 2 * towers + 2 * rest * share
