"""Rules about command lines: each refuses what upstream refuses, and takes what upstream takes beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from command_samples import VERSIONS, Sample, commands
from upstream_verdict import refused_by_upstream

from double_arguments import parser_of
from double_checks import attention_features
from double_upstream import program
from trtllm_api.enginebuild import Runtime
from trtllm_api.quantization import KVCache
from trtllm_api.verdict import Severity, judge
from trtllm_planner.commands.convertflags import SCRIPTS
from trtllm_planner.commands.flags import FlagTable
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.commands.server_options import judge_options
from trtllm_planner.inventory import GpuKind
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.rules.options import feature_combinations
from trtllm_planner.tensorrt_llm.architectures import ARCHITECTURES
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat, Version, parse_version

Spec = dict[str, Any]
LIMITS = {"maxBatchSize": 4}
COMBINATIONS = tuple(rule for rule in ENGINE_RULES if rule.judge is feature_combinations)


def engine(architecture: str = "LlamaForCausalLM", model: Spec | None = None, **spec: Any) -> Sample:
    return Sample({"runtime": "TensorRT", "limits": LIMITS, **spec}, architecture, model=model or {})


CALIBRATED = {"smoothQuant": {}, "calibration": {"claimName": "texts"}}
REFUSED: dict[str, tuple[Sample, str]] = {
    "calibrated shard by shard": (
        engine(convert={**CALIBRATED, "loadByShard": True}),
        (
            "convert.smoothQuant calibrates the whole model, which convert.loadByShard does not load: leave "
            "convert.loadByShard out"
        ),
    ),
    "calibrated in parts of the context": (
        engine(
            convert={"kvCache": "INT8", "calibration": {"claimName": "texts"}}, parallelism={"tensor": 2, "context": 2}
        ),
        (
            "a conversion that calibrates (convert.kvCache) ignores context parallelism and then fails, and CP "
            "is 2: use CP "
            "1, or quantize with a QuantizedModel of checkpoint.format TensorRTLLM"
        ),
    ),
    "weights of AWQ by path": (
        engine(
            convert={
                "extraArgs": [
                    "--use_weight_only",
                    "--weight_only_precision=int4_awq",
                    "--quant_ckpt_path=/source/awq.pt",
                ]
            }
        ),
        (
            "convert.extraArgs: --quant_ckpt_path is only for weights that GPTQ has quantized: add "
            "--use_weight_only and --weight_only_precision=int4_gptq, or leave it out"
        ),
    ),
    "Baichuan of GPTQ without its weights": (
        engine(
            "BaichuanForCausalLM",
            convert={"extraArgs": ["--use_weight_only", "--weight_only_precision=int4_gptq"]},
        ),
        (
            "convert.extraArgs: --weight_only_precision=int4_gptq needs --quant_ckpt_path: add "
            "--quant_ckpt_path, or use convert.weightOnly"
        ),
    ),
    "a fast build of weights without the plugin": (
        engine(
            convert={"weightOnly": "INT8", "extraArgs": ["--disable_weight_only_quant_plugin"]},
            build={"fastBuild": True},
        ),
        (
            "convert.extraArgs: with --disable_weight_only_quant_plugin trtllm-build refuses build.fastBuild: "
            "leave one of them out"
        ),
    ),
    "a vocabulary that does not divide": (
        engine(
            "BloomForCausalLM",
            {"vocabulary_size": 250881},
            convert={"parallelEmbedding": True},
            parallelism={"tensor": 2},
        ),
        (
            "convert_checkpoint.py of bloom cannot cut a vocabulary of 250881 into TP 2 parts: set "
            "convert.embeddingShardingDimension 1, or leave convert.parallelEmbedding out"
        ),
    ),
    "InternLM2 with fewer key and value heads than ranks": (
        engine("InternLM2ForCausalLM", {"key_value_heads": 2}, parallelism={"tensor": 4}),
        (
            "convert_checkpoint.py of internlm2 cannot distribute 2 key/value heads over TP 4: use a tensor "
            "parallelism that divides them"
        ),
    ),
    "Eagle's heads": (
        engine(build={"speculativeDecoding": {"mode": "Eagle", "maxDraftLength": 63}}),
        (
            "build.speculativeDecoding.mode Eagle needs draft heads in the checkpoint, which neither the "
            "conversion nor a QuantizedModel makes: use mode DraftTokensExternal or LookaheadDecoding; or "
            "runtime PyTorch with serving.options.speculative_config"
        ),
    ),
    "a fused MLP of integers": (
        engine(convert={"weightOnly": "INT8"}, build={"plugins": {"gemm_swiglu": "fp8"}}),
        ("build.plugins.gemm_swiglu needs build.fusedMlp, which weights of W8A16 switch off: leave the plugin out"),
    ),
    "chunks beside a cache of other numbers than the weights": (
        engine(convert={"kvCache": "FP8"}, serving={"chunkedPrefill": True}),
        (
            "chunked prefill needs paged context attention, which an FP8 KV cache with weights of NO_QUANT "
            "switches off: use "
            "another format of the KV cache, or no chunked prefill"
        ),
    ),
    "scattered stages of another model than Mixtral": (
        engine(build={"extraArgs": ["--pp_reduce_scatter", "enable"]}),
        "build.extraArgs: --pp_reduce_scatter is for MixtralForCausalLM only: leave it out",
    ),
    "a negative size of graphs": (
        Sample({"runtime": "PyTorch", "serving": {"options": {"cuda_graph_config": {"max_batch_size": -1}}}}),
        "serving.options.cuda_graph_config.max_batch_size must be 0 or more, not -1: use 0 or more",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_upstream_refuses_after_parsing_is_refused_before_a_gpu_is_used(name: str) -> None:
    sample, sentence = REFUSED[name]
    made = commands(sample, "1.2.1")
    assert sentence in made.refused
    assert refused_by_upstream(made), "upstream takes it: the refusal is wrong"


TAKEN: dict[str, Sample] = {
    "calibrated as a whole": engine(convert=CALIBRATED),
    "in parts of the context": engine(parallelism={"tensor": 2, "context": 2}),
    "weights of GPTQ by path": engine(
        convert={
            "extraArgs": ["--use_weight_only", "--weight_only_precision=int4_gptq", "--quant_ckpt_path=/source/x.pt"]
        }
    ),
    "a vocabulary that divides": engine(
        "BloomForCausalLM", {"vocabulary_size": 250880}, convert={"parallelEmbedding": True}, parallelism={"tensor": 2}
    ),
    "a vocabulary that is cut the other way": engine(
        "BloomForCausalLM",
        {"vocabulary_size": 250881},
        convert={"parallelEmbedding": True, "embeddingShardingDimension": 1},
        parallelism={"tensor": 2},
    ),
    "chunks beside an FP8 cache of FP8 weights": engine(
        convert={"kvCache": "FP8", "extraArgs": ["--use_fp8"]}, serving={"chunkedPrefill": True}
    ),
    "an argument with a blank": Sample(
        {"runtime": "PyTorch", "serving": {"extraArgs": ["--chat_template=a template.jinja"]}}
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_upstream_takes_beside_it_is_taken(name: str) -> None:
    made = commands(TAKEN[name], "1.2.1")
    assert (made.refused, refused_by_upstream(made)) == ((), [])


def test_an_architecture_without_a_script_is_refused_with_what_works() -> None:
    without = ARCHITECTURES[EngineRuntime.TENSORRT] - set(SCRIPTS)
    assert len(without) == 23
    for architecture in without:
        assert commands(engine(architecture), "1.2.1").refused == (
            (
                f"TensorRT-LLM has no convert_checkpoint.py for {architecture}: use a QuantizedModel with "
                f"checkpoint.format "
                "TensorRTLLM, or runtime PyTorch"
            ),
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_parser_that_the_release_lacks_is_refused_with_those_that_it_has(version: str) -> None:
    table: FlagTable = serve_table(parse_version(version))
    known = (table.find("--reasoning_parser") or pytest.fail("no flag")).choices
    for name in ("deepseek-r1", "qwen3", "nano-v3", "deepseek-r2"):
        made = commands(Sample({"runtime": "PyTorch", "serving": {"reasoningParser": name}}), version)
        assert bool(made.refused) is bool(refused_by_upstream(made)) is (name not in known)
        assert all(name in sentence and known[-1] in sentence for sentence in made.refused)


def test_a_plugin_that_blackwell_lacks_is_refused_there_only() -> None:
    question = commands(engine(build={"plugins": {"low_latency_gemm": "fp8"}}), "1.2.1").question
    for capability, refused in (((9, 0), False), ((10, 0), True), ((10, 3), False)):
        gpu = GpuKind("NVIDIA-X", 180_000, capability)
        found = [item.message for item in judge(COMBINATIONS, replace(question, gpu=gpu))]
        assert ("the plugin low_latency_gemm is not supported on SM100" in found) is refused


@pytest.mark.parametrize(
    ("algorithm", "capability", "kept"),
    [
        (Algorithm.FP8, (9, 0), True),
        (Algorithm.W4A8_AWQ, (8, 9), True),
        (Algorithm.NONE, (9, 0), False),
        (Algorithm.W4A16_AWQ, (9, 0), False),
        (Algorithm.FP8, (8, 6), False),
    ],
)
def test_paged_attention_is_known_to_be_lost_where_trtllm_build_switches_it_off(
    algorithm: Algorithm, capability: tuple[int, int], kept: bool
) -> None:
    given = vars(parser_of(program("trtllm-build", "1.2.1")).parse_args([]))
    config = {
        "quantization": {"quant_algo": None if algorithm is Algorithm.NONE else algorithm, "kv_cache_quant_algo": "FP8"}
    }
    assert attention_features(given, config, capability)["use_paged_context_fmha"] is kept
    question = commands(engine(serving={}), "1.2.1").question
    gpu = GpuKind("NVIDIA-X", 80_000, capability)
    asked = replace(question, algorithm=algorithm, kv_cache=KvFormat(KVCache.FP8), gpu=gpu)
    warned = [item for item in judge(COMBINATIONS, asked) if "paged context attention" in item.message]
    assert bool(warned) is not kept


OPTIONS: dict[str, tuple[Spec, str, Version, str]] = {
    "a field of the other runtime": (
        {"batching_type": "INFLIGHT"},
        "PyTorch",
        Version(1, 2, 1),
        (
            "serving.options: the PyTorch runtime of TensorRT-LLM 1.2.1 has no option batching_type: leave it out; it "
            "belongs "
            "to runtime TensorRT"
        ),
    ),
    "a field of a newer release": (
        {"env_overrides": {"A": "1"}},
        "PyTorch",
        Version(1, 1, 0),
        (
            "serving.options: the PyTorch runtime of TensorRT-LLM 1.1.0 has no option env_overrides: use an image of "
            "1.2.0 or "
            "newer, or leave it out"
        ),
    ),
    "a field that is spelled wrongly": (
        {"kv_cache_config": {"free_gpu_memory_fractoin": 0.5}},
        "PyTorch",
        Version(1, 2, 1),
        (
            "serving.options: TensorRT-LLM 1.2.1 has no option kv_cache_config.free_gpu_memory_fractoin: did you mean "
            "free_gpu_memory_fraction?"
        ),
    ),
    "a value of another type": (
        {"max_seq_len": 1, "stream_interval": "often"},
        "PyTorch",
        Version(1, 2, 1),
        "serving.options.stream_interval takes an integer, not 'often': write an integer",
    ),
    "a word that is none of those": (
        {"moe_config": {"backend": "FASTEST"}},
        "PyTorch",
        Version(1, 1, 0),
        (
            "serving.options.moe_config.backend takes one of CUTLASS, CUTEDSL, WIDEEP, TRTLLM, DEEPGEMM, VANILLA, "
            "TRITON, not "
            "'FASTEST': write one of CUTLASS, CUTEDSL, WIDEEP, TRTLLM, DEEPGEMM, VANILLA, TRITON"
        ),
    ),
    "a format of the cache for an engine": (
        {"kv_cache_config": {"dtype": "fp8"}},
        "TensorRT",
        Version(1, 2, 1),
        (
            "serving.options.kv_cache_config.dtype is refused by the TensorRT runtime, whose engines have the "
            "format that they were built with: set convert.kvCache, or leave it out"
        ),
    ),
    "speculation that the runtime lacks": (
        {"speculative_config": {"decoding_type": "NGram"}},
        "TensorRT",
        Version(1, 2, 1),
        (
            "serving.options.speculative_config.decoding_type NGram is not supported by the TensorRT runtime: "
            "use runtime PyTorch, or another decoding_type"
        ),
    ),
    "speculation of another name": (
        {"speculative_config": {"decoding_type": "SaveState"}},
        "PyTorch",
        Version(1, 1, 0),
        (
            "serving.options.speculative_config.decoding_type is 'SaveState', and TensorRT-LLM 1.1.0 takes MTP, "
            "Medusa, Eagle, Lookahead, NGram, DraftTarget, UserProvided, AUTO: set decoding_type to one of these"
        ),
    ),
    "Eagle without a draft": (
        {"speculative_config": {"decoding_type": "Eagle", "max_draft_len": 3}},
        "PyTorch",
        Version(1, 2, 1),
        (
            "serving.options.speculative_config of decoding_type Eagle names no draft model: set "
            "speculative_model to its directory in the pod"
        ),
    ),
    "sizes of graphs that contradict": (
        {"cuda_graph_config": {"batch_sizes": [1, 2], "max_batch_size": 4}},
        "PyTorch",
        Version(1, 2, 1),
        (
            "serving.options.cuda_graph_config has batch_sizes and a max_batch_size 4 that is not their largest: "
            "set one of "
            "the two"
        ),
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_llm_args_refuses_is_refused_before_a_gpu_is_used(name: str) -> None:
    options, runtime, version, sentence = OPTIONS[name]
    spec = {"runtime": runtime, "limits": LIMITS, "serving": {"options": options}}
    made = commands(Sample(spec), str(version))
    assert sentence in made.refused
    assert refused_by_upstream(made), "upstream takes it: the refusal is wrong"


def test_options_that_are_only_unknown_here_are_warned_of() -> None:
    for version, ending in (
        (Version(1, 3, 0, 15), "may have it, but is newer than its documentation here"),
        (Version(0, 20), "ignores it"),
    ):
        (verdict,) = judge_options({"new_thing": 1}, Runtime.PYTORCH, version)
        assert verdict.severity is Severity.WARNING
        assert verdict.message.endswith(ending)


@pytest.mark.parametrize("version", ["1.2.0rc5", "1.1.0rc2", "1.3.0rc1"])
def test_a_release_candidate_takes_the_options_of_the_releases_before_and_after_it(version: str) -> None:
    parsed = parse_version(version)
    assert parsed is not None
    before = {"enable_trtllm_sampler": True} if parsed < Version(1, 1, 0) else {"print_iter_log": True}
    after = {"return_perf_metrics": True}
    assert list(judge_options(before | after, Runtime.PYTORCH, parsed)) == []
