"""Properties of the planner over invented models and clusters: above all, what it proposes passes preflight."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from public_models import ENGINE_IMAGE

from trtllm_api.verdict import judge, refusals
from trtllm_planner.inventory import GpuKind, GpuNode, Inventory
from trtllm_planner.memory import MIB
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.plan import NoPlan, Plan, plan
from trtllm_planner.question import EngineQuestion, Limits, Options
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.tensorrt_llm.gpus import PRODUCTS
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    keys = draw(st.sampled_from([1, 2, 4, 8, 10]))
    heads = keys * draw(st.integers(1, 8))
    size = draw(st.sampled_from([64, 80, 128]))
    experts = draw(st.sampled_from([0, 0, 8, 60, 128]))
    return {
        "architectures": ["Qwen3MoeForCausalLM" if experts else "LlamaForCausalLM"],
        "model_type": "qwen3_moe" if experts else "llama",
        "hidden_size": heads * size,
        "head_dim": size,
        "intermediate_size": 64 * draw(st.integers(4, 480)),
        "num_hidden_layers": draw(st.integers(1, 100)),
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": draw(st.sampled_from([32000, 128256, 151936])),
        "max_position_embeddings": 32768,
        "num_experts": experts,
        "num_experts_per_tok": min(experts, 8),
        "moe_intermediate_size": 64 * draw(st.integers(2, 32)) if experts else 0,
        "tie_word_embeddings": draw(st.booleans()),
    }


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    found = []
    for index in range(draw(st.integers(0, 5))):
        product = draw(st.sampled_from(PRODUCTS))
        mig = draw(st.integers(0, 7)) == 0
        replicas = 1 if mig else draw(st.sampled_from([1, 1, 1, 2]))
        kind = GpuKind(product.name, product.memory_mib, product.capability, mig, replicas)
        found.append(GpuNode(f"node-{index}", kind, draw(st.sampled_from([0, 1, 2, 4, 6, 8]))))
    return Inventory(tuple(found))


@st.composite
def questions(draw: st.DrawFn) -> EngineQuestion:
    config = draw(configurations())
    return EngineQuestion(
        facts=facts_from_config(config),
        limits=Limits(
            max_seq_len=draw(st.sampled_from([512, 4096, 32768])),
            max_batch_size=draw(st.sampled_from([1, 16, 256])),
            sequences=draw(st.sampled_from([1, 4])),
            max_beam_width=draw(st.sampled_from([1, 2])),
        ),
        image=ENGINE_IMAGE,
        runtime=draw(st.sampled_from(EngineRuntime)),
        algorithm=draw(st.sampled_from(Algorithm)),
        group_size=draw(st.sampled_from([None, 64, 128])),
        kv_cache=draw(st.sampled_from(KvFormat)),
        options=Options(chunked_prefill=draw(st.booleans()), kv_fraction=draw(st.sampled_from([0.5, 0.9]))),
    )


@settings(max_examples=300, deadline=None)
@given(question=questions(), inventory=inventories())
def test_what_the_planner_proposes_passes_preflight_and_exists(question: EngineQuestion, inventory: Inventory) -> None:
    found = plan(question, inventory)
    if isinstance(found, NoPlan):
        assert found.why
        return
    assert refusals(judge(ENGINE_RULES, found.question)) == ()
    for place in (found.placement, *found.alternatives):
        counts = inventory.counts(place.gpu)
        assert sum(count >= place.gpus_per_node for count in counts) >= place.nodes
        assert place.nodes * place.gpus_per_node == place.layout.world
        assert place.gpus_per_node % place.layout.tensor == 0
        assert place.gpu.whole or place.layout.world == 1
        used = place.memory.weights + place.memory.activations + place.memory.runtime + place.memory.kv_pool
        assert used <= place.gpu.usable_mib * MIB
        assert place.memory.tokens >= place.memory.needed_tokens


@settings(max_examples=100, deadline=None)
@given(question=questions(), inventory=inventories(), more=inventories())
def test_more_gpus_never_make_the_best_place_larger(
    question: EngineQuestion, inventory: Inventory, more: Inventory
) -> None:
    small = plan(question, inventory)
    large = plan(question, Inventory((*inventory.nodes, *more.nodes)))
    if isinstance(small, Plan):
        assert isinstance(large, Plan)
        assert _cost(large) <= _cost(small)


@settings(max_examples=50, deadline=None)
@given(question=questions(), inventory=inventories())
def test_a_plan_is_the_same_every_time_and_whatever_the_order_of_nodes(
    question: EngineQuestion, inventory: Inventory
) -> None:
    assert plan(question, inventory) == plan(question, Inventory(tuple(reversed(inventory.nodes))))


def _cost(found: Plan) -> int:
    return found.placement.layout.world * found.placement.gpu.usable_mib
