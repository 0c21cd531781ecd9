"""Random EngineBuild specs with their models, for holding what is accepted against upstream; `python` prints a count.

Values are drawn from what the schema takes, the right beside the wrong, so that rules have to tell them apart.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path += [str(Path(__file__).parent), str(Path(__file__).resolve().parents[4] / "hack" / "tensorrt_llm_double")]

from command_samples import VERSIONS, Sample, commands
from upstream_verdict import refused_by_upstream

from trtllm_api.facts import CheckpointFacts
from trtllm_planner.commands.convertflags import SCRIPTS
from trtllm_planner.commands.llm_args import TOP, known
from trtllm_planner.tensorrt_llm.architectures import ARCHITECTURES
from trtllm_planner.tensorrt_llm.versions import EngineRuntime, Version

_CHECKPOINTS = (
    *(None,) * 12,
    CheckpointFacts(method="gptq", algorithm="W4A16_GPTQ", group_size=128),
    CheckpointFacts(method="gptq", algorithm="W8A16_GPTQ", group_size=128),
    CheckpointFacts(method="awq", algorithm="W4A16_AWQ", group_size=64),
)
_MODELS: tuple[dict[str, Any], ...] = (
    {},
    {"hidden_size": 5120, "heads": 40, "key_value_heads": 40, "vocabulary_size": 125696},
    {"key_value_heads": 2, "vocabulary_size": 32003, "dtype": "float16"},
    {"key_value_heads": 32, "vocabulary_size": 64000, "dtype": "float32"},
)
_EXTRA = {
    "build": [
        "--log_level=trace",
        "--log_level=verbose",
        "--norm_quant_fusion=enable",
        "--gpus_per_node=8",
        "--dry_run",
        "--paged_kv_cache=disable",
        "--streamingllm=enable",
        "--pp_reduce_scatter=enable",
        "--visualize_network=x",
    ],
    "convert": [
        "--use_weight_only",
        "--weight_only_precision=int4_gptq",
        "--weight_only_precision=int4_awq",
        "--per_group",
        "--quant_ckpt_path=/source/x.safetensors",
        "--disable_weight_only_quant_plugin",
        "--use_fp8",
        "--use_nvfp4",
        "--use_qserve",
        "--calib_max_seq_length=8",
        "--log_level=info",
        "--group_size=64",
        "--logits_dtype=float16",
    ],
    "serving": [
        "--num_postprocess_workers=2",
        "--log_level=trace",
        "--custom_module_dirs=/",
        "--grpc",
        "--media_io_kwargs={}",
        "--no-telemetry",
        "--fail_fast_on_attention_window_too_large",
        "--cluster_size=2",
        "--chat_template=x y",
    ],
}
_SECTIONS: dict[str, tuple[tuple[str, Any], ...]] = {
    "kv_cache_config": (("dtype", "fp8"), ("dtype", "auto"), ("enable_block_reuse", True), ("max_attention_window", []),
                        ("max_attention_window", [4096]), ("free_gpu_memory_fraction", 2), ("tokens_per_block", 64),
                        ("host_cache_size", "much"), ("use_uvm", False), ("max_util_for_resume", 0.5), ("pages", 1)),
    "cuda_graph_config": (("batch_sizes", [1, 2]), ("max_batch_size", 2), ("max_batch_size", -1), ("padding", True)),
    "moe_config": (("backend", "TRTLLM"), ("backend", "triton"), ("max_num_tokens", 64), ("experts", 2)),
    "scheduler_config": (("capacity_scheduler_policy", "MAX_UTILIZATION"), ("capacity_scheduler_policy", "FAST")),
    "lora_config": (("max_lora_rank", 8), ("max_loras", 2), ("swap", True)),
    "speculative_config": (("decoding_type", "NGram"), ("decoding_type", "Eagle"), ("decoding_type", "Medusa"),
                           ("max_draft_len", 3), ("speculative_model", "/draft"), ("decoding_type", "Magic")),
    "torch_compile_config": (("enable_fullgraph", True), ("max_num_streams", 0), ("capture_num_tokens", [0])),
    "peft_cache_config": (("lora_prefetch_dir", "/x"), ("num_host_module_layer", 0)),
    "attention_dp_config": (("enable_balance", True), ("batching_wait_iters", -1), ("timeout_iters", 5)),
}  # fmt: skip
_SCALARS = (True, False, 0, 1, -1, 0.5, 3, "auto", "AUTO", "many", None, [1], {"a": 1})


def samples(seed: int, count: int) -> Iterator[Sample]:
    """Random samples; the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - the same for the same seed
    for _ in range(count):
        yield _sample(draw)


def _sample(draw: random.Random) -> Sample:
    engine = draw.random() < 0.6
    name = draw.choice(sorted(SCRIPTS) if engine else sorted(ARCHITECTURES[EngineRuntime.PYTORCH]))
    if engine and draw.random() < 0.3:
        name = draw.choice(("LlamaForCausalLM", "Qwen2ForCausalLM", "MixtralForCausalLM"))
    tensor, pipeline, context = draw.choice((1, 2, 4, 8)), draw.choice((1, 1, 2)), draw.choice((1, 1, 1, 2))
    parallelism = {"tensor": tensor, "pipeline": pipeline, "context": context}
    if draw.random() < 0.1:
        parallelism |= {"moeTensor": draw.choice((1, 2)), "moeExpert": draw.choice((1, 2))}
    limits = _some(draw, maxBatchSize=(1, 16), maxInputLength=(512,), maxTokens=(1024, 8192), maxBeamWidth=(1, 4))
    spec: dict[str, Any] = {
        "runtime": "TensorRT" if engine else "PyTorch",
        "parallelism": parallelism,
        "limits": limits,
    }
    if engine:
        spec |= {"convert": _convert(draw), "build": _build(draw)}
    if not engine or draw.random() < 0.7:
        spec["serving"] = _serving(draw)
    checkpoint = draw.choice(_CHECKPOINTS) if engine else None
    nodes = 2 if tensor * pipeline > 1 and draw.random() < 0.3 else 1
    return Sample(spec, name, checkpoint, draw.choice(_MODELS), nodes)


