"""Loads a model, and refuses missing tensors, unused tensors and wrong shapes."""

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
    """Load a causal language model in eval mode, by default in float32 on a CPU and in bfloat16 on a GPU.

    The ranks of a TensorRT-LLM checkpoint are merged. With `keep_packed`, quantized layers also keep their packed
    weights.
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
    """Load the tokenizer of the model."""
    if tensorrtllm.is_tensorrtllm(directory):
        # config.json is TensorRT-LLM's, and has no model type for transformers
        config = AutoConfig.from_pretrained(directory / tensorrtllm.HF_CONFIG, local_files_only=True)
        return AutoTokenizer.from_pretrained(directory, config=config, local_files_only=True)
    return AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code, local_files_only=True)


def _refuse_unscaled(directory: Path) -> None:
    """Refuse packed weights in a checkpoint without quantization_config; quantizer.py checks other checkpoints.

    transformers reports faults of the files themselves.
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
        "not used by any layer": sorted(
            name for name in info.get("unexpected_keys") or () if not name.endswith(_ROTARY)
        ),
        "different in shape from the layer": sorted(str(key[0]) for key in info.get("mismatched_keys") or ()),
    }
    losses = [f"{len(names)} tensors are {how} ({', '.join(names[:3])})" for how, names in lost.items() if names]
    if losses:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The checkpoint does not fit its architecture: {'; '.join(losses)}.",
            "Export it again with a version of transformers that supports the model.",
        )


def _unknown_architecture(directory: Path) -> BuilderFailure:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return BuilderFailure(
        ExitCode.NOT_SUPPORTED,
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"This image's transformers {transformers.__version__} does not know model type {config.get('model_type')}.",
        "Use a builder image with a newer transformers, or set spec.trustRemoteCode if the model has its own code.",
    )
