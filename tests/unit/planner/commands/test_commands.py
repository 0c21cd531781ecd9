"""Command lines of convert_checkpoint.py, trtllm-build and trtllm-serve: golden files, reachable flags, every field."""

from __future__ import annotations

from typing import Any

import pytest
from command_golden import golden
from command_samples import SAMPLES, VERSIONS, Commands, Sample, commands, facts_of
from generate_commands import GOLDEN
from generated_specs import held_against_upstream
from upstream_verdict import refused_by_upstream

from double_upstream import program
from trtllm_api.buildoptions import Build, Convert, Limits
from trtllm_api.enginebuild import EngineBuildSpec, Runtime, Serving
from trtllm_planner.commands.build import build_arguments, engine_node_size
from trtllm_planner.commands.buildflags import BUILD_OWNERS, build_table
from trtllm_planner.commands.check import check_extra
from trtllm_planner.commands.convert import convert_arguments, converted_algorithm
from trtllm_planner.commands.convertflags import (
    CONVERT_OWNERS,
    CONVERT_TABLES,
    ONE_STAGE,
    SCRIPTS,
    WHOLE_VOCABULARY,
    convert_table,
)
from trtllm_planner.commands.flags import OPERATOR, FlagTable, Kind, parse
from trtllm_planner.commands.serve import serve_arguments, serve_options
from trtllm_planner.commands.serveflags import SERVE_OWNERS, options_flag, serve_table
from trtllm_planner.tensorrt_llm.layout import ONE_RANK
from trtllm_planner.tensorrt_llm.versions import Algorithm, Version, parse_version

REFUSED = {
    *(("server-with-tools", version) for version in ("0.20.0", "1.0.0", "1.1.0")),
    *(("arguments-that-are-refused", version) for version in VERSIONS),
}
V1_2 = Version(1, 2, 1)
LLAMA = facts_of(Sample({}))
QUANTIZED_BY_SCRIPT = {
    "runtime": "TensorRT",
    "parallelism": {"tensor": 2},
    "limits": {"maxBatchSize": 4},
    "convert": {"weightOnly": "INT8"},
}
BUILD_FLAGS = """
    --checkpoint_dir --model_config --build_config --model_cls_file --model_cls_name --output_dir --max_batch_size
    --max_input_len --max_seq_len --max_decoder_seq_len --max_beam_width --max_num_tokens --opt_num_tokens
    --max_encoder_input_len --max_prompt_embedding_table_size --max_multimodal_len --kv_cache_type --paged_kv_cache
    --input_timing_cache --output_timing_cache --profiling_verbosity --strip_plan --weight_sparsity --weight_streaming
    --fast_build --enable_debug_output --dry_run --monitor_memory --workers --log_level --visualize_network
    --logits_dtype --gather_context_logits --gather_generation_logits --gather_all_token_logits --lora_dir
    --lora_ckpt_source --lora_target_modules --max_lora_rank --speculative_decoding_mode --max_draft_len
    --bert_attention_plugin --gpt_attention_plugin --nccl_plugin --moe_plugin --mamba_conv1d_plugin
    --fp8_rowwise_gemm_plugin --lora_plugin --gemm_plugin --gemm_swiglu_plugin --low_latency_gemm_plugin
    --low_latency_gemm_swiglu_plugin --gemm_allreduce_plugin --context_fmha --remove_input_padding
    --use_paged_context_fmha --use_fp8_context_fmha --paged_state --use_fused_mlp --dora_plugin
    --bert_context_fmha_fp32_acc --fuse_fp4_quant --multiple_profiles --streamingllm --norm_quant_fusion
    --reduce_fusion --user_buffer --pp_reduce_scatter --tokens_per_block
"""
CONVERT_FLAGS = """
    --model_dir --tp_size --pp_size --cp_size --moe_tp_size --moe_ep_size --dtype --use_weight_only
    --weight_only_precision --per_group --group_size --quant_ckpt_path --smoothquant --per_channel --per_token
    --int8_kv_cache --fp8_kv_cache --use_fp8 --use_fp8_rowwise --calib_dataset --calib_size
    --load_by_shard --load_model_on_cpu --use_parallel_embedding --embedding_sharding_dim --output_dir --workers
"""
SERVE_FLAGS = """
    --tokenizer --host --port --backend --log_level --trust_remote_code --max_batch_size --max_num_tokens --max_seq_len
    --max_beam_width --tensor_parallel_size --tp_size --pipeline_parallel_size --pp_size --context_parallel_size
    --cp_size --moe_expert_parallel_size --ep_size --gpus_per_node --free_gpu_memory_fraction
    --kv_cache_free_gpu_memory_fraction --enable_chunked_prefill --config --extra_llm_api_options --reasoning_parser
    --tool_parser --chat_template --num_postprocess_workers
"""
NEWEST_FLAGS = "--served_model_name --kv_cache_dtype --no-telemetry --grpc"
OPERATORS_OWN = {
    "trtllm-build": {
        "--checkpoint_dir",
        "--output_dir",
        "--model_config",
        "--build_config",
        "--input_timing_cache",
        "--output_timing_cache",
        "--dry_run",
    },
    "convert_checkpoint.py of llama": {"--model_dir", "--output_dir"},
    "trtllm-serve": {
        "--tokenizer",
        "--host",
        "--port",
        "--backend",
        "--gpus_per_node",
        "--config",
        "--extra_llm_api_options",
        "--no-telemetry",
        "--grpc",
    },
}
"""Paths, places and what would make no engine: their values are decided, by the stages and spec.runtime."""


