"""Adapter for ModelOpt: its configuration schema, its entry points and its messages.

The schema (a list of entries since 0.47), the place of the export module and the supported versions of transformers
change between releases, so no other module of quantization uses them. Importing modelopt takes seconds, so each
function imports it.
"""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from trtllm_api.contract import ExitCode
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import GROUPED_METHODS, WEIGHT_ONLY_METHODS, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint.ranks import stages
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Step

_CONFIGS = {
    Method.FP8: "FP8_DEFAULT_CFG",
    Method.FP8_PER_CHANNEL_PER_TOKEN: "FP8_PER_CHANNEL_PER_TOKEN_CFG",
    Method.NVFP4: "NVFP4_DEFAULT_CFG",
    Method.INT8_SMOOTH_QUANT: "INT8_SMOOTHQUANT_CFG",
    Method.INT8_WEIGHT_ONLY: "INT8_WEIGHT_ONLY_CFG",
    Method.INT4_WEIGHT_ONLY: "INT4_BLOCKWISE_WEIGHT_ONLY_CFG",
    Method.INT4_AWQ: "INT4_AWQ_CFG",
    Method.W4A8_AWQ: "W4A8_AWQ_BETA_CFG",
}
_SCORE_BATCHES = 16
_LOSS_SCALE = 1024.0
"""Factor of the loss; scores grow with its square. The search's solver ignores differences below 1e-7, which robust
models have."""
_LAYER = re.compile(r"(?P<stem>.*\.layers)\.(?P<number>\d+)\.(?P<rest>.+)")
_FUSED = {
    **dict.fromkeys(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.qkv"),
    **dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), "mlp.gate_up"),
}
"""Layers that engines fuse, so that they must share a format."""

logging.getLogger("modelopt").setLevel(logging.ERROR)


def needs_calibration(plan: CandidatePlan) -> bool:
    """True if the plan needs calibration data: weight-only scales do not, but a quantized KV cache does.

    Fallback Mixed takes the method of an earlier candidate, whose plan decides.
    """
    return plan.method not in {*WEIGHT_ONLY_METHODS, Method.MIXED} or plan.kv_cache is not None


def quantize(
    model: Any,
    plan: CandidatePlan,
    batches: Sequence[torch.Tensor],
    step: Step,
    checkpoint: Checkpoint = Checkpoint(),  # noqa: B008 - frozen
) -> Any:
    """Quantize the model in place, or by search for Auto, and return it with simulated quantization.

    `batches` are input_ids [batch, length] on the model's device; empty if `needs_calibration` is false.
    `checkpoint` is the export format; some formats cannot hold all quantizations.
    Raises BuilderFailure QuantizationNotSupported with ModelOpt's message.
    """
    import modelopt.torch.quantization as mtq

    if plan.kv_cache is KVCache.INT8 and checkpoint.format is not CheckpointFormat.TENSORRT_LLM:
        raise not_supported(plan, ValueError(f"its checkpoints cannot hold the scales of a {plan.kv_cache} KV cache"))
    if plan.method is Method.NONE:
        return model

    def forward_loop(under_calibration: Any) -> None:
        with torch.no_grad():
            for batch in batches:
                under_calibration(batch)
                step.advance(1)

    try:
        with quiet():
            if plan.method is Method.AUTO:
                found = _search(model, plan, batches, step, checkpoint.pipeline)
                return found if plan.kv_cache is None else _add_cache(found, plan.kv_cache, forward_loop)
            return mtq.quantize(model, _configuration(plan), forward_loop if batches else None)
    except (AssertionError, ValueError, RuntimeError, NotImplementedError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise not_supported(plan, error) from error


def export(model: Any, plan: CandidatePlan, directory: Path, dtype: torch.dtype) -> None:
    """Write the unified Hugging Face checkpoint: packed weights, scales, config.json, hf_quant_config.json."""
    from modelopt.torch.export import export_hf_checkpoint

    try:
        with quiet(), torch.inference_mode(False):
            export_hf_checkpoint(model, dtype=dtype, export_dir=directory)
    except (AssertionError, ValueError, RuntimeError, NotImplementedError) as error:
        raise not_supported(plan, error) from error


def versions() -> dict[str, str]:
    """Versions of the libraries that can change the artifact's bytes."""
    from importlib.metadata import version

    return {name: version(name) for name in ("nvidia-modelopt", "torch", "transformers")}


def _configuration(plan: CandidatePlan) -> dict[str, Any]:
    import modelopt.torch.quantization as mtq

    configuration: dict[str, Any] = copy.deepcopy(getattr(mtq, _CONFIGS[plan.method]))
    entries: list[dict[str, Any]] = list(configuration["quant_cfg"])
    if plan.group_size is not None and plan.method in GROUPED_METHODS:
        _set_group_size(entries, plan.group_size)
    if plan.smooth_quant_alpha is not None:
        configuration["algorithm"] = {"method": "smoothquant", "alpha": float(plan.smooth_quant_alpha)}
    if plan.kv_cache is not None:
        entries += _cache_entries(plan.kv_cache)
    entries += [{"quantizer_name": name, "enable": False} for name in _below(plan.exclude_modules)]
    return {**configuration, "quant_cfg": entries}


def _cache_entries(cache: KVCache) -> list[dict[str, Any]]:
    import modelopt.torch.quantization as mtq

    entries: list[dict[str, Any]] = copy.deepcopy(list(mtq.FP8_KV_CFG["quant_cfg"]))
    if cache is KVCache.INT8:
        for entry in entries:
            entry["cfg"] = {**entry["cfg"], "num_bits": 8}
    return entries


def _set_group_size(entries: list[dict[str, Any]], size: int) -> None:
    for entry in entries:
        parts = entry.get("cfg")
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, dict) and part.get("num_bits") == 4 and "block_sizes" in part:
                part["block_sizes"][-1] = size


