"""From an EngineBuild's spec to the question that rules and planner are asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from public_models import CONFIGS, H100, facts
from test_plan_properties import configurations, inventories

from support.clauses import clauses
from trtllm_api.buildoptions import GpuSelector
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.facts import CheckpointFacts, Details, ModelFacts
from trtllm_api.modelstatus import ArtifactStatus
from trtllm_api.quantization import KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_api.verdict import judge, refusals
from trtllm_planner.decide import Decision, decide
from trtllm_planner.inventory import Inventory
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.question import ArtifactFacts, EngineStamp, KvCacheType, Options
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.spec_question import asked_layout, decided_limits, engine_question
from trtllm_planner.tensorrt_llm.layout import ONE_RANK, Layout, nodes_for
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat, Version

IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
DIGEST = "sha256:" + "a" * 64


def spec(runtime: str = "TensorRT", **fields: Any) -> EngineBuildSpec:
    """Of an EngineBuild whose model comes from the hub, unless fields say otherwise."""
    given_by = {} if "modelRef" in fields else {"source": {"huggingFace": {"repo": "org/model"}}}
    return EngineBuildSpec.model_validate({"runtime": runtime, "image": IMAGE, **given_by, **fields})


def artifact(method: Method = Method.FP8, checkpoint: Checkpoint | None = None, **more: Any) -> ArtifactStatus:
    """What a QuantizedModel has published."""
    return ArtifactStatus(
        request_digest=DIGEST,
        digest=DIGEST,
        claim_name="trtllm-store",
        path="artifacts/a",
        bytes=1,
        method=method,
        checkpoint=checkpoint or Checkpoint(),
        **more,
    )


def with_checkpoint(model: str, **checkpoint: Any) -> ModelFacts:
    known = facts(model)
    details = known.details.model_copy(update={"checkpoint": CheckpointFacts(**checkpoint)})
    return known.model_copy(update={"details": details, "quantization": checkpoint["method"]})


def test_a_minimal_spec_has_the_defaults_of_tensorrt_llm() -> None:
    question = engine_question(spec(), facts("Llama-3.1-8B"))
    assert question.runtime is EngineRuntime.TENSORRT
    assert question.image.version == Version(1, 2, 1)
    assert question.layout == ONE_RANK
    assert question.algorithm is Algorithm.NONE
    assert question.kv_cache is KvFormat.AUTO
    assert question.options == Options()
    assert (question.limits.max_seq_len, question.limits.max_num_tokens, question.limits.batch) == (8192, 8192, 2048)
    assert question.artifact is None


def test_a_rich_spec_is_asked_as_it_is() -> None:
    asked = spec(
        imageVersion="1.0.0",
        trustRemoteCode=True,
        parallelism={"tensor": 4, "pipeline": 2, "context": 1, "moeTensor": 2, "moeExpert": 2},
        limits={
            "maxBatchSize": 16,
            "maxInputLength": 3000,
            "maxSequenceLength": 4096,
            "maxTokens": 2048,
            "maxBeamWidth": 4,
        },
        convert={"weightOnly": "INT8", "kvCache": "INT8"},
        build={
            "kvCacheType": "Paged",
            "tokensPerBlock": 64,
            "optTokens": 1024,
            "contextAttention": False,
            "pagedContextAttention": False,
            "fp8ContextAttention": True,
            "removeInputPadding": False,
            "fusedMlp": False,
            "multipleProfiles": True,
            "gatherContextLogits": True,
            "speculativeDecoding": {"mode": "LookaheadDecoding", "maxDraftLength": 7},
            "plugins": {"gemm_swiglu": "fp8"},
            "extraArgs": ["--streamingllm", "enable"],
        },
        serving={
            "chunkedPrefill": True,
            "kvCacheFraction": "0.8",
            "options": {"kv_cache_config": {"enable_block_reuse": True}},
        },
    )
    question = engine_question(asked, facts("Mixtral-8x7B"), access_mode="ReadWriteOnce")
    assert question.image.version == Version(1, 0, 0)
    assert question.layout == Layout(4, 2, 1, 2, 2)
    assert (question.algorithm, question.kv_cache) == (Algorithm.W8A16, KvFormat.INT8)
    assert (question.limits.max_batch_size, question.limits.max_input_len) == (16, 3000)
    assert (question.limits.max_seq_len, question.limits.max_num_tokens, question.limits.max_beam_width) == (
        4096,
        2048,
        4,
    )
    assert question.options == Options(
        kv_fraction=0.8,
        kv_cache_type=KvCacheType.PAGED,
        tokens_per_block=64,
        chunked_prefill=True,
        block_reuse=True,
        paged_context_fmha=False,
        context_fmha=False,
        fp8_context_fmha=True,
        remove_input_padding=False,
        gather_context_logits=True,
        multiple_profiles=True,
        opt_num_tokens=1024,
        gemm_swiglu_plugin=True,
        fused_mlp=False,
        streaming_llm=True,
        speculation="lookahead_decoding",
        max_draft_len=7,
    )
    assert (question.build, question.convert, question.serving) == (asked.build, asked.convert, asked.serving)
    assert (question.access_mode, question.trust_remote_code) == ("ReadWriteOnce", True)


def test_what_was_planned_is_asked_about() -> None:
    stamp = EngineStamp("1.2.1", H100.product, (9, 0), 8, 8)
    question = engine_question(spec(), facts("Llama-3-8B"), layout=Layout(8), gpu=H100, gpus_per_node=4, stamp=stamp)
    assert (question.layout, question.gpu, question.gpus_per_node, question.stamp) == (Layout(8), H100, 4, stamp)


@pytest.mark.parametrize("fields", [{"runtime": "Transformers", "image": None}, {"image": None}])
def test_without_an_image_of_tensorrt_llm_there_is_nothing_to_ask(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has no engine to plan"):
        engine_question(spec(**fields), facts("Llama-3-8B"))


@pytest.mark.parametrize(
    ("fields", "model", "longest"),
    [
        ({}, "Llama-3.1-8B", 8192),
        ({}, "Llama-2-13B", 4096),
        ({"limits": {"maxSequenceLength": 20000}}, "Llama-3.1-8B", 20000),
        ({"limits": {"maxBatchSize": 4}, "serving": {"maxSequenceLength": 16384}}, "Llama-3.1-8B", 16384),
        ({"limits": {"maxInputLength": 30000}}, "Llama-3.1-8B", 30001),
        ({"limits": {"maxInputLength": 30000}}, "Llama-2-13B", 4096),
        ({"limits": {"maxInputLength": 100}}, "Llama-3.1-8B", 8192),
    ],
)
def test_the_longest_sequence_is_what_is_said_or_what_a_gpu_can_be_expected_to_hold(
    fields: dict[str, Any], model: str, longest: int
) -> None:
    assert decided_limits(spec(**fields), facts(model)).max_sequence_length == longest
    assert engine_question(spec(**fields), facts(model)).limits.max_seq_len == longest


def test_a_server_of_pytorch_has_its_own_limits_and_an_engine_has_those_of_its_build() -> None:
    fields: dict[str, Any] = {
        "limits": {"maxBatchSize": 64, "maxTokens": 4096, "maxSequenceLength": 4096, "maxBeamWidth": 1},
        "serving": {"maxBatchSize": 8, "maxTokens": 2048, "maxSequenceLength": 2048, "maxBeamWidth": 2},
    }
    server = decided_limits(spec("PyTorch", **fields), facts("Llama-3-8B"))
    assert (server.max_batch_size, server.max_tokens, server.max_sequence_length) == (8, 2048, 2048)
    assert server.max_beam_width == 2
    engine = decided_limits(spec(**fields), facts("Llama-3-8B"))
    assert (engine.max_batch_size, engine.max_tokens, engine.max_sequence_length) == (64, 4096, 4096)
    assert engine.max_beam_width == 1


def test_a_layout_is_asked_for_by_the_spec_or_baked_into_a_checkpoint_or_planned() -> None:
    baked = artifact(checkpoint=Checkpoint(format=CheckpointFormat.TENSORRT_LLM, tensor=4, pipeline=2))
    assert asked_layout(spec()) is None
    assert asked_layout(spec(), artifact()) is None
    assert asked_layout(spec(), baked) == Layout(4, 2)
    assert asked_layout(spec(parallelism={"tensor": 2}), baked) == Layout(2)
    assert engine_question(spec(), facts("Llama-3-8B"), artifact=baked).layout == Layout(4, 2)


@pytest.mark.parametrize(
    ("convert", "algorithm"),
    [
        ({}, Algorithm.NONE),
        ({"weightOnly": "INT8"}, Algorithm.W8A16),
        ({"weightOnly": "INT4"}, Algorithm.W4A16),
        ({"smoothQuant": {}}, Algorithm.SMOOTH_QUANT),
    ],
)
def test_the_conversion_makes_a_format_of_an_unquantized_model(convert: dict[str, Any], algorithm: Algorithm) -> None:
    assert engine_question(spec(convert=convert), facts("Llama-3-8B")).algorithm is algorithm
    unquantized = artifact(Method.NONE)
    assert engine_question(spec(convert=convert), facts("Llama-3-8B"), artifact=unquantized).algorithm is algorithm


def test_a_quantized_model_gives_its_method_groups_cache_and_exclusions() -> None:
    question = engine_question(
        spec("PyTorch", modelRef={"name": "llama"}),
        facts("Llama-3-8B").model_copy(update={"custom_code": True}),
        artifact=artifact(Method.INT4_AWQ, group_size=64),
        kv_cache=KVCache.FP8,
        exclude_modules=("*o_proj*",),
    )
    assert (question.algorithm, question.group, question.kv_cache) == (Algorithm.W4A16_AWQ, 64, KvFormat.FP8)
    assert question.exclude_modules == ("*o_proj*",)
    assert question.artifact == ArtifactFacts(True, False, 1, 1, "llama")
    assert question.trust_remote_code, "the QuantizedModel has been asked"


def test_a_checkpoint_of_somebody_else_gives_its_own_format() -> None:
    known = with_checkpoint("Llama-3-8B", method="gptq", algorithm="W4A16_GPTQ", group_size=64, kv_cache="FP8")
    question = engine_question(spec(), known)
    assert (question.algorithm, question.group, question.kv_cache) == (Algorithm.W4A16_GPTQ, 64, KvFormat.FP8)
    unknown = engine_question(spec(), with_checkpoint("Llama-3-8B", method="bitsandbytes"))
    assert unknown.algorithm is Algorithm.NONE
    assert [verdict.reason for verdict in refusals(judge(ENGINE_RULES, unknown))] == ["CheckpointNotSupported"]
    ours = engine_question(spec(), known, artifact=artifact(Method.NONE))
    assert ours.algorithm is Algorithm.NONE, "the facts are those of the source, the artifact is what is built from"


@pytest.mark.parametrize(("said", "cache"), [("fp8", KvFormat.FP8), ("nvfp4", KvFormat.NVFP4), ("auto", KvFormat.AUTO)])
def test_a_server_of_pytorch_may_be_told_the_format_of_its_cache(said: str, cache: KvFormat) -> None:
    serving = {"options": {"kv_cache_config": {"dtype": said}}}
    assert engine_question(spec("PyTorch", serving=serving), facts("Llama-3-8B")).kv_cache is cache
    assert engine_question(spec(serving=serving), facts("Llama-3-8B")).kv_cache is KvFormat.AUTO


def test_options_that_are_not_what_they_should_be_are_left_to_the_server() -> None:
    serving = {"options": {"kv_cache_config": "fp8"}}
    assert engine_question(spec("PyTorch", serving=serving), facts("Llama-3-8B")).options == Options()


@pytest.mark.parametrize(
    ("runtime", "checkpoint"),
    [
        ("PyTorch", {"method": "awq", "algorithm": "W4A16_AWQ", "group_size": 128, "symmetric": False}),
        ("PyTorch", {"method": "gptq", "algorithm": "W4A16_GPTQ", "group_size": 128, "act_order": True}),
        ("PyTorch", {"method": "compressed-tensors", "integer": True, "group_size": 128}),
        ("TensorRT", {"method": "awq", "algorithm": "W4A16_AWQ", "group_size": 32}),
        ("TensorRT", {"method": "compressed-tensors", "integer": True}),
        ("TensorRT", {"method": "bitsandbytes"}),
        ("TensorRT", {"method": "modelopt", "algorithm": "FP8"}),
    ],
)
@pytest.mark.parametrize("parallelism", [None, {"tensor": 2}])
def test_checkpoints_of_others_are_refused_by_name_with_a_way_out_before_a_gpu_is_used(
    runtime: str, checkpoint: dict[str, Any], parallelism: dict[str, int] | None
) -> None:
    asked = spec(runtime, parallelism=parallelism, serving={})
    question = engine_question(asked, with_checkpoint("Llama-3-8B", **checkpoint))
    found = decide(question, asked_layout(asked), Inventory(()), GpuSelector(product=H100.product, per_node=8))
    assert not isinstance(found, Decision)
    first = found.verdicts[0]
    assert first.reason == "CheckpointNotSupported"
    assert "Unsupported AWQ" not in clauses(first)
    assert "quantize the original (BF16 or FP16) model" in first.remedy


@st.composite
def specs(draw: st.DrawFn) -> EngineBuildSpec:
    runtime = draw(st.sampled_from(["TensorRT", "PyTorch"]))
    engine = runtime == "TensorRT"
    fields: dict[str, Any] = {
        "limits": {
            "maxBatchSize": draw(st.sampled_from([1, 16, 256])),
            "maxSequenceLength": draw(st.sampled_from([512, 4096, None])),
        },
        "serving": draw(st.sampled_from([{}, {"chunkedPrefill": True}, {"kvCacheFraction": "0.5"}])),
    }
    if engine:
        fields["serving"] = draw(st.sampled_from([None, fields["serving"]]))
        fields["build"] = draw(st.sampled_from([None, {"gpus": 1}, {"gpus": 3}, {"plugins": {"gemm": "auto"}}]))
        fields["convert"] = draw(st.sampled_from([None, {"weightOnly": "INT8"}, {"weightOnly": "INT4"}]))
    if draw(st.booleans()):
        fields["parallelism"] = {
            "tensor": draw(st.sampled_from([1, 2, 3, 4, 8])),
            "pipeline": draw(st.sampled_from([1, 2, 4])),
        }
    if draw(st.booleans()):
        fields["gpu"] = draw(
            st.sampled_from([{"perNode": 4}, {"product": "NVIDIA-L4", "perNode": 2}, {"memory": "40Gi"}])
        )
    return spec(runtime, **{name: value for name, value in fields.items() if value is not None})


@settings(max_examples=300, deadline=None)
@given(asked=specs(), config=configurations(), inventory=inventories())
def test_what_is_decided_for_a_spec_passes_preflight_and_has_its_nodes(
    asked: EngineBuildSpec, config: dict[str, Any], inventory: Inventory
) -> None:
    known = facts_from_config(config)
    question = engine_question(asked, known)
    found = decide(question, asked_layout(asked), inventory, asked.gpu)
    if not isinstance(found, Decision):
        assert all(verdict.message and verdict.remedy for verdict in found.verdicts)
        assert len(found.verdicts) == len({verdict.message for verdict in found.verdicts})
        return
    again = engine_question(asked, known, layout=found.layout, gpu=found.gpu, gpus_per_node=found.gpus_per_node)
    assert refusals(judge(ENGINE_RULES, again)) == ()
    assert found.nodes == nodes_for(found.layout.world, found.gpus_per_node)
    assert 1 <= found.build_pods <= found.nodes
    assert found.build_gpus <= found.gpus_per_node
    if asked.parallelism is not None:
        assert (found.layout.tensor, found.layout.pipeline) == (asked.parallelism.tensor, asked.parallelism.pipeline)
    counts = inventory.counts(found.gpu)
    if asked.gpu is None or asked.gpu.per_node is None:
        assert sum(count >= found.build_gpus for count in counts) >= found.build_pods
        if asked.serving is not None:
            assert sum(count >= found.gpus_per_node for count in counts) >= found.nodes
    else:
        assert found.gpus_per_node <= asked.gpu.per_node


@pytest.mark.parametrize("model", CONFIGS)
def test_details_of_public_models_reach_the_question(model: str) -> None:
    known = facts(model)
    question = engine_question(spec("PyTorch", serving={}), known)
    assert question.positions >= question.limits.max_seq_len
    assert question.details == known.details != Details()
