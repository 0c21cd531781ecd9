"""Exports a TensorRT-LLM checkpoint with ModelOpt: one file per rank.

ModelOpt divides tensors, but it supports only stages of equal size, and names a mix of formats by its last stage. So
this module makes the stages from an export of one stage, and ranks_config.py completes the configuration.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_builder.checkpoint.ranks import layer_count, stage_of, stages
from trtllm_builder.checkpoint.tensorrtllm import CONFIG
from trtllm_builder.quantize.modelopt_adapter import quiet
from trtllm_builder.quantize.ranks_config import finish, set_rotation
from trtllm_builder.quantize.ranks_refusals import export_failure, family_of, refuse_layout

_DECODERS = {"llama": "llama", "mistral": "llama", "qwen2": "qwen"}
_RECIPE = ".recipe"
"""Name of an export that is used only for the format of each layer."""
_ONE_STAGE = ".stage"
"""Name of the export before its layers are divided into stages."""


def export_ranks(model: Any, plan: CandidatePlan, checkpoint: Checkpoint, directory: Path, dtype: torch.dtype) -> None:
    """Write config.json, quant_cfg.json for a mix of formats, and one rankN.safetensors per rank.

    Raises BuilderFailure QuantizationNotSupported for a layout that the model cannot have.
    """
    refuse_layout(plan, checkpoint, model.config)
    family = family_of(model.config)
    set_rotation(model.config)
    stored = dtype if dtype in {torch.float16, torch.bfloat16} else torch.float16
    whole = directory if checkpoint.pipeline == 1 else directory / _ONE_STAGE
    recipe = whole
    try:
        with quiet(), torch.inference_mode(False), _without_vocabulary_padding():
            weight_only = _weight_only_layers(model)
            if weight_only:
                # trtllm-build quantizes these layers itself, from weights in full precision
                recipe = directory / _RECIPE
                _export(model, family, stored, recipe, 1)
                for layer in weight_only:
                    layer.weight_quantizer.disable()
            _export(model, family, stored, whole, checkpoint.tensor)
    except (AssertionError, ValueError, RuntimeError, NotImplementedError) as error:
        raise export_failure(plan, checkpoint, model.config, error) from error
    finish(model.config, whole, recipe, checkpoint)
    if recipe != whole:
        shutil.rmtree(recipe)
    if whole != directory:
        _divide(whole, directory, checkpoint)
        shutil.rmtree(whole)


def _export(model: Any, family: str, dtype: torch.dtype, directory: Path, tensor: int) -> None:
    from modelopt.torch.export import export_tensorrt_llm_checkpoint

    export_tensorrt_llm_checkpoint(
        model,
        _DECODERS[family],
        dtype,
        export_dir=directory,
        inference_tensor_parallel=tensor,
        inference_pipeline_parallel=1,
    )


def _divide(whole: Path, directory: Path, checkpoint: Checkpoint) -> None:
    """Divide the layers of each rank into stages."""
    for path in whole.glob("*.json"):
        path.rename(directory / path.name)
    for position in range(checkpoint.tensor):
        path = whole / f"rank{position}.safetensors"
        tensors = load_file(path)
        layers = stages(layer_count(tensors), checkpoint.pipeline)
        for stage in range(checkpoint.pipeline):
            kept = stage_of(tensors, layers, stage)
            rank = stage * checkpoint.tensor + position
            save_file(kept, directory / f"rank{rank}.safetensors")
        path.unlink()
    value = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    world = checkpoint.tensor * checkpoint.pipeline
    value["mapping"] |= {"world_size": world, "pp_size": checkpoint.pipeline}
    value["rank"] = world - 1
    (directory / CONFIG).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _weight_only_layers(model: Any) -> list[Any]:
    from modelopt.torch.export.quant_utils import get_quantization_format

    layers = [module for module in model.modules() if hasattr(module, "weight_quantizer")]
    return [layer for layer in layers if get_quantization_format(layer) == "int8_wo"]


@contextmanager
def _without_vocabulary_padding() -> Iterator[None]:
    """Disable ModelOpt's padding of the vocabulary to a multiple of 64 for AWQ.

    The added tokens are unknown to the tokenizer and have logits of 0. Only a quantized head needs them, and heads are
    never quantized here.
    """
    from modelopt.torch.export import model_config_export

    pad = model_config_export.pad_embedding_lm_head
    model_config_export.pad_embedding_lm_head = lambda *_: None
    try:
        yield
    finally:
        model_config_export.pad_embedding_lm_head = pad