def _named(patterns: Sequence[str]) -> list[str]:
    """Patterns for the modules of these names, at any depth."""
    return [f"{start}{pattern}" for pattern in patterns for start in ("", "*.")]


def _below(patterns: Sequence[str]) -> list[str]:
    """Patterns for everything inside modules of these names, at any depth: `layers.1` does not match `layers.10`."""
    return [f"{name}.*" for name in _named(patterns)]


def _search(model: Any, plan: CandidatePlan, batches: Sequence[torch.Tensor], step: Step, pipeline: int) -> Any:
    import modelopt.torch.quantization as mtq

    if plan.auto is None:
        raise ValueError("Auto without auto")
    formats = [
        _configuration(plan.model_copy(update={"method": method, "auto": None, "kv_cache": None}))
        for method in plan.auto.candidates
    ]

    def forward(searched: Any, batch: dict[str, torch.Tensor]) -> Any:
        step.advance(1)
        return searched(**batch)

    with _alike_in_stages(model.config.num_hidden_layers, pipeline):
        found, _ = mtq.auto_quantize(
            model,
            constraints={"effective_bits": float(plan.auto.effective_bits)},
            quantization_formats=formats,
            data_loader=[{"input_ids": batch, "labels": batch} for batch in batches],
            forward_step=forward,
            loss_func=lambda output, _: output.loss * _LOSS_SCALE,
            num_calib_steps=len(batches),
            num_score_steps=min(len(batches), _SCORE_BATCHES),
            disabled_layers=["*lm_head*", *_named(plan.exclude_modules), *_below(plan.exclude_modules)],
        )
    return found


@contextmanager
def _alike_in_stages(layers: int, pipeline: int) -> Iterator[None]:
    """Use one recipe for layers with the same number in their stages: a TensorRT-LLM checkpoint gives them one name."""
    from modelopt.torch.quantization.algorithms import AutoQuantizeGradientSearcher as Searcher

    numbers = [number for stage in stages(layers, pipeline) for number in range(len(stage))]

    def group(_: Any, name: str) -> str | None:
        found = _LAYER.fullmatch(name)
        if found is None or pipeline == 1:
            return None
        return f"{found['stem']}.{numbers[int(found['number'])]}.{_FUSED.get(found['rest'], found['rest'])}"

    rules = Searcher.quant_grouping_rules
    Searcher.quant_grouping_rules = [group, *rules]
    try:
        yield
    finally:
        Searcher.quant_grouping_rules = rules


def _add_cache(model: Any, cache: KVCache, forward_loop: Callable[[Any], None]) -> Any:
    """Calibrate the scales of the KV cache after the search, which covers weights and inputs only."""
    import modelopt.torch.quantization as mtq
    from modelopt.torch.quantization.conversion import set_quantizer_by_cfg_context

    entries = _cache_entries(cache)
    mtq.set_quantizer_by_cfg(model, entries)
    with set_quantizer_by_cfg_context(model, [{"quantizer_name": "*", "enable": False}, *entries]):
        return mtq.calibrate(model, "max", forward_loop)


def not_supported(plan: CandidatePlan, error: Exception) -> BuilderFailure:
    """Failure with ModelOpt's message."""
    reported = re.sub(r"\s+", " ", str(error)).strip()[:300] or type(error).__name__
    least = re.search(r"(?:minimum achievable effective bits is|whose num_bits =) ([0-9]+(?:\.[0-9]+)?)", reported)
    if least and plan.auto:
        message = (
            f"spec.quantization.auto.effectiveBits {plan.auto.effective_bits} cannot be reached with "
            f"{', '.join(plan.auto.candidates)} in this model: the minimum is {least[1]}."
        )
        remedy = f"Set spec.quantization.auto.effectiveBits to {least[1]} or more, or add a candidate with fewer bits."
    else:
        message = f"ModelOpt cannot quantize this model to {plan.method}: {reported}"
        remedy = "Choose another method or group size in spec.quantization, or add the named modules to excludeModules."
    return BuilderFailure(ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED, message, remedy)


@contextmanager
def quiet() -> Iterator[None]:
    """Redirect ModelOpt's output from stdout, where the operator reads progress."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield
