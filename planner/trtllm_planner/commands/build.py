"""Arguments of trtllm-build from spec.build and spec.limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtllm_api.buildoptions import Build, Limits, LoraBuild, PluginType, SpeculativeMode

SPECULATION: Mapping[SpeculativeMode, str] = {
    SpeculativeMode.DRAFT_TOKENS_EXTERNAL: "draft_tokens_external",
    SpeculativeMode.LOOKAHEAD: "lookahead_decoding",
    SpeculativeMode.MEDUSA: "medusa",
    SpeculativeMode.EXPLICIT_DRAFT_TOKENS: "explicit_draft_tokens",
    SpeculativeMode.EAGLE: "eagle",
}


USUAL_NODE = 8
"""mapping.gpus_per_node that the conversion writes, and the default of trtllm-build's flag."""


def build_arguments(
    build: Build, limits: Limits, lora_root: str = "/source", node_size: int | None = None
) -> tuple[str, ...]:
    """All arguments but --checkpoint_dir, --output_dir, --workers and the timing caches.

    limits: the decided ones, because an engine is built for what was planned. lora_root: mount point of the claim.
    node_size: for images that take --gpus_per_node, see engine_node_size. Flags that the image's version lacks are not
    left out here: preflight refuses them.
    """
    return (
        *_limits(limits),
        *_numbers({"--gpus_per_node": node_size}),
        *_features(build),
        *_lora(build, lora_root),
        *_plugins(build),
        *build.extra_args,
    )


def engine_node_size(world: int, gpus_per_pod: int) -> int | None:
    """mapping.gpus_per_node that the engine needs; None where the usual 8 does.

    A server takes each rank's GPU, and the number of GPUs that a pod must see, from this number of its engine. The
    usual one does for pods of 8 GPUs, and for one pod with fewer.
    """
    usual = gpus_per_pod == USUAL_NODE or (world <= gpus_per_pod <= USUAL_NODE)
    return None if usual else gpus_per_pod


def _limits(limits: Limits) -> Iterator[str]:
    numbers = {
        "--max_batch_size": limits.max_batch_size,
        "--max_input_len": limits.max_input_length,
        "--max_seq_len": limits.max_sequence_length,
        "--max_num_tokens": limits.max_tokens,
        "--max_beam_width": limits.max_beam_width if limits.max_beam_width > 1 else None,
    }
    yield from _numbers(numbers)


def _features(build: Build) -> Iterator[str]:
    yield from _numbers({"--opt_num_tokens": build.opt_tokens})
    if build.kv_cache_type is not None:
        yield from ("--kv_cache_type", build.kv_cache_type.lower())
    yield from _numbers(
        {
            "--tokens_per_block": build.tokens_per_block,
            "--max_prompt_embedding_table_size": build.max_prompt_embedding_table_size,
        }
    )
    features = {
        "--context_fmha": build.context_attention,
        "--use_paged_context_fmha": build.paged_context_attention,
        "--use_fp8_context_fmha": build.fp8_context_attention,
        "--remove_input_padding": build.remove_input_padding,
        "--use_fused_mlp": build.fused_mlp,
        "--multiple_profiles": build.multiple_profiles,
    }
    for name, on in features.items():
        if on is not None:
            yield from (name, "enable" if on else "disable")
    if build.logits_type is not None:
        yield from ("--logits_dtype", build.logits_type)
    if build.profiling_verbosity is not None:
        yield from ("--profiling_verbosity", build.profiling_verbosity)
    switches = {
        "--gather_context_logits": build.gather_context_logits,
        "--gather_generation_logits": build.gather_generation_logits,
        "--strip_plan": build.strip_plan,
        "--weight_sparsity": build.weight_sparsity,
        "--weight_streaming": build.weight_streaming,
        "--fast_build": build.fast_build,
        "--monitor_memory": build.monitor_memory,
    }
    yield from (name for name, on in switches.items() if on)
    draft = build.speculative_decoding
    if draft is not None:
        yield from ("--speculative_decoding_mode", SPECULATION[draft.mode])
        yield from ("--max_draft_len", str(draft.max_draft_length))


def _lora(build: Build, root: str) -> Iterator[str]:
    lora: LoraBuild | None = build.lora
    if lora is None:
        return
    yield from ("--lora_ckpt_source", lora.source.lower())
    yield from ("--max_lora_rank", str(lora.max_rank))
    if lora.target_modules:
        yield from ("--lora_target_modules", *lora.target_modules)
    if lora.directories:
        yield from ("--lora_dir", *(f"{root}/{directory}".rstrip("/") for directory in lora.directories))


def _plugins(build: Build) -> Iterator[str]:
    plugins = dict(build.plugins)
    if build.lora is not None:
        plugins.setdefault("lora", PluginType.AUTO)
    for name, kind in sorted(plugins.items()):
        yield from (f"--{name}_plugin", kind)


def _numbers(numbers: Mapping[str, int | None]) -> Iterator[str]:
    for name, number in numbers.items():
        if number is not None:
            yield from (name, str(number))
