"""Rules about command lines: ExtraArguments (what users add), FeatureCombinations (fields that a version lacks)."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import Build, Convert, Limits, LoraSource
from trtllm_api.enginebuild import Runtime, Serving
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.commands.build import build_arguments
from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.check import check_extra, check_made
from trtllm_planner.commands.convert import convert_arguments
from trtllm_planner.commands.convertflags import convert_script, convert_table
from trtllm_planner.commands.flags import OPERATOR
from trtllm_planner.commands.serve import OWNED_OPTIONS, serve_arguments
from trtllm_planner.commands.serveflags import serve_table
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.versions import EngineRuntime

_ANY = Limits()
"""Numbers that every version takes: limits are judged elsewhere."""


def extra_arguments(question: EngineQuestion) -> Iterator[Verdict]:
    """build.extraArgs, convert.extraArgs, serving.extraArgs and serving.options."""
    version = question.image.version
    if question.build is not None and question.build.extra_args:
        yield from check_extra(question.build.extra_args, build_table(version), "build.extraArgs")
    if question.convert is not None and question.convert.extra_args:
        family = convert_script(question.facts.architecture)
        if family is not None:
            own = question.convert.model_copy(update={"extra_args": ()})
            made = convert_arguments(own, question.layout, family, question.details.checkpoint)
            table = convert_table(family, version)
            yield from check_extra(question.convert.extra_args, table, "convert.extraArgs", made)
    serving = question.serving
    if serving is None:
        return
    if serving.extra_args:
        yield from check_extra(serving.extra_args, serve_table(version), "serving.extraArgs")
    for key in serving.options:
        owner = OWNED_OPTIONS.get(key)
        if owner is not None:
            yield refusal(
                Reason.INVALID_OPTIONS,
                f"serving.options: {key} is set by " + ("the operator" if owner == OPERATOR else f"spec.{owner}"),
                "leave it out" if owner == OPERATOR else f"set spec.{owner} instead",
            )


def options_of_version(question: EngineQuestion) -> Iterator[Verdict]:
    """Fields that the image's version, or the script of the model's family, has no flag for."""
    version = question.image.version
    if question.runtime is EngineRuntime.TENSORRT:
        if question.build is not None:
            own = question.build.model_copy(update={"extra_args": ()})
            yield from check_made(build_arguments(own, _ANY), build_table(version))
        if needs_conversion(question):
            yield from _conversion(question)
    if question.serving is not None:
        runtime = Runtime(question.runtime.value)
        own_serving: Serving = question.serving.model_copy(update={"extra_args": ()})
        made = serve_arguments(own_serving, question.layout, _ANY, runtime, version)
        yield from check_made(made, serve_table(version))


def needs_conversion(question: EngineQuestion) -> bool:
    """convert_checkpoint.py runs before trtllm-build."""
    engine = question.runtime is EngineRuntime.TENSORRT
    return engine and (question.artifact is None or not question.artifact.engine_format)


def _conversion(question: EngineQuestion) -> Iterator[Verdict]:
    facts = question.facts
    family = convert_script(facts.architecture)
    if family is None:
        if question.build is not None or question.convert is not None:
            yield refusal(
                Reason.ARCHITECTURE_NOT_SUPPORTED,
                f"no convert_checkpoint.py is known for {facts.architecture}",
                "use a QuantizedModel with checkpoint.format TensorRTLLM, or runtime PyTorch",
                {"architecture": facts.architecture},
            )
        return
    convert = (question.convert or Convert()).model_copy(update={"extra_args": ()})
    checkpoint = facts.details.checkpoint if question.artifact is None else None
    table = convert_table(family, question.image.version)
    yield from check_made(convert_arguments(convert, question.layout, family, checkpoint, "/calibration"), table)
    data = table.find("--calib_dataset")
    field = "smoothQuant" if convert.smooth_quant else "kvCache" if convert.kv_cache else None
    if field is not None and convert.calibration is None and data is not None:
        yield warning(
            Reason.OPTIONS_CONFLICT,
            f"convert.{field} calibrates with {data.default}, which the pod reads from the hub",
            "set convert.calibration to a data set on a claim",
        )


def lora(question: EngineQuestion) -> Iterator[Verdict]:
    """An engine takes adapters only if it was built for them, and it is built for modules that are told."""
    if question.runtime is not EngineRuntime.TENSORRT:
        return
    serving, built = question.serving, (question.build or Build()).lora
    if built is not None and built.source is LoraSource.HF and not (built.target_modules or built.directories):
        yield refusal(
            Reason.OPTIONS_CONFLICT,
            "build.lora says neither which modules adapters change nor where an adapter lies that tells",
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
