"""ModelOpt's TensorRT-LLM export: one file per rank. candidate.py calls it for checkpoint.format TensorRTLLM.

ModelOpt cuts tensors; it deals out layers in equal numbers only, and names a mix of formats after its last stage alone.
So stages are made here, from its export of one stage. What else it leaves out is mended by ranks_config.py.
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
from trtllm_builder.quantize.ranks_config import finish, tell_rotation
from trtllm_builder.quantize.ranks_refusals import family_of, refuse_layout, told

_DECODERS = {"llama": "llama", "mistral": "llama", "qwen2": "qwen"}
_RECIPE = ".recipe"
"""An export that only says what is quantized how."""
_ONE_STAGE = ".stage"
"""The export before its layers are dealt out to stages."""


def export_ranks(model: Any, plan: CandidatePlan, checkpoint: Checkpoint, directory: Path, dtype: torch.dtype) -> None:
    """Write config.json, quant_cfg.json for a mix of formats, and one rankN.safetensors per rank.

    Raises BuilderFailure QuantizationNotSupported for a layout that the model cannot have.
    """
    refuse_layout(plan, checkpoint, model.config)
    family = family_of(model.config)
    tell_rotation(model.config)
    stored = dtype if dtype in {torch.float16, torch.bfloat16} else torch.float16
    whole = directory if checkpoint.pipeline == 1 else directory / _ONE_STAGE
    recipe = whole
    try:
        with quiet(), torch.inference_mode(False), _vocabulary_as_it_is():
            weight_only = _weight_only_layers(model)
            if weight_only:
                # trtllm-build quantizes such layers itself, from whole weights
                recipe = directory / _RECIPE
                _export(model, family, stored, recipe, 1)
                for layer in weight_only:
                    layer.weight_quantizer.disable()
            _export(model, family, stored, whole, checkpoint.tensor)
    except (AssertionError, ValueError, RuntimeError, NotImplementedError) as error:
        raise told(plan, checkpoint, model.config, error) from error
    finish(model.config, whole, recipe, checkpoint)
    if recipe != whole:
        shutil.rmtree(recipe)
    if whole != directory:
        _deal_out(whole, directory, checkpoint)
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


def _deal_out(whole: Path, directory: Path, checkpoint: Checkpoint) -> None:
    """The layers of each rank to its stages."""
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
def _vocabulary_as_it_is() -> Iterator[None]:
    """With AWQ, ModelOpt pads the vocabulary to a multiple of 64 and says that it is that large: tokens that no
    tokenizer knows, with logits of 0. It is needed for a quantized head only, and heads are not quantized here.
    """  # noqa: D205 - one thought
    from modelopt.torch.export import model_config_export

    pad = model_config_export.pad_embedding_lm_head
    model_config_export.pad_embedding_lm_head = lambda *_: None
    try:
        yield
    finally:
        model_config_export.pad_embedding_lm_head = pad
