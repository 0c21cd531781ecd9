"""Arguments of convert_checkpoint.py from spec.convert and the model's facts.

The scripts of the families differ. Gemma's has one number of ranks, its own spellings, and needs the type of the
checkpoint. Baichuan's needs the model's version: the default's attention would be wrong for others. Scripts whose
--dtype has no "auto" would silently convert to float16, so the model's own type is named. AutoAWQ checkpoints are
recognised by the scripts; for GPTQ checkpoints, precision and group size are named.
"""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import Convert, DataType, WeightOnly
from trtllm_api.facts import CheckpointFacts, ModelFacts
from trtllm_api.quantization import KVCache
from trtllm_planner.commands.convertflags import convert_script, convert_table
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm

_BY_FLAG = {
    "--use_fp8": Algorithm.FP8,
    "--use_fp8_rowwise": Algorithm.FP8_ROWWISE,
    "--use_nvfp4": Algorithm.NVFP4,
    "int8": Algorithm.W8A16,
    "int4": Algorithm.W4A16,
    "int8_gptq": Algorithm.W8A16_GPTQ,
    "int4_gptq": Algorithm.W4A16_GPTQ,
    "int4_awq": Algorithm.W4A16_AWQ,
}
"""Algorithms by switch, and by value of --weight_only_precision."""
_BAICHUAN_13B = 5120
"""Hidden size of the 13B models; the 7B models have 4096."""
_BAICHUAN_1 = 64000
"""Size of the first version's vocabulary; the second has 125696 words."""


def convert_arguments(
    convert: Convert,
    layout: Layout,
    facts: ModelFacts,
    checkpoint: CheckpointFacts | None = None,
    calibration_path: str | None = None,
) -> tuple[str, ...]:
    """All arguments but the model's and the output's directory, for an architecture that has a script.

    checkpoint: quantization that the model already has. calibration_path: spec.convert.calibration in the pod. Flags
    that the family's script or the image's version lacks are not left out here: preflight refuses them.
    """
    family = convert_script(facts.architecture) or ""
    return (
        *_parallelism(layout, family),
        *_model(convert, facts, family),
        *_weights(convert, checkpoint, family),
        *_calibration(convert, calibration_path),
        *_loading(convert),
        *convert.extra_args,
    )


def converted_algorithm(convert: Convert) -> Algorithm:
    """Format that the conversion gives to the weights of an unquantized model."""
    if convert.smooth_quant is not None:
        return Algorithm.SMOOTH_QUANT
    if convert.weight_only is not None:
        return Algorithm.W8A16 if convert.weight_only is WeightOnly.INT8 else Algorithm.W4A16
    words = [part for word in convert.extra_args for part in word.split("=")]
    found = next((_BY_FLAG[word] for word in words if word in _BY_FLAG), Algorithm.NONE)
    return Algorithm.W8A16 if found is Algorithm.NONE and "--use_weight_only" in words else found


def _parallelism(layout: Layout, family: str) -> Iterator[str]:
    if family == "gemma":
        yield from ("--ckpt-type", "hf", "--world-size", str(layout.tensor))
    else:
        yield from ("--tp_size", str(layout.tensor), "--pp_size", str(layout.pipeline))
    if layout.context > 1:
        yield from ("--cp_size", str(layout.context))
    if layout.moe_expert > 1:
        yield from ("--moe_tp_size", str(layout.moe_tensor), "--moe_ep_size", str(layout.moe_expert))


def _model(convert: Convert, facts: ModelFacts, family: str) -> Iterator[str]:
    if family == "baichuan":
        version = "v1" if facts.vocabulary_size <= _BAICHUAN_1 else "v2"
        yield from ("--model_version", f"{version}_{'13b' if facts.hidden_size >= _BAICHUAN_13B else '7b'}")
    data_type = convert.data_type
    if data_type is DataType.AUTO:
        flag = convert_table(family, None).find("--dtype") if family else None
        if flag is None or DataType.AUTO in flag.choices:
            return
        # as "auto" does in the scripts that have it
        own = facts.dtype if facts.dtype in set(DataType) else DataType.FLOAT16
        data_type = DataType.FLOAT16 if own == DataType.FLOAT32 else DataType(own)
    yield from ("--dtype", data_type)


def _weights(convert: Convert, checkpoint: CheckpointFacts | None, family: str) -> Iterator[str]:
    gptq = checkpoint is not None and checkpoint.method == "gptq" and checkpoint.algorithm == Algorithm.W4A16_GPTQ
    if convert.weight_only is not None:
        precision = convert.weight_only.lower()
        if family == "gemma":
            yield from ("--use-weight-only-with-precision", precision)
        else:
            yield from ("--use_weight_only", "--weight_only_precision", precision)
    elif checkpoint is not None and gptq:
        yield from ("--use_weight_only", "--weight_only_precision", "int4_gptq")
        yield from ("--per_group", "--group_size", str(checkpoint.group_size or 128))
    smooth = convert.smooth_quant
    if smooth is not None:
        yield from ("--smoothquant", smooth.alpha)
        if smooth.per_channel:
            yield "--per_channel"
        if smooth.per_token:
            yield "--per_token"
    if convert.kv_cache is KVCache.INT8:
        yield "--calibrate_kv_cache" if family == "mpt" else "--int8_kv_cache"
    elif convert.kv_cache is not None:
        yield "--fp8_kv_cache"


def _calibration(convert: Convert, path: str | None) -> Iterator[str]:
    if convert.calibration is not None and path is not None:
        yield from ("--calib_dataset", path)
    if convert.calibration_samples is not None:
        yield from ("--calib_size", str(convert.calibration_samples))


def _loading(convert: Convert) -> Iterator[str]:
    if convert.parallel_embedding:
        yield "--use_parallel_embedding"
    if convert.embedding_sharding_dimension is not None:
        yield from ("--embedding_sharding_dim", str(convert.embedding_sharding_dimension))
    if convert.load_by_shard:
        yield "--load_by_shard"
    if convert.load_on_cpu:
        yield "--load_model_on_cpu"
    if convert.workers is not None:
        yield from ("--workers", str(convert.workers))
