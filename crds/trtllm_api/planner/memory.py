"""Estimated GPU memory of one rank, itemised; used by the rule GpuMemory and by the planner.

For the fullest rank of a layout (bytes; T = max_num_tokens, B = max_batch_size, tp, pp, cp = parallelism):

    weights      linear layers of ceil(layers/pp) layers, cut as linears.shard says, at the algorithm's bits and with
                 its scales; what is not quantized at 16 bits; embeddings (replicated by the engine runtime, cut by tp
                 in PyTorch) on the first stage, the head on the last
    activations  2T(4 hidden + (heads + 2 kv_heads + heads) head_dim/tp + 3 intermediate/tp), for a mixture
                 3 moe_intermediate/moe_tp and 2 hidden for each expert of a token; logits 4 min(B,T) vocabulary,
                 4 T vocabulary with gathered context logits
    runtime      CUDA context, kernels, library workspaces: 1.5 GiB, and 0.5 GiB of NCCL buffers with several ranks
    KV pool      kv_fraction (memory - weights - activations - runtime)
    per token    2 ceil(attention_layers/pp) max(1, ceil(kv_heads/tp)) head_dim bytes / cp; latent attention:
                 ceil(layers/pp) (kv_lora_rank + qk_rope_head_dim) bytes

Sources: bench/build/tuning.py of TensorRT-LLM (KV bytes per token, but integer caches counted at their own size and
key and value heads replicated as the mapping does), its documentation on memory use (90 % of what weights and buffers
leave), kaito's published estimator (a reserve of 2.3 GiB for everything but weights and cache). Activations and runtime
are heuristics, chosen high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.planner.inventory import GpuKind
from trtllm_api.planner.linears import Cut, cut_of, is_expert, is_quantized, shard
from trtllm_api.planner.mapping import Layout
from trtllm_api.planner.question import EngineQuestion, KvCacheType
from trtllm_api.planner.tables import BITS, GROUPED, KV_BYTES, Algorithm, EngineRuntime

GIB = 1 << 30
MIB = 1 << 20
CONTEXT_BYTES = 3 * GIB // 2
COMMUNICATION_BYTES = GIB // 2


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
    """The largest working set of one layer for a full batch of tokens, and the logits."""
    facts, details, layout, limits = question.facts, question.details, question.layout, question.limits
    tokens = min(limits.max_num_tokens, limits.batch * limits.max_seq_len)
    width = 4 * facts.hidden_size
    width += math.ceil((2 * facts.heads + 2 * facts.key_value_heads) * facts.head_dim / layout.tensor)
    if facts.experts:
        inner = details.moe_intermediate_size or facts.intermediate_size
        chosen = details.experts_per_token or 2
        width += chosen * (math.ceil(3 * inner / layout.moe_tensor) + 2 * facts.hidden_size)
    else:
        width += math.ceil(3 * facts.intermediate_size / layout.tensor)
    answered = tokens if question.options.gather_context_logits else min(limits.batch, tokens)
    return 2 * tokens * width + 4 * answered * facts.vocabulary_size


def linear_bytes(inputs: int, outputs: int, algorithm: Algorithm, group: int) -> float:
    """Weights and scales of one layer in an algorithm's format."""
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
            stage += size * _copies(linear, facts, layout)
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
        return linear_bytes(rest, 1, question.algorithm, question.group) * share / layout.tensor
    return 2 * rest * share
