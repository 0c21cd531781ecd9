"""Arguments of convert_checkpoint.py from spec.convert and the model; for ConvertRequest, preflight and golden tests.

The scripts of the families do not agree: Gemma's has one number of ranks and wants to be told that it reads a Hugging
Face checkpoint. A checkpoint of AutoAWQ is recognised by the scripts themselves; one of GPTQ is, too, but only where
transformers can read its configuration, so that its precision and groups are named.
"""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.buildoptions import Convert, DataType, WeightOnly
from trtllm_api.facts import CheckpointFacts
from trtllm_api.quantization import KVCache
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
"""Switches, and values of --weight_only_precision."""
_GPTQ = {Algorithm.W4A16_GPTQ.value: "int4_gptq", Algorithm.W8A16_GPTQ.value: "int8_gptq"}


def convert_arguments(
    convert: Convert,
    layout: Layout,
    family: str,
    checkpoint: CheckpointFacts | None = None,
    calibration_path: str | None = None,
) -> tuple[str, ...]:
    """All but --model_dir and --output_dir; calibration_path: where spec.convert.calibration is mounted in the pod.

    What the family's script or the image's version does not know is refused by preflight, not left out here.
    """
    return (
        *_parallelism(layout, family),
        *_weights(convert, checkpoint),
        *_calibration(convert, calibration_path),
        *_loading(convert),
        *convert.extra_args,
    )


def converted_algorithm(convert: Convert) -> Algorithm:
    """The format that the conversion gives to a model that is not quantized."""
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
        if layout.pipeline > 1:  # refused by preflight
            yield from ("--pp_size", str(layout.pipeline))
    else:
        yield from ("--tp_size", str(layout.tensor), "--pp_size", str(layout.pipeline))
    if layout.context > 1:
        yield from ("--cp_size", str(layout.context))
    if layout.moe_expert > 1:
        yield from ("--moe_tp_size", str(layout.moe_tensor), "--moe_ep_size", str(layout.moe_expert))


def _weights(convert: Convert, checkpoint: CheckpointFacts | None) -> Iterator[str]:
    if convert.data_type is not DataType.AUTO:
        yield from ("--dtype", convert.data_type)
    if convert.weight_only is not None:
        yield from ("--use_weight_only", "--weight_only_precision", convert.weight_only.lower())
    elif checkpoint is not None and checkpoint.method == "gptq" and checkpoint.algorithm in _GPTQ:
        yield from ("--use_weight_only", "--weight_only_precision", _GPTQ[checkpoint.algorithm])
        yield from ("--per_group", "--group_size", str(checkpoint.group_size or 128))
    smooth = convert.smooth_quant
    if smooth is not None:
        yield from ("--smoothquant", smooth.alpha)
        if smooth.per_channel:
            yield "--per_channel"
        if smooth.per_token:
            yield "--per_token"
    if convert.kv_cache is not None:
        yield "--int8_kv_cache" if convert.kv_cache is KVCache.INT8 else "--fp8_kv_cache"


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
