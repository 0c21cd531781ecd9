"""Rules about command lines: extraArgs of users, fields that a version lacks, and LoRA adapters."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import Build, Limits, LoraSource
from trtllm_api.enginebuild import Runtime, Serving
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.commands.build import build_arguments
from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.check import check_extra, check_made
from trtllm_planner.commands.flags import parse
from trtllm_planner.commands.serve import serve_arguments
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.commands.server_options import judge_options
from trtllm_planner.question import EngineQuestion
from trtllm_planner.rules.conversion import conversion, extra_of_conversion, needs_conversion
from trtllm_planner.tensorrt_llm.versions import EngineRuntime

_SCATTER, _SCATTERED = "--pp_reduce_scatter", "MixtralForCausalLM"
_ANY = Limits()
"""Limits that every version accepts, because other rules judge the limits of the spec."""


def extra_arguments(question: EngineQuestion) -> Iterator[Verdict]:
    """Judge build.extraArgs, convert.extraArgs, serving.extraArgs and serving.options."""
    version = question.image.version
    if question.build is not None and question.build.extra_args:
        table = build_table(version)
        yield from check_extra(question.build.extra_args, table, "build.extraArgs")
        given = {item.name: item.values for item in parse(question.build.extra_args, table)}
        if given.get(_SCATTER) == ("enable",) and question.facts.architecture != _SCATTERED:
            yield refusal(
                Reason.INVALID_OPTIONS,
                f"build.extraArgs: {_SCATTER} is for {_SCATTERED} only",
                "leave it out",
                {"version": table.version},
            )
    if question.convert is not None and question.convert.extra_args:
        yield from extra_of_conversion(question, question.convert)
    serving = question.serving
    if serving is None:
        return
    if serving.extra_args:
        yield from check_extra(serving.extra_args, serve_table(version), "serving.extraArgs")
    yield from judge_options(serving.options, Runtime(question.runtime.value), version)


def options_of_version(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse fields for which the image's version, or the script of the model's family, has no flag or value."""
    version = question.image.version
    if question.runtime is EngineRuntime.TENSORRT:
        if question.build is not None:
            own = question.build.model_copy(update={"extra_args": ()})
            yield from check_made(build_arguments(own, _ANY), build_table(version))
        if needs_conversion(question):
            yield from conversion(question)
    if question.serving is not None:
        runtime = Runtime(question.runtime.value)
        own_serving: Serving = question.serving.model_copy(update={"extra_args": ()})
        made = serve_arguments(own_serving, question.layout, _ANY, runtime, version)
        yield from check_made(made, serve_table(version))


def lora(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse adapters that the engine is not built for, and a build.lora that names neither modules nor adapters."""
    if question.runtime is not EngineRuntime.TENSORRT:
        return
    serving, built = question.serving, (question.build or Build()).lora
    if built is not None and built.source is LoraSource.HF and not (built.target_modules or built.directories):
        yield refusal(
            Reason.OPTIONS_CONFLICT,
            "build.lora names neither the modules that adapters change nor an adapter to read them from",
            "set build.lora.targetModules, such as [attn_q, attn_k, attn_v], or build.lora.directories",
        )
    if serving is None or serving.lora is None:
        return
    if built is None:
        yield refusal(
            Reason.OPTIONS_CONFLICT,
            "serving.lora needs an engine that was built for adapters, and build.lora is not set",
            "set build.lora, or use runtime PyTorch",
        )
    elif serving.lora.max_rank > built.max_rank:
        yield refusal(
            Reason.OPTIONS_CONFLICT,
            f"serving.lora.maxRank {serving.lora.max_rank} exceeds the engine's {built.max_rank}",
            f"use {built.max_rank} or less, or build with a larger build.lora.maxRank",
        )
