"""The arithmetic: ranks and nodes, what a rank holds, and how much that is, against published numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from public_models import CONFIGS, H100, ask, facts

from trtllm_api.facts import CheckpointFacts
from trtllm_planner.host import calibration_memory_needed, host_needs
from trtllm_planner.memory import (
    GIB,
    activation_bytes,
    estimate,
    kv_bytes_per_token,
    needed_tokens,
    weight_bytes,
)
from trtllm_planner.model_config.facts import details_from_config, facts_from_config
from trtllm_planner.model_config.section import UnreadableConfig
from trtllm_planner.question import Limits, Options
from trtllm_planner.tensorrt_llm.layout import (
    Layout,
    gpus_per_pod,
    moe_layouts,
    nodes_for,
    ranks_of,
    valid_tensors,
)
from trtllm_planner.tensorrt_llm.shards import shard
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat
from trtllm_planner.tensorrt_llm.weights import gpu_bytes

PARAMETERS = {
    "Llama-2-13B": 13_015_864_320,
    "Llama-3-8B": 8_030_261_248,
    "Llama-3-70B": 70_553_706_496,
    "Qwen2-7B": 7_615_616_512,
    "Qwen2-72B": 72_706_203_648,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen3-30B-A3B": 30_532_122_624,
    "Mixtral-8x7B": 46_702_792_704,
    "DeepSeek-V3": 671_026_419_200,
    "Phi-3-mini": 3_821_079_552,
    "Phi-3-medium": 13_960_238_080,
    "Gemma-2-9B": 9_241_705_984,
    "SmolLM2-135M": 134_515_008,
}


@pytest.mark.parametrize("model", PARAMETERS)
def test_a_configuration_gives_the_published_number_of_parameters(model: str) -> None:
    assert facts(model).parameters == pytest.approx(PARAMETERS[model], rel=1e-4)


def test_a_configuration_without_dimensions_is_told_what_it_lacks() -> None:
    with pytest.raises(
        UnreadableConfig, match=r"config.json does not say vocab_size, architectures: without it no plan"
    ):
        facts_from_config({"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1})


@pytest.mark.parametrize(
    ("rope", "positions"),
    [
        (None, 4096),
        ({"type": "linear", "factor": 4.0}, 16384),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384),
        ({"rope_type": "yarn", "factor": 40, "original_max_position_embeddings": 64}, 4096),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 4096}, 4096),
    ],
)
def test_rotary_scaling_extends_the_positions_once(rope: dict[str, object] | None, positions: int) -> None:
    config = {**CONFIGS["Llama-2-13B"], "rope_scaling": rope}
    assert details_from_config(config).positions == positions


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (
            {"quant_method": "awq", "bits": 4, "group_size": 64},
            CheckpointFacts(method="awq", algorithm=Algorithm.W4A16_AWQ, group_size=64, symmetric=False),
        ),
        (
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True},
            CheckpointFacts(method="gptq", algorithm=Algorithm.W4A16_GPTQ, group_size=128, act_order=True),
        ),
        (
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
            CheckpointFacts(method="fp8", algorithm=Algorithm.FP8_BLOCK, group_size=128),
        ),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16},
            CheckpointFacts(method="modelopt", algorithm=Algorithm.NVFP4, group_size=16, kv_cache=KvFormat.FP8),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}},
            },
            CheckpointFacts(method="compressed-tensors", algorithm=Algorithm.FP8_ROWWISE),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}},
            },
            CheckpointFacts(method="compressed-tensors", bits=8, integer=True),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 32}}},
            },
            CheckpointFacts(method="compressed-tensors", algorithm=Algorithm.MXFP4, group_size=32),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}},
            },
            CheckpointFacts(method="compressed-tensors", algorithm=Algorithm.NVFP4, group_size=16),
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, CheckpointFacts(method="bitsandbytes", bits=4)),
    ],
)
def test_a_quantized_checkpoint_is_recognised(config: dict[str, object], found: CheckpointFacts) -> None:
    assert details_from_config({**CONFIGS["Llama-3-8B"], "quantization_config": config}).checkpoint == found


@given(world=st.integers(1, 4096), per_node=st.integers(1, 64))
def test_every_rank_is_on_one_node_and_no_node_is_without(world: int, per_node: int) -> None:
    nodes = nodes_for(world, per_node)
    ranks = [rank for node in range(nodes) for rank in ranks_of(node, world, per_node)]
    assert ranks == list(range(world))
    assert all(0 < len(ranks_of(node, world, per_node)) <= gpus_per_pod(world, per_node) for node in range(nodes))


@pytest.mark.parametrize(
    ("model", "tensors"),
    [("Qwen2-7B", (1, 2, 4, 28)), ("Phi-3-medium", (1, 2, 5, 10, 20, 40)), ("SmolLM2-135M", (1, 3, 9))],
)
def test_valid_tensor_parallelism_follows_the_heads(model: str, tensors: tuple[int, ...]) -> None:
    assert valid_tensors(facts(model)) == tensors


def test_experts_are_cut_or_dealt_out() -> None:
    found = [(layout.moe_tensor, layout.moe_expert) for layout in moe_layouts(facts("Mixtral-8x7B"), Layout(4))]
    assert found == [(4, 1), (2, 2), (1, 4)]
    assert list(moe_layouts(facts("Llama-3-8B"), Layout(4))) == [Layout(4)]
    assert Layout(8, asked_moe_expert=4).moe_tensor == 2
    assert str(Layout(8, 2, 1, 1, 8)) == "TP 8, PP 2, EP 8"


def test_layers_are_cut_by_rows_by_columns_or_not_at_all() -> None:
    model = facts("DeepSeek-V3")
    cut = {item.name.rpartition("layers.*.")[2]: shard(item, model, Layout(8, 1, 1, 1, 8)) for item in model.linears}
    assert (cut["mlp.down_proj"].inputs, cut["mlp.down_proj"].outputs) == (18432 // 8, 7168)
    assert (cut["mlp.up_proj"].inputs, cut["mlp.up_proj"].outputs) == (7168, 18432 // 8)
    assert cut["self_attn.kv_a_proj_with_mqa"].outputs == 576
    assert cut["mlp.experts.*.down_proj"].inputs == 2048
    keys = {
        item.name.rpartition(".")[2]: shard(item, facts("Qwen2.5-0.5B"), Layout(14))
        for item in facts("Qwen2.5-0.5B").linears
    }
    assert keys["k_proj"].outputs == 64  # a whole head, copied
    phi = {
        item.name.rpartition(".")[2]: shard(item, facts("Phi-3-medium"), Layout(20))
        for item in facts("Phi-3-medium").linears
    }
    assert phi["qkv_proj"].outputs == 5120 // 20 + 2 * 128


@pytest.mark.parametrize(
    ("model", "layout", "kv", "expected"),
    [
        ("Llama-2-13B", Layout(), KvFormat.AUTO, 819_200),
        ("Llama-3-70B", Layout(), KvFormat.AUTO, 327_680),
        ("Llama-3-70B", Layout(8), KvFormat.AUTO, 40_960),
        ("Llama-3-70B", Layout(8), KvFormat.FP8, 20_480),
        ("Llama-3-70B", Layout(16), KvFormat.AUTO, 40_960),
        ("Llama-3-70B", Layout(8, 2), KvFormat.AUTO, 20_480),
        ("DeepSeek-V3", Layout(8), KvFormat.AUTO, 70_272),
    ],
)
def test_a_token_takes_its_keys_and_values(model: str, layout: Layout, kv: KvFormat, expected: int) -> None:
    assert kv_bytes_per_token(ask(model, layout=layout, kv_cache=kv)) == expected


@pytest.mark.parametrize(
    ("model", "algorithm", "published"),
    [
        ("Llama-2-13B", Algorithm.NONE, 26.03e9),
        ("Llama-3-8B", Algorithm.NONE, 16.06e9),
        ("Llama-3-8B", Algorithm.FP8, 9.08e9),
        ("Llama-3-8B", Algorithm.W4A16_AWQ, 5.73e9),
        ("Llama-3-70B", Algorithm.W4A16_AWQ, 39.8e9),
        ("Mixtral-8x7B", Algorithm.NONE, 93.4e9),
        ("DeepSeek-V3", Algorithm.FP8_BLOCK, 674e9),
    ],
)
def test_weights_weigh_what_published_checkpoints_do(model: str, algorithm: Algorithm, published: float) -> None:
    assert weight_bytes(ask(model, algorithm=algorithm)) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("model", CONFIGS)
@pytest.mark.parametrize("layout", [Layout(2), Layout(1, 2), Layout(2, 4)])
def test_ranks_share_the_weights_and_none_holds_less_than_its_part(model: str, layout: Layout) -> None:
    whole = weight_bytes(ask(model))
    part = weight_bytes(ask(model, layout=layout))
    assert whole / layout.world <= part < whole


def test_the_engine_runtime_copies_the_embedding_to_every_rank() -> None:
    question = ask("Llama-3-8B", layout=Layout(8))
    extra = weight_bytes(replace(question, runtime=EngineRuntime.TENSORRT)) - weight_bytes(question)
    assert extra == pytest.approx(2 * 128256 * 4096 * 7 / 8)


def test_a_cache_is_counted_in_whole_blocks_for_every_beam_and_sequence() -> None:
    question = ask(limits=Limits(max_seq_len=1000, sequences=3, max_beam_width=2))
    assert needed_tokens(question) == 1024 * 6
    assert needed_tokens(replace(question, options=Options(tokens_per_block=64))) == 1024 * 6
    assert needed_tokens(replace(question, options=Options(tokens_per_block=128))) == 1024 * 6
    assert needed_tokens(replace(question, limits=Limits(max_seq_len=1025))) == 1056


def test_a_shard_says_whether_its_layer_divides() -> None:
    phi = facts("Phi-3-medium")
    named = {item.name.rpartition(".")[2]: item for item in phi.linears}
    assert shard(named["down_proj"], phi, Layout(5)).divides
    assert not shard(named["down_proj"], phi, Layout(3)).divides
    assert shard(named["gate_up_proj"], phi, Layout(5)).divides
    assert not shard(named["gate_up_proj"], phi, Layout(3)).divides


def test_only_layers_with_attention_have_a_cache() -> None:
    config = {**CONFIGS["Llama-3-8B"], "layer_types": ["linear_attention", "linear_attention", "full_attention"] * 10}
    question = ask("Llama-3-8B", details=details_from_config({**config, "model_type": "qwen3_next", "head_dim": 128}))
    assert kv_bytes_per_token(question) == 10 * 2 * 8 * 128 * 2


def test_linear_layers_that_are_not_listed_are_cut_and_quantized_as_others_are() -> None:
    model = facts("Mixtral-8x7B")
    kept = tuple(item for item in model.linears if ".experts." not in item.name)
    others = sum(i.in_features * i.out_features * i.count for i in model.linears) - sum(
        i.in_features * i.out_features * i.count for i in kept
    )
    details = model.details.model_copy(update={"other_linears": others})
    short = model.model_copy(update={"linears": kept, "details": details})
    question = ask("Mixtral-8x7B", layout=Layout(8), algorithm=Algorithm.FP8)
    assert weight_bytes(replace(question, facts=short)) == pytest.approx(weight_bytes(question), rel=0.01)


def test_the_experts_of_a_token_take_memory() -> None:
    question = ask("Qwen3-30B-A3B")
    few = question.details.model_copy(update={"experts_per_token": 1})
    one = estimate(replace(question, facts=question.facts.model_copy(update={"details": few})), H100)
    eight = estimate(question, H100)
    assert eight.activations - one.activations == 2 * 8192 * 7 * (4 * 768 + 2 * 2048)


def test_scales_are_counted() -> None:
    assert gpu_bytes(4096, 1024, Algorithm.W8A16, 128) == 4096 * 1024 + 4 * 1024
    assert gpu_bytes(4096, 1024, Algorithm.NVFP4, 16) == 4096 * 1024 * (0.5 + 1 / 16)
    assert gpu_bytes(4096, 1024, Algorithm.W4A16_AWQ, 128) == 4096 * 1024 * (0.5 + 2.5 / 128)
    assert gpu_bytes(4096, 1024, Algorithm.NONE, 128) == 4096 * 1024 * 2


def test_modules_that_are_excluded_are_counted_in_full_precision() -> None:
    """As ModelOpt is told: by names at any depth, of all layers or of single ones."""
    question = ask("Llama-3-8B", algorithm=Algorithm.W4A16_AWQ, runtime=EngineRuntime.PYTORCH)
    plain = weight_bytes(question)

    def more(*excluded: str) -> int:
        return weight_bytes(replace(question, exclude_modules=excluded)) - plain

    down = 14336 * 4096 * 2 - gpu_bytes(14336, 4096, Algorithm.W4A16_AWQ, question.group)
    assert more("mlp.down_proj") == pytest.approx(32 * down, abs=1)
    assert more("layers.1.mlp.down_proj", "layers.31.mlp.down_proj") == pytest.approx(2 * down, abs=1)
    layer = more("layers.1")
    assert layer == pytest.approx(more("layers.*") / 32, abs=1), "layers.1 is no part of layers.10"
    assert more("mlp.down_proj", "layers.1") == pytest.approx(31 * down + layer, abs=1)


def test_both_sides_of_an_mxfp4_weight_are_padded_as_its_kernels_want_them() -> None:
    assert gpu_bytes(2880, 2880, Algorithm.MXFP4, 32) == 2944 * 2944 * (0.5 + 1 / 32)
    assert gpu_bytes(2944, 128, Algorithm.MXFP4, 32) == 2944 * 128 * (0.5 + 1 / 32)


def test_an_engine_reserves_its_decoder_for_every_sequence_beside_its_activations() -> None:
    limits = Limits(max_seq_len=4096, max_batch_size=256)
    one = ask(limits=limits, runtime=EngineRuntime.TENSORRT)
    two = replace(one, limits=replace(limits, max_batch_size=512))
    beams = replace(one, limits=replace(limits, max_beam_width=2))
    assert activation_bytes(two) - activation_bytes(one) == 32 * 256 * 128256
    assert activation_bytes(beams) == activation_bytes(two)
    few = replace(one, limits=replace(limits, max_num_tokens=128))
    fewer = replace(one, limits=replace(limits, max_num_tokens=128, max_batch_size=128))
    assert activation_bytes(few) == activation_bytes(fewer)  # a step has no more sequences than tokens


def test_pytorch_samples_when_the_layers_are_done() -> None:
    limits = Limits(max_seq_len=4096, max_batch_size=256)
    layers = ask("Qwen2.5-0.5B", limits=limits)
    assert activation_bytes(layers) == 2 * 8192 * (4 * 896 + (2 * 14 + 2 * 2) * 64 + 4 * 4864)
    sampling = replace(layers, limits=replace(limits, sequences=256))
    assert activation_bytes(sampling) == 4 * 8192 * 896 + 40 * 256 * 151936


def test_gathered_logits_and_long_steps_take_memory() -> None:
    plain = estimate(ask(), H100)
    gathered = estimate(ask(options=Options(gather_context_logits=True)), H100)
    assert gathered.activations - plain.activations == 4 * 8192 * 128256
    longer = estimate(ask(limits=Limits(max_seq_len=4096, max_batch_size=8, max_num_tokens=16384)), H100)
    assert longer.activations > 1.9 * plain.activations
    assert longer.tokens < plain.tokens


def test_the_pool_is_the_asked_share_of_what_is_left() -> None:
    memory = estimate(ask(options=Options(kv_fraction=0.5)), H100)
    assert memory.kv_pool == memory.free // 2
    assert memory.available == 81559 << 20
    assert memory.fits


@pytest.mark.parametrize(("model", "memory"), [("SmolLM2-135M", 9.0), ("Llama-3-8B", 64.0), ("Llama-3-70B", 354.8)])
def test_a_build_asks_for_host_memory_by_the_size_of_its_source(model: str, memory: float) -> None:
    assert host_needs(ask(model, runtime=EngineRuntime.TENSORRT)).memory / GIB == pytest.approx(memory, rel=0.01)


def test_disk_holds_source_checkpoint_and_engine_and_a_tenth_more() -> None:
    source = facts("Llama-3-8B").bytes
    plain = ask("Llama-3-8B")
    assert host_needs(plain).disk == pytest.approx(1.1 * source)
    assert host_needs(plain).gpu_memory == 0
    quantized = host_needs(replace(plain, algorithm=Algorithm.FP8, runtime=EngineRuntime.TENSORRT))
    assert quantized.disk == pytest.approx(1.1 * (source + 2 * 9.08e9), rel=0.01)
    assert quantized.gpu_memory == calibration_memory_needed(plain.facts)
    ready = ask("DeepSeek-V3")
    assert host_needs(ready).disk == pytest.approx(1.1 * ready.facts.bytes)


def test_a_calibration_takes_the_model_the_logits_of_a_batch_and_copies_of_the_largest_layer() -> None:
    model = facts("Llama-3-8B")
    one = calibration_memory_needed(model)
    assert one == (
        2 * model.parameters + 3 * GIB // 2 + 512 * (2 * 128256 + 4 * 32 * 8 * 128 + 8 * 4096) + 16 * 14336 * 4096
    )
    assert calibration_memory_needed(model, 1024) - one == 512 * (2 * 128256 + 4 * 32 * 8 * 128 + 8 * 4096)


def test_a_search_for_each_layers_format_takes_gradients() -> None:
    model = facts("Llama-3-8B")
    more = calibration_memory_needed(model, searched=True) - calibration_memory_needed(model)
    assert more == 6 * 128256 * 4096 + 512 * (14 * 128256 + 2 * 32 * 4096)
    searched = host_needs(ask("Llama-3-8B", algorithm=Algorithm.MIXED))
    assert searched.gpu_memory == calibration_memory_needed(model, searched=True)
