"""What a refusal proposes does work: every number in a remedy is put in, and the refusal is gone."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from public_models import A10, A100, B200, CONFIGS, H100, L4, ask

from trtllm_planner.question import EngineQuestion, Limits, Options
from trtllm_planner.rules.capacity import gpu_memory
from trtllm_planner.rules.shape import heads_and_layers, moe, shard_alignment
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, KvFormat

GPUS = st.sampled_from([A10, L4, A100, H100, B200])
MODELS = st.sampled_from(sorted(CONFIGS))
ALGORITHMS = st.sampled_from([Algorithm.NONE, Algorithm.FP8, Algorithm.W4A16_AWQ, Algorithm.W8A16, Algorithm.NVFP4])


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


@settings(max_examples=200, deadline=None)
@given(model=MODELS, tensor=st.integers(1, 64), algorithm=ALGORITHMS, group=st.sampled_from([64, 128]))
def test_every_valid_tensor_parallelism_is_valid_and_no_other_is(
    model: str, tensor: int, algorithm: Algorithm, group: int
) -> None:
    question = ask(model, layout=Layout(tensor), algorithm=algorithm, group_size=group, gpus_per_node=None)
    heads = list(heads_and_layers(question))
    valid = {number for verdict in heads for number in _numbers(verdict.remedy.partition("valid TP:")[2])}
    for other in valid:
        assert not list(heads_and_layers(replace(question, layout=Layout(other))))
    assert not heads or tensor not in valid
    shards = list(shard_alignment(question))
    assume(shards)
    remedy = shards[0].remedy
    if "valid TP:" in remedy:
        for other in _numbers(remedy.partition("valid TP:")[2].partition(";")[0]):
            assert not list(shard_alignment(replace(question, layout=Layout(other))))
    if "with group size 64:" in remedy:
        for other in _numbers(remedy.partition("with group size 64:")[2]):
            assert not list(shard_alignment(replace(question, layout=Layout(other), group_size=64)))


@settings(max_examples=100, deadline=None)
@given(tensor=st.integers(1, 64), cut=st.integers(1, 64), dealt=st.integers(1, 64))
def test_every_way_to_deal_out_experts_works(tensor: int, cut: int, dealt: int) -> None:
    verdicts = list(moe(ask("DeepSeek-V3", layout=Layout(tensor, 1, 1, cut, dealt))))
    works = cut * dealt == tensor and 256 % dealt == 0
    assert works is not bool(verdicts)
    for verdict in verdicts:
        for way in verdict.remedy.partition(": ")[2].split(", "):
            moe_tensor, moe_expert = _numbers(way)
            assert not list(moe(ask("DeepSeek-V3", layout=Layout(tensor, 1, 1, moe_tensor, moe_expert))))


@st.composite
def crowded(draw: st.DrawFn) -> EngineQuestion:
    model = draw(MODELS)
    gpu = draw(GPUS)
    return ask(
        model,
        gpu=gpu,
        limits=Limits(
            max_seq_len=draw(st.sampled_from([4096, 32768, 131072])),
            max_batch_size=draw(st.sampled_from([1, 64, 2048])),
            sequences=draw(st.sampled_from([1, 8, 32])),
            max_beam_width=draw(st.sampled_from([1, 4])),
        ),
        options=Options(tokens_per_block=draw(st.sampled_from([32, 64]))),
    )


@settings(max_examples=200, deadline=None)
@given(question=crowded())
def test_every_way_to_make_room_makes_room(question: EngineQuestion) -> None:
    verdicts = list(gpu_memory(question))
    assume(verdicts)
    for way in verdicts[0].remedy.removeprefix("try ").split(" | "):
        if way.startswith("TP "):
            better = replace(question, layout=Layout(_numbers(way)[0]))
            assert not list(heads_and_layers(better))
            assert not list(shard_alignment(better))
        elif way == "FP8 KV cache":
            better = replace(question, kv_cache=KvFormat.FP8)
        elif way.startswith("maxBatchSize "):
            batch = _numbers(way)[0]
            assert max(8, question.limits.sequences) <= batch < question.limits.batch
            better = replace(question, limits=replace(question.limits, max_batch_size=batch))
            double = replace(question, limits=replace(question.limits, max_batch_size=2 * batch))
            assert list(gpu_memory(double))
        elif way.startswith("maxSequenceLength "):
            length = _numbers(way)[0]
            better = replace(question, limits=replace(question.limits, max_seq_len=length))
            block = question.options.tokens_per_block
            longer = replace(question, limits=replace(question.limits, max_seq_len=length + block))
            if (
                length * question.limits.batch >= question.limits.max_num_tokens
            ):  # as many activations: it is the longest
                assert list(gpu_memory(longer))
        else:
            assert way == "use larger GPUs, more of them, or a smaller precision"
            continue
        assert not list(gpu_memory(better))