@pytest.mark.parametrize("name", SAMPLES)
def test_command_lines_are_as_the_golden_file_has_them(name: str) -> None:
    assert golden(name) == (GOLDEN / f"{name}.yaml").read_text(), "run make generate, and read the difference"


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(SAMPLES)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_taken_by_a_version_or_refused_with_a_sentence_for_each_reason(name: str, version: str) -> None:
    made = commands(SAMPLES[name], version)
    assert bool(made.refused) is ((name, version) in REFUSED)
    for sentence in made.refused:
        assert sentence.count("\n") == 0
        assert ": " in sentence, "what is wrong and what would do"
    if not made.refused:
        assert refused_by_upstream(made) == []
        assert twice(made) == []


def twice(made: Commands) -> list[str]:
    """Flags that are given more than once."""
    lines: list[tuple[tuple[str, ...] | None, FlagTable]] = [
        (made.build, build_table(made.version)),
        (made.serve, serve_table(made.version)),
    ]
    if made.family is not None:
        lines.append((made.convert, convert_table(made.family, made.version)))
    found: list[str] = []
    for arguments, table in lines:
        names = [given.name for given in parse(arguments or (), table)]
        found += {name for name in names if names.count(name) > 1}
    return found


def test_what_is_accepted_of_many_specs_upstream_accepts_too() -> None:
    counts, wrong = held_against_upstream(seed=15, count=150)
    assert wrong == []
    assert counts["accepted"] > 150, "too few to show anything"
    assert counts["refused here"] > counts["refused here, taken by upstream"] > 0


def example(table: FlagTable, name: str) -> tuple[str, ...]:
    """The flag with a value that it takes."""
    flag = table.find(name)
    assert flag is not None, name
    if flag.kind is Kind.SWITCH:
        return (name,)
    values = {Kind.TEXT: "x", Kind.INTEGER: "2", Kind.NUMBER: "0.5"}
    return name, flag.choices[-1] if flag.choices else values[flag.kind]


