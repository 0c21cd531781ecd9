"""from_pretrained with every loss refused: what is missing, left over or of another shape ends the load."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import tensorrtllm
from trtllm_builder.checkpoint.formats import refuse_unscaled
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.failure import BuilderFailure, bad_model
from trtllm_builder.safetensors_header import read_header

logging.getLogger("transformers").setLevel(logging.ERROR)
transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
_ROTARY = "rotary_emb.inv_freq"


def load_model(
    directory: Path,
    device: str,
    *,
    trust_remote_code: bool = False,
    dtype: torch.dtype | None = None,
    keep_packed: bool = False,
) -> Any:
    """A causal language model in eval mode. On a CPU in float32 unless `dtype` says otherwise, on a GPU in bfloat16.

    Of a TensorRT-LLM checkpoint, all ranks are put together. With `keep_packed` quantized layers hold their weights
    packed, too.
    """
    precision = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    if tensorrtllm.is_tensorrtllm(directory):
        return tensorrtllm.load_directory(directory, device, precision, keep_packed=keep_packed)
    _refuse_unscaled(directory)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=precision,
            device_map=device,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            local_files_only=True,
            # refused below, by name
            ignore_mismatched_sizes=True,
            # a KV cache scale is applied in the attention function
            attn_implementation="sdpa",
        )
    except (ValueError, KeyError) as error:
        if "model type" in str(error) or "Unrecognized" in str(error):
            raise _unknown_architecture(directory) from error
        raise
    model, info = loaded
    _refuse_losses(info)
    for module in model.modules():
        if isinstance(module, QuantizedLinear):
            module.unpack(precision, keep_packed=keep_packed)
    return model.eval()


def load_tokenizer(directory: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer beside the model."""
    if tensorrtllm.is_tensorrtllm(directory):
        # config.json is TensorRT-LLM's: transformers finds no model type in it
        config = AutoConfig.from_pretrained(directory / tensorrtllm.HF_CONFIG, local_files_only=True)
        return AutoTokenizer.from_pretrained(directory, config=config, local_files_only=True)
    return AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code, local_files_only=True)


def _refuse_unscaled(directory: Path) -> None:
    """A checkpoint that says nothing about quantization must not hold packed weights; one that does, quantizer checks.

    Whatever is wrong with the files themselves is transformers' to tell.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config.get("quantization_config"), dict):
        headers = {
            name: header for path in directory.glob("*.safetensors") for name, header in read_header(path).items()
        }
        refuse_unscaled({name: header.dtype for name, header in headers.items()})


def _refuse_losses(info: dict[str, Any]) -> None:
    lost = {
        "not in the files": sorted(info.get("missing_keys") or ()),
        "in the files but in no layer": sorted(
            name for name in info.get("unexpected_keys") or () if not name.endswith(_ROTARY)
        ),
        "of another shape than the layer's": sorted(str(key[0]) for key in info.get("mismatched_keys") or ()),
    }
    told = [f"{len(names)} tensors are {how} ({', '.join(names[:3])})" for how, names in lost.items() if names]
    if told:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint does not fit its architecture: {'; '.join(told)}.",
            "Export it again with a version of transformers that knows the model.",
        )


def _unknown_architecture(directory: Path) -> BuilderFailure:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return BuilderFailure(
        ExitCode.NOT_SUPPORTED,
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"transformers {transformers.__version__} of the builder does not know model type {config.get('model_type')}.",
        "Use a builder image with a newer transformers, or set spec.trustRemoteCode if the model brings its own code.",
    )
