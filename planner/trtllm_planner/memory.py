"""Estimated GPU memory of one rank, itemised; used by the rule GpuMemory and by the planner.

For the fullest rank of a layout (bytes; T = max_num_tokens, B = min(max_batch_size, T) x max_beam_width,
V = vocabulary, S = sequences that were asked for at the same time, tp, pp, cp = parallelism):

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
    per token    2 ceil(attention_layers/pp) max(1, ceil(kv_heads/tp)) head_dim bytes / cp; latent attention:
                 ceil(layers/pp) (kv_lora_rank + qk_rope_head_dim) bytes

Sources: bench/build/tuning.py of TensorRT-LLM (KV bytes per token, but integer caches counted at their own size and
key and value heads replicated as the mapping does), its documentation on memory use (90 % of what weights and buffers
leave; activations linear in max_num_tokens, one layer's), logs of its servers and decoders measured on a GPU for the
factors. docs/planning.md holds the measurements beside the estimates; a test holds that none is underestimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_planner.inventory import GpuKind
from trtllm_planner.question import EngineQuestion, KvCacheType
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.shards import Cut, cut_of, excluded_layers, is_expert, is_quantized, shard
from trtllm_planner.tensorrt_llm.versions import BITS, GROUPED, KV_BYTES, Algorithm, EngineRuntime

GIB = 1 << 30
MIB = 1 << 20
CONTEXT_BYTES = 3 * GIB // 2
COMMUNICATION_BYTES = GIB // 2
ENGINE_LOGITS = 32
"""Bytes for a sequence and a word of the vocabulary: 29 in logs of 0.12 to 0.15, and 2 in the engine."""
TORCH_LOGITS = 6
"""The same in PyTorch, greedy: in 16 and in 32 bits."""
TORCH_SAMPLING = 34
"""What top-p adds: scaled, normalised, sorted with indices, summed, masked."""
PADDED = 128
"""Both sides of an MXFP4 weight are multiples of it on the GPU."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the fullest GPU."""

    available: int
    weights: int
    activations: int
    runtime: int
    kv_fraction: float
    kv_bytes_per_token: int
    needed_tokens: int
    """Tokens that the asked limits need in the KV cache."""

    @property
    def free(self) -> int:
        """What weights, activations and runtime leave; negative where they do not fit."""
        return self.available - self.weights - self.activations - self.runtime

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
        """Everything that was asked for has room."""
        return self.free >= 0 and (self.needed_tokens == 0 or self.tokens >= self.needed_tokens)


def gib(size: float) -> str:
    """`12.3 GiB`."""
    return f"{size / GIB:.1f} GiB"


def estimate(question: EngineQuestion, gpu: GpuKind, weights: int | None = None) -> MemoryEstimate:
    """Of a question's layout on a GPU; weights where they have been counted already."""
    runtime = CONTEXT_BYTES + (COMMUNICATION_BYTES if question.layout.world > 1 else 0)
    return MemoryEstimate(
        available=gpu.usable_mib * MIB,
        weights=weight_bytes(question) if weights is None else weights,
        activations=activation_bytes(question),
        runtime=runtime,
        kv_fraction=question.options.kv_fraction,
        kv_bytes_per_token=kv_bytes_per_token(question),
        needed_tokens=needed_tokens(question),
    )