@pytest.mark.parametrize(
    ("table", "flags"),
    [
        (build_table(V1_2), BUILD_FLAGS),
        (convert_table("llama", V1_2), CONVERT_FLAGS),
        (serve_table(V1_2), SERVE_FLAGS),
        (serve_table(Version(1, 3, 0, 20)), NEWEST_FLAGS),
    ],
    ids=["trtllm-build", "convert_checkpoint.py", "trtllm-serve", "trtllm-serve 1.3"],
)
def test_every_documented_flag_is_reachable_by_a_field_or_by_extra_args(table: FlagTable, flags: str) -> None:
    for name in flags.split():
        owner = table.owner(name)
        if owner == OPERATOR:
            assert name in OPERATORS_OWN[table.program]
        elif owner is None or name in table.shared:
            assert list(check_extra(example(table, name), table, "extraArgs")) == []
        else:
            assert names_a_field(owner), owner
            verdict = next(check_extra(example(table, name), table, "extraArgs"))
            assert verdict.message == f"extraArgs: {name} is set by spec.{owner}"


def names_a_field(path: str) -> bool:
    """Each of the paths leads to a field of EngineBuild's spec."""
    return all(_leads(EngineBuildSpec, part.split(".")) for part in path.split(" and "))


def _leads(model: Any, names: list[str]) -> bool:
    for name in names:
        fields = {field.alias or key: field for key, field in getattr(model, "model_fields", {}).items()}
        if name not in fields:
            return getattr(model, "__name__", "") == "dict"
        annotation = fields[name].annotation
        options = [item for item in getattr(annotation, "__args__", (annotation,)) if item is not type(None)]
        model = dict if "dict" in str(annotation) else options[0]
    return True


@pytest.mark.parametrize("owners", [BUILD_OWNERS, CONVERT_OWNERS, SERVE_OWNERS])
def test_the_field_that_a_refusal_names_exists(owners: dict[str, str]) -> None:
    assert [owner for owner in owners.values() if owner != OPERATOR and not names_a_field(owner)] == []


BUILD_FIELDS: dict[str, Any] = SAMPLES["rich-engine"].spec["build"] | {"gatherContextLogits": True}
CONVERT_FIELDS: dict[str, Any] = SAMPLES["rich-engine"].spec["convert"] | {
    "weightOnly": "INT8",
    "loadByShard": True,
}
NO_ARGUMENT = {"gpus", "workers", "timingCache"}
"""Of the Job, and of RanksRequest."""


def test_every_field_of_build_has_its_argument() -> None:
    names = {field.alias for field in Build.model_fields.values()}
    assert names - NO_ARGUMENT <= set(BUILD_FIELDS)
    for name in names - NO_ARGUMENT - {None}:
        alone = Build.model_validate({name: BUILD_FIELDS[str(name)]})
        assert build_arguments(alone, Limits()) != build_arguments(Build(), Limits()), name


def test_every_limit_has_its_argument() -> None:
    for name, flag in (
        ("maxBatchSize", "--max_batch_size"),
        ("maxInputLength", "--max_input_len"),
        ("maxSequenceLength", "--max_seq_len"),
        ("maxTokens", "--max_num_tokens"),
        ("maxBeamWidth", "--max_beam_width"),
    ):
        assert build_arguments(Build(), Limits.model_validate({name: 7})) == (flag, "7")
    assert len(Limits.model_fields) == 5


def test_every_field_of_convert_has_its_argument() -> None:
    for field in Convert.model_fields.values():
        alone = Convert.model_validate({str(field.alias): CONVERT_FIELDS[str(field.alias)]})
        made = convert_arguments(alone, ONE_RANK, LLAMA, None, "/calibration")
        assert made != convert_arguments(Convert(), ONE_RANK, LLAMA), field.alias


def test_calibration_data_are_named_where_they_are_mounted_only() -> None:
    convert = Convert.model_validate({"calibration": {"claimName": "texts", "path": "cnn"}})
    assert "--calib_dataset" not in convert_arguments(convert, ONE_RANK, LLAMA)


def test_the_scripts_of_all_families_take_their_parallelism_and_precision() -> None:
    for architecture, family in SCRIPTS.items():
        for version in VERSIONS:
            made = commands(Sample(QUANTIZED_BY_SCRIPT, architecture), version)
            assert (made.family, made.refused, refused_by_upstream(made)) == (family, (), []), (architecture, version)
    assert set(SCRIPTS.values()) == set(CONVERT_TABLES)