def _convert(draw: random.Random) -> dict[str, Any]:
    found = _some(
        draw,
        dataType=("float16", "bfloat16"),
        kvCache=("INT8", "FP8"),
        calibrationSamples=(64,),
        parallelEmbedding=(True,),
        embeddingShardingDimension=(0, 1),
        loadByShard=(True,),
        loadOnCpu=(True,),
        workers=(2,),
    )
    kind = draw.random()
    if kind < 0.25:
        found["weightOnly"] = draw.choice(("INT8", "INT4"))
    elif kind < 0.45:
        found["smoothQuant"] = _some(draw, alpha=("0.8",), perChannel=(True,), perToken=(True,))
    if draw.random() < 0.5:
        found["calibration"] = {"claimName": "texts"}
    return found | _extra(draw, "convert")


def _build(draw: random.Random) -> dict[str, Any]:
    found = _some(
        draw,
        kvCacheType=("Paged", "Continuous"),
        tokensPerBlock=(64,),
        optTokens=(128,),
        contextAttention=(True, False),
        pagedContextAttention=(True, False),
        fp8ContextAttention=(True, False),
        removeInputPadding=(True, False),
        fusedMlp=(True, False),
        multipleProfiles=(True, False),
        gatherContextLogits=(True,),
        gatherGenerationLogits=(True,),
        logitsType=("float16",),
        profilingVerbosity=("detailed",),
        fastBuild=(True,),
        weightStreaming=(True,),
    )
    if draw.random() < 0.2:
        modes = ("DraftTokensExternal", "LookaheadDecoding", "Medusa", "ExplicitDraftTokens", "Eagle")
        found["speculativeDecoding"] = {"mode": draw.choice(modes), "maxDraftLength": draw.choice((4, 300))}
    if draw.random() < 0.2:
        found["lora"] = {"maxRank": 8, "targetModules": [draw.choice(("attn_q", "attn_qkv", "lm_head"))]}
    if draw.random() < 0.3:
        plugins = ("gemm", "gemm_swiglu", "moe", "nccl", "low_latency_gemm", "attention", "gemm_allreduce")
        kinds = ("auto", "float16", "fp8", "disable")
        found["plugins"] = {draw.choice(plugins): draw.choice(kinds)}
    return found | _extra(draw, "build")


def _serving(draw: random.Random) -> dict[str, Any]:
    found = _some(
        draw,
        servedModelName=("chat", "org/model:1"),
        maxBatchSize=(8,),
        maxTokens=(512,),
        kvCacheFraction=("0.5",),
        chunkedPrefill=(True, False),
        reasoningParser=("deepseek-r1", "qwen3", "nano-v3", "other"),
        toolParser=("qwen3", "kimi_k2", "hermes"),
    )
    if draw.random() < 0.15:
        found["lora"] = {"maxRank": 8, "maxLoaded": 2}
    return found | _extra(draw, "serving") | ({"options": _options(draw)} if draw.random() < 0.6 else {})


def _options(draw: random.Random) -> dict[str, Any]:
    """Sections with right and wrong keys, and any field of any version with any value."""
    options: dict[str, Any] = {}
    for name in draw.sample(sorted(_SECTIONS), draw.choice((0, 0, 1, 2))):
        options[name] = dict(draw.sample(_SECTIONS[name], draw.choice((1, 1, 2))))
    fields = sorted({name for runtime in TOP for name in _fields(runtime)})
    for name in draw.sample(fields, draw.choice((0, 0, 0, 1))):
        options.setdefault(name, draw.choice(_SCALARS))
    return options


def _fields(runtime: Any) -> tuple[str, ...]:
    versions = (Version(1, 2, 1), Version(1, 3, 0, 3), Version(1, 0, 0), Version(0, 20, 0))
    return tuple(name for version in versions for name in known(version).fields(TOP[runtime]) or ())


def _extra(draw: random.Random, part: str) -> dict[str, Any]:
    chosen = draw.sample(_EXTRA[part], draw.choice((0, 0, 0, 0, 1, 2)))
    return {"extraArgs": chosen} if chosen else {}


def _some(draw: random.Random, **values: tuple[Any, ...]) -> dict[str, Any]:
    """Each of the fields with a small chance, so that many specs are accepted."""
    return {name: draw.choice(choices) for name, choices in values.items() if draw.random() < 0.07}


def held_against_upstream(seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Counts of what was tried and accepted, and upstream's refusals of what was accepted."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for sample in samples(seed, count):
        for version in VERSIONS:
            made = commands(sample, version)
            counts["tried"] += 1
            if made.refused:
                counts["refused here"] += 1
                counts["refused here, taken by upstream"] += not refused_by_upstream(made)
                continue
            counts["accepted"] += 1
            lists = [made.convert, made.build, made.serve, made.options]
            counts["argument lists and option files"] += sum(item is not None for item in lists)
            said = refused_by_upstream(made)
            wrong += [f"{version} {sample.architecture} {sample.spec}: {sentence}" for sentence in said]
    return counts, wrong


if __name__ == "__main__":
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    totals, refused = held_against_upstream(seed, count)
    for line in refused[:20]:
        print(line)
    print(f"seed {seed}: {dict(totals)}, {len(refused)} refused by upstream")
