"""Specs whose command lines are held by golden files, and what is written of each; for the tests and the generator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from support.clauses import clauses
from trtllm_api.buildoptions import Build, Convert
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.facts import CheckpointFacts, Details, ModelFacts
from trtllm_api.verdict import judge, refusals
from trtllm_planner.commands.build import build_arguments, engine_node_size
from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.convert import convert_arguments
from trtllm_planner.commands.convertflags import convert_script
from trtllm_planner.commands.serve import serve_arguments, serve_options, serving_limits
from trtllm_planner.commands.serveflags import options_flag
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.rules.checkpoints import checkpoint_recognised
from trtllm_planner.rules.commands import extra_arguments, lora, options_of_version
from trtllm_planner.rules.conversion import needs_conversion
from trtllm_planner.rules.limits import lengths
from trtllm_planner.rules.options import feature_combinations
from trtllm_planner.rules.shape import moe
from trtllm_planner.spec_question import asked_layout, decided_limits, engine_question
from trtllm_planner.tensorrt_llm.layout import ONE_RANK
from trtllm_planner.tensorrt_llm.versions import Version, parse_version

VERSIONS = ("0.20.0", "1.0.0", "1.1.0", "1.2.1", "1.3.0rc3")
ADAPTERS = {"legal": "/adapters/legal", "code": "/adapters/code"}


@dataclass(frozen=True)
class Sample:
    """A spec without its image, and the model that it is for."""

    spec: dict[str, Any]
    architecture: str = "LlamaForCausalLM"
    checkpoint: CheckpointFacts | None = None
    model: dict[str, Any] = field(default_factory=dict)
    """Facts of the model that are not those of an 8B Llama."""
    nodes: int = 1


_EVERYTHING: dict[str, Any] = {
    "runtime": "TensorRT",
    "trustRemoteCode": True,
    "parallelism": {"tensor": 4, "pipeline": 2},
    "limits": {
        "maxBatchSize": 64,
        "maxInputLength": 3072,
        "maxSequenceLength": 4096,
        "maxTokens": 4096,
        "maxBeamWidth": 4,
    },
    "convert": {
        "dataType": "bfloat16",
        "smoothQuant": {"alpha": "0.8", "perChannel": True, "perToken": True},
        "kvCache": "INT8",
        "calibration": {"claimName": "texts", "path": "cnn"},
        "calibrationSamples": 256,
        "parallelEmbedding": True,
        "embeddingShardingDimension": 1,
        "loadOnCpu": True,
        "workers": 2,
        "extraArgs": ["--calib_max_seq_length=1024", "--remove_duplicated_kv_heads"],
    },
    "build": {
        "workers": 2,
        "kvCacheType": "Paged",
        "tokensPerBlock": 64,
        "optTokens": 2048,
        "contextAttention": True,
        "pagedContextAttention": True,
        "fp8ContextAttention": False,
        "removeInputPadding": True,
        "fusedMlp": True,
        "multipleProfiles": False,
        "gatherGenerationLogits": True,
        "logitsType": "float32",
        "maxPromptEmbeddingTableSize": 576,
        "lora": {
            "maxRank": 32,
            "targetModules": ["attn_q", "attn_v"],
            "source": "HF",
            "directories": ["adapters/legal", "adapters/code"],
        },
        "speculativeDecoding": {"mode": "DraftTokensExternal", "maxDraftLength": 4},
        "plugins": {"gemm": "auto", "moe": "disable", "gpt_attention": "bfloat16"},
        "timingCache": True,
        "profilingVerbosity": "detailed",
        "stripPlan": True,
        "weightSparsity": True,
        "weightStreaming": True,
        "fastBuild": True,
        "monitorMemory": True,
        "extraArgs": ["--log_level=verbose", "--norm_quant_fusion", "enable"],
    },
    "serving": {
        "servedModelName": "chat",
        "maxBatchSize": 32,
        "maxTokens": 2048,
        "maxSequenceLength": 2048,
        "kvCacheFraction": "0.85",
        "lora": {
            "adapters": [
                {"name": "legal", "claimName": "adapters", "path": "legal"},
                {"name": "code", "claimName": "adapters", "path": "code"},
            ],
            "maxRank": 32,
            "maxLoaded": 4,
        },
        "options": {"kv_cache_config": {"host_cache_size": 1048576}, "iter_stats_max_iterations": 100},
        "extraArgs": ["--num_postprocess_workers=2"],
    },
}
SAMPLES: dict[str, Sample] = {
    "minimal-engine": Sample({"runtime": "TensorRT", "serving": {}}),
    "rich-engine": Sample(_EVERYTHING, nodes=2),
    "engine-of-experts": Sample(
        {
            "runtime": "TensorRT",
            "parallelism": {"tensor": 8, "moeTensor": 2, "moeExpert": 4},
            "limits": {"maxBatchSize": 16},
            "convert": {"weightOnly": "INT4"},
            "serving": {},
        },
        "MixtralForCausalLM",
    ),
    "engine-of-gptq": Sample(
        {"runtime": "TensorRT", "parallelism": {"tensor": 2}, "limits": {"maxBatchSize": 16}},
        "Qwen2ForCausalLM",
        CheckpointFacts(method="gptq", algorithm="W4A16_GPTQ", group_size=64),
    ),
    "engine-of-gemma": Sample(
        {
            "runtime": "TensorRT",
            "parallelism": {"tensor": 2},
            "limits": {"maxBatchSize": 16},
            "convert": {"dataType": "bfloat16", "weightOnly": "INT8"},
        },
        "Gemma2ForCausalLM",
    ),
    "engine-of-baichuan": Sample(
        {
            "runtime": "TensorRT",
            "limits": {"maxBatchSize": 16},
            "convert": {"smoothQuant": {"perToken": True}, "calibration": {"claimName": "texts"}},
        },
        "BaichuanForCausalLM",
        model={"vocabulary_size": 125696, "head_dim": 128},
    ),
    "engine-of-a-script-without-auto": Sample(
        {"runtime": "TensorRT", "parallelism": {"tensor": 2}, "limits": {"maxBatchSize": 16}},
        "OPTForCausalLM",
        model={"dtype": "float32"},
    ),
    "engine-of-mpt-with-a-cache-of-integers": Sample(
        {
            "runtime": "TensorRT",
            "limits": {"maxBatchSize": 16},
            "convert": {"kvCache": "INT8", "calibration": {"claimName": "texts"}},
        },
        "MPTForCausalLM",
    ),
    "engine-of-weights-quantized-before": Sample(
        {
            "runtime": "TensorRT",
            "limits": {"maxBatchSize": 16},
            "convert": {
                "extraArgs": [
                    "--use_weight_only",
                    "--weight_only_precision=int4_gptq",
                    "--per_group",
                    "--quant_ckpt_path=/source/gptq.safetensors",
                ]
            },
        }
    ),
    "engine-on-nodes-of-four": Sample(
        {
            "runtime": "TensorRT",
            "parallelism": {"tensor": 4, "pipeline": 2},
            "limits": {"maxBatchSize": 16},
            "serving": {},
        },
        nodes=2,
    ),
    "engine-in-parts-of-the-context": Sample(
        {"runtime": "TensorRT", "parallelism": {"tensor": 2, "context": 2}, "limits": {"maxBatchSize": 16}}
    ),
    "speculative-engine": Sample(
        {
            "runtime": "TensorRT",
            "limits": {"maxBatchSize": 16},
            "build": {
                "speculativeDecoding": {"mode": "LookaheadDecoding", "maxDraftLength": 63},
                "plugins": {"gemm": "auto"},
            },
            "serving": {},
        }
    ),
    "minimal-server": Sample({"runtime": "PyTorch", "serving": {}}),
    "rich-server": Sample(
        {
            "runtime": "PyTorch",
            "trustRemoteCode": True,
            "parallelism": {"tensor": 8, "pipeline": 2, "moeTensor": 2, "moeExpert": 4},
            "limits": {"maxBatchSize": 64, "maxTokens": 4096, "maxSequenceLength": 16384},
            "serving": {
                **_EVERYTHING["serving"],
                "chunkedPrefill": True,
                "reasoningParser": "deepseek-r1",
                "options": {"kv_cache_config": {"dtype": "fp8"}, "cuda_graph_config": {"enable_padding": True}},
            },
        },
        "Qwen3MoeForCausalLM",
        nodes=2,
    ),
    "server-with-tools": Sample(
        {"runtime": "PyTorch", "serving": {"reasoningParser": "qwen3", "toolParser": "qwen3"}}, "Qwen3ForCausalLM"
    ),
    "arguments-that-are-refused": Sample(
        {
            "runtime": "TensorRT",
            "limits": {"maxBatchSize": 16},
            "convert": {
                "weightOnly": "INT8",
                "loadByShard": True,
                "kvCache": "INT8",
                "extraArgs": [
                    "--use_weight_only",
                    "--tp_size=2",
                    "--calib_size",
                    "many",
                    "--vocab_szie=32000",
                    "--quant_ckpt_path=/source/awq.pt",
                    "--log_level verbose",
                ],
            },
            "build": {
                "plugins": {"gemm": "int32", "attention": "auto"},
                "speculativeDecoding": {"mode": "Eagle", "maxDraftLength": 63},
                "extraArgs": [
                    "--max_output_len=128",
                    "--use_custom_all_reduce=disable",
                    "--context_fmha=enable",
                    "--workers",
                    "2",
                    "--visualise_network=x",
                    "--auto_parallel=4",
                    "--cluster_key=H100-SXM",
                    "--log_level=loud",
                    "--log_level=info",
                    "--enable_debug_output=yes",
                    "stray",
                ],
            },
            "serving": {
                "reasoningParser": "deepseek-r2",
                "toolParser": "hermes",
                "options": {"tensor_parallel_size": 2, "model": "x", "enable_trie": True, "stream_interval": 0},
                "extraArgs": ["--host=0.0.0.0", "--kv_cache_dtype=fp8", "--max-model-len", "2048", "--chat_template=t"],
            },
        }
    ),
}


def facts_of(sample: Sample) -> ModelFacts:
    """As much as the argument makers and rules look at."""
    facts = {
        "architecture": sample.architecture,
        "model_type": "x",
        "parameters": 1,
        "bytes": 1,
        "dtype": "bfloat16",
        "layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "heads": 32,
        "key_value_heads": 8,
        "head_dim": 128,
        "vocabulary_size": 32000,
        "max_position_embeddings": 131072,
        "experts": 8 if "moeExpert" in sample.spec.get("parallelism", {}) else 0,
        "quantization": sample.checkpoint.method if sample.checkpoint else None,
        **sample.model,
    }
    return ModelFacts(**facts, details=Details(checkpoint=sample.checkpoint))


def spec_of(sample: Sample, version: str) -> EngineBuildSpec:
    """With NVIDIA's image of a version."""
    image = f"nvcr.io/nvidia/tensorrt-llm/release:{version}"
    return EngineBuildSpec.model_validate(
        {"image": image, "source": {"huggingFace": {"repo": "org/model"}}, **sample.spec}
    )