def needed_tokens(question: EngineQuestion) -> int:
    """Whole blocks of as many sequences as were asked for; a continuous cache reserves the whole batch."""
    limits, options = question.limits, question.options
    if options.kv_cache_type is KvCacheType.DISABLED or kv_bytes_per_token(question) == 0:
        return 0
    if options.kv_cache_type is KvCacheType.CONTINUOUS:
        return limits.batch * limits.max_seq_len * limits.max_beam_width
    blocks = -(-limits.max_seq_len // options.tokens_per_block)
    return blocks * options.tokens_per_block * limits.sequences * limits.max_beam_width


def kv_bytes_per_token(question: EngineQuestion) -> int:
    """On one rank."""
    facts, details, layout = question.facts, question.details, question.layout
    size = KV_BYTES[question.kv_cache]
    all_layers = facts.layers if details.attention_layers is None else details.attention_layers
    layers = math.ceil(all_layers / layout.pipeline)
    if details.kv_lora_rank:
        numbers = layers * (details.kv_lora_rank + (details.qk_rope_head_dim or 0))
    else:
        numbers = 2 * layers * max(1, math.ceil(facts.key_value_heads / layout.tensor)) * facts.head_dim
    return math.ceil(numbers * size / layout.context)


def activation_bytes(question: EngineQuestion) -> int:
    """The largest working set of one layer for a full batch of tokens, the logits, and the sampling from them."""
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
    """What an engine's logits and decoder take for all sequences that it is built for."""
    limits = question.limits
    sequences = min(limits.batch, limits.max_num_tokens) * limits.max_beam_width
    return ENGINE_LOGITS * sequences * question.facts.vocabulary_size


def _width(question: EngineQuestion) -> int:
    """Numbers of one token that a layer holds at the same time."""
    facts, details, layout = question.facts, question.details, question.layout
    width = 4 * facts.hidden_size
    width += math.ceil((2 * facts.heads + 2 * facts.key_value_heads) * facts.head_dim / layout.tensor)
    if not facts.experts:
        return width + math.ceil(4 * facts.intermediate_size / layout.tensor)
    inner = details.moe_intermediate_size or facts.intermediate_size
    chosen = details.experts_per_token or 2
    return width + chosen * (math.ceil(4 * inner / layout.moe_tensor) + 2 * facts.hidden_size)


def linear_bytes(inputs: int, outputs: int, algorithm: Algorithm, group: int) -> float:
    """Weights and scales of one layer in an algorithm's format."""
    if algorithm is Algorithm.MXFP4 and outputs > 1:
        inputs, outputs = _padded(inputs), _padded(outputs)
    weights = inputs * outputs
    size = weights * BITS[algorithm] / 8
    if algorithm in GROUPED:
        size += weights / group * 2.5  # a 16-bit scale and a 4-bit zero point
    elif algorithm is Algorithm.NVFP4:
        size += weights / 16
    elif algorithm is Algorithm.MXFP4:
        size += weights / 32
    elif algorithm is Algorithm.FP8_BLOCK:
        size += weights / (128 * 128) * 4
    elif algorithm is not Algorithm.NONE:
        size += outputs * 4
    return size


def _padded(side: int) -> int:
    return -(-side // PADDED) * PADDED


def weight_bytes(question: EngineQuestion) -> int:
    """Weights of the fullest rank."""
    facts, layout = question.facts, question.layout
    stage = 0.0
    first = last = 0.0
    counted = 0
    for linear in facts.linears:
        part = shard(linear, facts, layout)
        counted += linear.in_features * linear.out_features * linear.count
        algorithm = _format(linear, question)
        size = linear_bytes(part.inputs, part.outputs, algorithm, question.group)
        if cut_of(linear.name) is Cut.HEAD:
            last += size
        else:
            copies = _copies(linear, facts, layout)
            kept = 0 if algorithm is Algorithm.NONE else min(copies, _kept(linear, question))
            stage += size * (copies - kept) + linear_bytes(part.inputs, part.outputs, Algorithm.NONE, 1) * kept
    embedding = facts.vocabulary_size * facts.hidden_size
    engine = question.runtime is EngineRuntime.TENSORRT
    first += 2 * embedding / (1 if engine else layout.tensor)
    if facts.tied_embeddings and engine:
        last += 2 * embedding / layout.tensor
    stage += _rest(question, facts.parameters - counted - embedding)
    if layout.pipeline == 1:
        return math.ceil(stage + first + last)
    return math.ceil(stage + max(first, last))


def _format(linear: LinearShape, question: EngineQuestion) -> Algorithm:
    if is_quantized(linear.name, question.algorithm, question.exclude_modules):
        return question.algorithm
    return Algorithm.NONE


def _kept(linear: LinearShape, question: EngineQuestion) -> int:
    """Copies that single layers' exclusion leaves in full precision; the fullest rank may hold them all."""
    facts = question.facts
    layers = excluded_layers(linear.name, facts.layers, question.exclude_modules)
    return layers * (facts.experts if is_expert(linear.name) and facts.experts else 1)


def _copies(linear: LinearShape, facts: ModelFacts, layout: Layout) -> int:
    """How many layers of this shape the fullest rank holds."""
    if not is_expert(linear.name) or not facts.experts:
        return min(linear.count, math.ceil(max(linear.count, facts.layers) / layout.pipeline))
    layers = math.ceil(linear.count / facts.experts)
    here = min(layers, math.ceil(facts.layers / layout.pipeline))
    return here * math.ceil(facts.experts / layout.moe_expert)


def _rest(question: EngineQuestion, parameters: int) -> float:
    """What is neither a listed linear layer nor the embedding.

    In a mixture that is much: experts that are stored as one tensor, cut as experts are. Else norms, biases: copied.
    """
    facts, layout = question.facts, question.layout
    rest = max(0, parameters)
    share = math.ceil(facts.layers / layout.pipeline) / max(1, facts.layers)
    if facts.experts and rest > facts.parameters // 4:
        inner = question.details.moe_intermediate_size or facts.intermediate_size
        if question.algorithm is Algorithm.MXFP4 and facts.hidden_size and inner:
            rest = math.ceil(rest * _padded(facts.hidden_size) * _padded(inner) / (facts.hidden_size * inner))
        return linear_bytes(rest, 1, question.algorithm, question.group) * share / layout.tensor
    return 2 * rest * share