def test_stages_are_refused_where_a_script_has_none() -> None:
    spec = {"runtime": "TensorRT", "limits": {"maxBatchSize": 4}, "parallelism": {"pipeline": 2}}
    for architecture, family in SCRIPTS.items():
        made = commands(Sample(spec, architecture), "1.2.1")
        assert bool(made.refused) is (family in ONE_STAGE), architecture
        if made.refused:
            said = (
                f"convert_checkpoint.py of {family} refuses pipeline parallelism, and PP is 2: use tensor parallelism"
            )
            assert made.refused == (said,)


STAGES = "--pp_size other than 1"
VOCABULARY = "--use_parallel_embedding with --embedding_sharding_dim 0 and a vocabulary that tp_size does not divide"


@pytest.mark.parametrize(
    ("families", "when"),
    [(ONE_STAGE - {"gemma"}, STAGES), (WHOLE_VOCABULARY, VOCABULARY)],
    ids=["stages", "vocabulary"],
)
def test_families_are_limited_as_upstream_limits_them(families: frozenset[str], when: str) -> None:
    assert {name for name in CONVERT_TABLES if program(f"convert-{name}", "1.2.1").check(when)} == families


@pytest.mark.parametrize(
    ("hidden", "words", "version"),
    [(4096, 64000, "v1_7b"), (5120, 64000, "v1_13b"), (4096, 125696, "v2_7b"), (5120, 125696, "v2_13b")],
)
def test_baichuans_script_is_given_the_models_version(hidden: int, words: int, version: str) -> None:
    facts = facts_of(Sample({}, "BaichuanForCausalLM", model={"hidden_size": hidden, "vocabulary_size": words}))
    made = convert_arguments(Convert(), ONE_RANK, facts)
    assert made[made.index("--model_version") + 1] == version


@pytest.mark.parametrize(
    ("architecture", "dtype", "named"),
    [
        ("BloomForCausalLM", "bfloat16", "bfloat16"),
        ("MPTForCausalLM", "float32", "float16"),
        ("OPTForCausalLM", "float16", "float16"),
        ("GPTNeoXForCausalLM", "bfloat16", "bfloat16"),
        ("InternLM2ForCausalLM", "bfloat16", "bfloat16"),
        ("LlamaForCausalLM", "bfloat16", None),
    ],
)
def test_a_script_without_auto_is_given_the_models_own_type(architecture: str, dtype: str, named: str | None) -> None:
    made = convert_arguments(Convert(), ONE_RANK, facts_of(Sample({}, architecture, model={"dtype": dtype})))
    assert (made[made.index("--dtype") + 1] if "--dtype" in made else None) == named


@pytest.mark.parametrize(
    ("world", "pod", "size"),
    [(1, 1, None), (8, 8, None), (16, 8, None), (8, 4, 4), (4, 2, 2), (16, 16, 16), (4, 4, None)],
)
def test_an_engine_is_told_the_gpus_of_a_pod_where_the_usual_eight_are_wrong(
    world: int, pod: int, size: int | None
) -> None:
    """Upstream: each pod needs world // ceil(world / gpus_per_node) GPUs, and rank r uses GPU r % gpus_per_node."""
    assert engine_node_size(world, pod) == size
    written = size or 8
    assert world // -(-world // written) == min(world, pod)
    assert [rank % written for rank in range(world)] == [rank % pod for rank in range(world)]
    made = build_arguments(Build(), Limits(), node_size=size)
    assert made == (() if size is None else ("--gpus_per_node", str(size)))


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [
        ((), Algorithm.NONE),
        (("--use_weight_only",), Algorithm.W8A16),
        (("--use_weight_only", "--weight_only_precision=int4"), Algorithm.W4A16),
        (("--use_weight_only", "--weight_only_precision", "int4_awq", "--per_group"), Algorithm.W4A16_AWQ),
        (("--use_weight_only", "--weight_only_precision", "int8_gptq"), Algorithm.W8A16_GPTQ),
        (("--use_fp8_rowwise",), Algorithm.FP8_ROWWISE),
        (("--use_nvfp4",), Algorithm.NVFP4),
    ],
)
def test_the_format_of_weights_is_known_from_extra_arguments_too(
    arguments: tuple[str, ...], algorithm: Algorithm
) -> None:
    assert converted_algorithm(Convert(extra_args=arguments)) is algorithm