@dataclass(frozen=True)
class Commands:
    """Every command line of a spec, and what preflight has against them."""

    convert: tuple[str, ...] | None
    build: tuple[str, ...] | None
    serve: tuple[str, ...] | None
    options: dict[str, Any] | None
    options_flag: str
    refused: tuple[str, ...]
    family: str | None
    version: Version
    question: EngineQuestion


_JUDGED = (checkpoint_recognised, feature_combinations, options_of_version, extra_arguments, lora, moe, lengths)
RULES = tuple(rule for rule in ENGINE_RULES if rule.judge in _JUDGED)
"""Rules whose answers depend on command lines and their combinations."""


def commands(sample: Sample, version: str) -> Commands:
    """As Jobs and servers get them."""
    spec, facts = spec_of(sample, version), facts_of(sample)
    parsed = parse_version(version)
    assert parsed is not None
    layout = asked_layout(spec) or ONE_RANK
    question = engine_question(spec, facts, layout=layout)
    limits, serving = decided_limits(spec, facts), spec.serving
    family = convert_script(facts.architecture)
    engine = spec.runtime is Runtime.TENSORRT
    convert = None
    if needs_conversion(question) and family is not None:
        convert = convert_arguments(spec.convert or Convert(), layout, facts, sample.checkpoint, "/calibration")
    serve = options = None
    pod = layout.world // sample.nodes
    if serving is not None:
        serve = serve_arguments(
            serving,
            layout,
            serving_limits(serving, limits),
            spec.runtime,
            parsed,
            served_model_name=serving.served_model_name,
            trust_remote_code=spec.trust_remote_code,
            gpus_per_node=pod if sample.nodes > 1 else None,
        )
        logits = engine and (spec.build or Build()).gather_generation_logits
        options = serve_options(serving, layout, spec.runtime, parsed, ADAPTERS, generation_logits=logits)
    node_size = engine_node_size(layout.world, pod) if build_table(parsed).has("--gpus_per_node") else None
    verdicts = refusals(judge(RULES, question))
    return Commands(
        convert=convert,
        build=build_arguments(spec.build or Build(), limits, node_size=node_size) if engine else None,
        serve=serve,
        options=options,
        options_flag=options_flag(parsed),
        refused=tuple(clauses(verdict) for verdict in verdicts),
        family=family,
        version=parsed,
        question=question,
    )
