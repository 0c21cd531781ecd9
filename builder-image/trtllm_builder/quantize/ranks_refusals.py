"""Refuses layouts that a model cannot have, before calibration, and turns ModelOpt's assertions into causes."""

from __future__ import annotations

import re
from typing import Any

from trtllm_api.contract import ExitCode
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import GROUPED_METHODS, Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint.tensorrtllm import ARCHITECTURES
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.quantize.modelopt_adapter import not_supported

_PER_CHANNEL = frozenset({Method.INT8_SMOOTH_QUANT, Method.FP8_PER_CHANNEL_PER_TOKEN})
_GROUPS = (64, 128)
"""Group sizes for which TensorRT-LLM has kernels."""


def family_of(config: Any) -> str:
    """Transformers' name of the model's family. Raises BuilderFailure for a family that cannot be checked."""
    architecture = (config.architectures or ["an unnamed architecture"])[0]
    if architecture in ARCHITECTURES:
        return ARCHITECTURES[architecture]
    raise BuilderFailure(
        ExitCode.NOT_SUPPORTED,
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"This builder cannot check a TensorRT-LLM checkpoint of {architecture}.",
        f"Set spec.checkpoint.format to HuggingFace and use runtime PyTorch. TensorRTLLM supports "
        f"{', '.join(ARCHITECTURES)}.",
    )


def refuse_layout(plan: CandidatePlan, checkpoint: Checkpoint, config: Any) -> None:
    """Raise BuilderFailure for a layout that the configuration rules out."""
    family_of(config)
    tensor, pipeline = checkpoint.tensor, checkpoint.pipeline
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    shared = config.num_key_value_heads
    if plan.method is Method.NVFP4:
        raise _refused(
            "This builder cannot compute a TensorRT-LLM checkpoint in NVFP4, so it cannot measure one.",
            "Set spec.checkpoint.format to HuggingFace and use runtime PyTorch.",
        )
    if heads % tensor:
        raise _impossible(f"{heads} attention heads are not divisible by {tensor}", "tensor", _divisors(heads))
    if shared % tensor and tensor % shared:
        possible = [size for size in _divisors(heads) if shared % size == 0 or size % shared == 0]
        raise _impossible(f"{shared} key-value heads and {tensor} ranks do not divide each other", "tensor", possible)
    if layers < pipeline:
        raise _refused(
            f"The model cannot be divided as spec.checkpoint requests: {layers} layers, but {pipeline} stages.",
            f"Set spec.checkpoint.pipeline to {layers} or less.",
        )
    for what, size in (("intermediate size", config.intermediate_size), ("hidden size", config.hidden_size)):
        if size % tensor:
            possible = [number for number in _divisors(heads) if size % number == 0]
            raise _impossible(f"the {what} of {size} is not divisible by {tensor}", "tensor", possible)
    if plan.method in _PER_CHANNEL and tensor > shared:
        raise _copies(plan, shared, tensor, heads)
    if plan.method in GROUPED_METHODS and plan.group_size is not None:
        _refuse_groups(plan, plan.group_size, tensor, config)


def _refuse_groups(plan: CandidatePlan, group: int, tensor: int, config: Any) -> None:
    if group not in _GROUPS:
        raise _refused(
            f"TensorRT-LLM's kernels have groups of {_GROUPS[0]} or {_GROUPS[1]} columns, not of {group}.",
            f"Set spec.quantization.groupSize to {_GROUPS[0]} or {_GROUPS[1]}.",
        )
    if not plan.exclude_modules:
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        for columns in (config.intermediate_size, config.num_attention_heads * size):
            if columns // tensor % group:
                raise _groups(columns, tensor, group, config)


def export_failure(plan: CandidatePlan, checkpoint: Checkpoint, config: Any, error: Exception) -> BuilderFailure:
    """Failure of ModelOpt's export: its assertion as a cause with numbers."""
    reported = re.sub(r"\s+", " ", str(error))
    whole = re.search(r"input dimension (\d+) and block size (\d+)", reported)
    cut = re.search(r"Weight shape (\d+) of each TP tp=(\d+) is not divisible for block size (\d+)", reported)
    if cut:
        return _groups(int(cut[1]), int(cut[2]), int(cut[3]), config)
    if whole:
        return _refused(
            f"{whole[1]} input columns are not a multiple of the group size {whole[2]}.",
            "Set spec.quantization.groupSize to 64 or 128, so that it divides the columns of every rank.",
        )
    if "Duplicating KV heads" in reported:
        return _copies(plan, config.num_key_value_heads, checkpoint.tensor, config.num_attention_heads)
    if "different quantization formats" in reported or "formats of q,k,v must be the same" in reported:
        return _refused(
            "excludeModules names only some of the layers that TensorRT-LLM fuses: q_proj, k_proj and v_proj, or "
            "gate_proj and up_proj.",
            "Exclude all layers of a fused group, or none.",
        )
    return not_supported(plan, error)


def _groups(columns: int, tensor: int, group: int, config: Any) -> BuilderFailure:
    heads = _divisors(config.num_attention_heads)
    return _impossible(
        f"{columns} input columns on {tensor} ranks are {columns / tensor:g} per rank, not a multiple of the group "
        f"size {group}",
        "tensor",
        [size for size in heads if columns % size == 0 and columns // size % group == 0] or [1],
    )


def _copies(plan: CandidatePlan, shared: int, tensor: int, heads: int) -> BuilderFailure:
    return _impossible(
        f"ModelOpt cannot copy {shared} key-value heads to {tensor} ranks with {plan.method}'s scales per channel",
        "tensor",
        [size for size in _divisors(heads) if shared % size == 0],
    )


def _divisors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


def _impossible(cause: str, field: str, possible: list[int]) -> BuilderFailure:
    return _refused(
        f"The model cannot be divided as spec.checkpoint requests: {cause}.",
        f"Set spec.checkpoint.{field} to one of {', '.join(map(str, possible[:12]))}.",
    )


def _refused(message: str, remedy: str) -> BuilderFailure:
    return BuilderFailure(ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED, message, remedy)
