"""Rules about convert_checkpoint.py: families that have a script, and options that the script refuses after parsing."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import Convert
from trtllm_api.quantization import KVCache
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.commands.check import check_extra, check_made
from trtllm_planner.commands.convert import convert_arguments
from trtllm_planner.commands.convertflags import (
    ONE_STAGE,
    WHOLE_VOCABULARY,
    convert_script,
    convert_table,
)
from trtllm_planner.commands.flags import FlagTable, parse
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.versions import EngineRuntime

_PRECISION = "--weight_only_precision"
_NO_SCALES = frozenset({"int4_awq", "int8_gptq"})
"""Precisions for which no script finds scales."""
_PACKED = "int4_gptq"
_QUANTIZED = "--quant_ckpt_path"
_NAMED_WEIGHTS = frozenset({"llama", "baichuan"})
"""Families whose scripts refuse --quant_ckpt_path for weights that GPTQ has not quantized."""


def _refusal(message: str, remedy: str) -> Verdict:
    return refusal(Reason.OPTIONS_CONFLICT, message, remedy)


def needs_conversion(question: EngineQuestion) -> bool:
    """Whether convert_checkpoint.py runs before trtllm-build."""
    engine = question.runtime is EngineRuntime.TENSORRT
    return engine and (question.artifact is None or not question.artifact.engine_format)


def conversion(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse what the model's script cannot convert."""
    facts, version = question.facts, question.image.version
    family = convert_script(facts.architecture)
    if family is None:
        yield refusal(
            Reason.ARCHITECTURE_NOT_SUPPORTED,
            f"TensorRT-LLM has no convert_checkpoint.py for {facts.architecture}",
            "use a QuantizedModel with checkpoint.format TensorRTLLM, or runtime PyTorch",
            {"architecture": facts.architecture},
        )
        return
    convert = (question.convert or Convert()).model_copy(update={"extra_args": ()})
    checkpoint = facts.details.checkpoint if question.artifact is None else None
    table = convert_table(family, version)
    yield from check_made(convert_arguments(convert, question.layout, facts, checkpoint, "/calibration"), table)
    yield from _division(question, convert, family)
    yield from _calibration(question, convert, table)


def extra_of_conversion(question: EngineQuestion, convert: Convert) -> Iterator[Verdict]:
    """Judge convert.extraArgs."""
    facts = question.facts
    family = convert_script(facts.architecture)
    if family is None:
        return
    own = convert.model_copy(update={"extra_args": ()})
    made = convert_arguments(own, question.layout, facts, question.details.checkpoint)
    table = convert_table(family, question.image.version)
    yield from check_extra(convert.extra_args, table, "convert.extraArgs", made)
    given = {item.name: item.values for item in parse((*made, *convert.extra_args), table)}
    precision = next(iter(given.get(_PRECISION, ())), None)
    if precision in _NO_SCALES:
        yield _extra(
            f"with {_PRECISION}={precision} convert_checkpoint.py has no scales for the weights",
            "leave it out for an AutoAWQ checkpoint, which the script recognises; otherwise use a QuantizedModel of "
            "method INT4AWQ with checkpoint.format TensorRTLLM",
        )
    packed, path = precision == _PACKED, _QUANTIZED in given
    if path and not packed and "--use_qserve" not in given and family in _NAMED_WEIGHTS:
        yield _extra(
            f"{_QUANTIZED} is only for weights that GPTQ has quantized",
            f"add --use_weight_only and {_PRECISION}={_PACKED}, or leave it out",
        )
    if packed and not path and family == "baichuan":
        yield _extra(f"{_PRECISION}={_PACKED} needs {_QUANTIZED}", f"add {_QUANTIZED}, or use convert.weightOnly")
    if "--disable_weight_only_quant_plugin" in given and question.build is not None and question.build.fast_build:
        yield _extra(
            "with --disable_weight_only_quant_plugin trtllm-build refuses build.fastBuild", "leave one of them out"
        )


def _extra(message: str, remedy: str) -> Verdict:
    return refusal(Reason.INVALID_OPTIONS, f"convert.extraArgs: {message}", remedy)


def _division(question: EngineQuestion, convert: Convert, family: str) -> Iterator[Verdict]:
    """Refuse parallelism that the family's script does not support."""
    layout, facts = question.layout, question.facts
    script = f"convert_checkpoint.py of {family}"
    if layout.pipeline > 1 and family in ONE_STAGE:
        yield _refusal(f"{script} refuses pipeline parallelism, and PP is {layout.pipeline}", "use tensor parallelism")
    along_vocabulary = convert.parallel_embedding and not convert.embedding_sharding_dimension
    if along_vocabulary and family in WHOLE_VOCABULARY and facts.vocabulary_size % layout.tensor:
        yield _refusal(
            f"{script} cannot cut a vocabulary of {facts.vocabulary_size} into TP {layout.tensor} parts",
            "set convert.embeddingShardingDimension 1, or leave convert.parallelEmbedding out",
        )
    if family == "internlm2" and facts.key_value_heads % layout.tensor:
        yield _refusal(
            f"{script} cannot distribute {facts.key_value_heads} key/value heads over TP {layout.tensor}",
            "use a tensor parallelism that divides them",
        )


def _calibration(question: EngineQuestion, convert: Convert, table: FlagTable) -> Iterator[Verdict]:
    """Refuse options that a calibrated conversion does not support; warn if its data come from the hub."""
    field = "smoothQuant" if convert.smooth_quant else "kvCache" if convert.kv_cache is KVCache.INT8 else None
    if field is None:
        return
    if convert.load_by_shard:
        yield _refusal(
            f"convert.{field} calibrates the whole model, which convert.loadByShard does not load",
            "leave convert.loadByShard out",
        )
    if question.layout.context > 1:
        yield _refusal(
            f"a conversion that calibrates (convert.{field}) ignores context parallelism and then fails, and CP is "
            f"{question.layout.context}",
            "use CP 1, or quantize with a QuantizedModel of checkpoint.format TensorRTLLM",
        )
    data = table.find("--calib_dataset")
    if convert.calibration is None and data is not None:
        yield warning(
            Reason.OPTIONS_CONFLICT,
            f"convert.{field} calibrates with {data.default}, which the pod reads from the hub",
            "set convert.calibration to a data set on a claim",
        )