@pytest.mark.parametrize(("version", "flag"), [("0.20.0", "--extra_llm_api_options"), ("1.3.0rc20", "--config")])
def test_the_file_of_options_is_named_as_the_version_has_it(version: str, flag: str) -> None:
    parsed = parse_version(version)
    assert options_flag(parsed) == flag
    assert serve_table(parsed).has(flag)


def test_a_name_is_served_by_flag_where_the_version_has_one() -> None:
    newest = serve_arguments(Serving(), ONE_RANK, Limits(), Runtime.PYTORCH, Version(1, 3, 0), served_model_name="chat")
    assert newest[-2:] == ("--served_model_name", "chat")
    for older in (V1_2, Version(1, 3, 0, 0), Version(1, 3, 0, 9)):
        made = serve_arguments(Serving(), ONE_RANK, Limits(), Runtime.PYTORCH, older, served_model_name="chat")
        assert "chat" not in made


@pytest.mark.parametrize(
    ("version", "name"),
    [("0.20.0", None), ("1.0.0", "trt"), ("1.0.2", "trt"), ("1.1.0rc6", "trt"), ("1.1.0", "tensorrt")],
)
def test_engines_are_served_by_the_backends_name_in_the_version(version: str, name: str | None) -> None:
    made = serve_arguments(Serving(), ONE_RANK, Limits(), Runtime.TENSORRT, parse_version(version))
    assert (made[made.index("--backend") + 1] if "--backend" in made else None) == name


def test_a_server_returns_the_logits_that_its_engine_is_built_for() -> None:
    sample = SAMPLES["rich-engine"]
    assert [(commands(sample, version).options or {})["gather_generation_logits"] for version in VERSIONS] == [True] * 5
    assert "gather_generation_logits" not in serve_options(Serving(), ONE_RANK, Runtime.TENSORRT, V1_2)


def test_options_of_the_user_are_under_those_of_the_fields() -> None:
    serving = Serving.model_validate(
        {
            "kvCacheFraction": "0.5",
            "options": {
                "kv_cache_config": {"free_gpu_memory_fraction": 0.9, "host_cache_size": 1},
                "enable_iter_perf_stats": False,
            },
        }
    )
    options = serve_options(serving, ONE_RANK, Runtime.PYTORCH, V1_2)
    assert options["kv_cache_config"] == {"free_gpu_memory_fraction": 0.5, "host_cache_size": 1}
    assert options["enable_iter_perf_stats"] is True


def test_arguments_that_are_given_in_any_spelling_are_found() -> None:
    table = serve_table(V1_2)
    verdicts = list(check_extra(("--tensor_parallel_size=2", "--config", "x.yaml"), table, "serving.extraArgs"))
    assert [verdict.message for verdict in verdicts] == [
        "serving.extraArgs: --tensor_parallel_size is set by spec.parallelism.tensor",
        "serving.extraArgs: --config is set by the operator",
    ]
    assert list(check_extra(("--custom_module_dirs=a", "--custom_module_dirs=b"), table, "serving.extraArgs")) == []


def test_arguments_do_not_depend_on_the_version_of_a_spec_that_is_minimal() -> None:
    minimal = Sample({"runtime": "TensorRT", "limits": {"maxBatchSize": 8}})
    assert len({commands(minimal, version).build for version in VERSIONS}) == 1
    assert len({commands(minimal, version).convert for version in VERSIONS}) == 1
