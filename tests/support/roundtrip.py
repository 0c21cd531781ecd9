"""Quantize the tiny model, export it and load it again; tests of the quantize stage and of the GPU compare the ends.

ModelOpt's own simulation (its model before the export) is the reference: what ships must compute the same.
"""

from __future__ import annotations

import copy
import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_builder.checkpoint import load_model, load_tokenizer
from trtllm_builder.datasets import Purpose, load_texts
from trtllm_builder.progress import Progress, Step
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.evaluation import Reference, Scores, measure, measure_source
from trtllm_builder.quantize.modelopt_ranks import export_ranks
from trtllm_builder.quantize.package import complete, stored_type
from trtllm_builder.quantize.windows import Windows, cut

NVFP4 = CandidatePlan(method=Method.NVFP4)
AUTO = CandidatePlan(method=Method.AUTO, auto=AutoQuantization(effective_bits="7"))
PLANS: dict[str, CandidatePlan] = {
    "FP8": CandidatePlan(method=Method.FP8),
    "FP8PerChannelPerToken": CandidatePlan(method=Method.FP8_PER_CHANNEL_PER_TOKEN),
    "INT8SmoothQuant": CandidatePlan(method=Method.INT8_SMOOTH_QUANT),
    "INT8SmoothQuant-alpha": CandidatePlan(method=Method.INT8_SMOOTH_QUANT, smooth_quant_alpha="0.5"),
    "INT8WeightOnly": CandidatePlan(method=Method.INT8_WEIGHT_ONLY),
    "INT4WeightOnly-32": CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=32),
    "INT4WeightOnly-64": CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=64),
    "INT4WeightOnly-128": CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=128),
    "INT4AWQ": CandidatePlan(method=Method.INT4_AWQ, group_size=64),
    "W4A8AWQ": CandidatePlan(method=Method.W4A8_AWQ, group_size=128),
    "FP8-cache": CandidatePlan(method=Method.FP8, kv_cache=KVCache.FP8),
    "INT8WeightOnly-cache": CandidatePlan(method=Method.INT8_WEIGHT_ONLY, kv_cache=KVCache.FP8),
    "Auto": AUTO,
    "Auto-cache": AUTO.model_copy(update={"kv_cache": KVCache.FP8}),
}
"""Everything whose simulation runs on a CPU, too; NVFP4's needs a GPU."""
RANKED: dict[str, CandidatePlan] = {
    **{name: PLANS[name] for name in PLANS if name not in {"INT8WeightOnly-cache", "INT4WeightOnly-32"}},
    "None": CandidatePlan(method=Method.NONE),
    "INT8SmoothQuant-cache": CandidatePlan(method=Method.INT8_SMOOTH_QUANT, kv_cache=KVCache.INT8),
    "INT8WeightOnly-cache": CandidatePlan(method=Method.INT8_WEIGHT_ONLY, kv_cache=KVCache.INT8),
}
"""What is exported for the runtime TensorRT."""


def quiet_step() -> Step:
    """Progress that no one reads."""
    return Step(Progress(io.StringIO()), "Testing", 0, "")


def windows(source: Path, purpose: Purpose, count: int = 8, length: int = 128) -> Windows:
    """Rows of the builder's own texts."""
    return cut(load_texts(None, purpose), load_tokenizer(source), count=count, length=length, purpose=purpose)


@dataclass(frozen=True)
class Exported:
    """An artifact as it ships, and what ModelOpt's simulation of it predicts."""

    plan: CandidatePlan
    directory: Path
    simulated: Reference | None
    weights: dict[str, torch.Tensor] = field(repr=False)
    """Of the simulation: what ModelOpt computes with, by layer."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json."""
        value: dict[str, Any] = json.loads((self.directory / "config.json").read_text(encoding="utf-8"))
        return value


@dataclass(frozen=True)
class Workshop:
    """Makes artifacts of one source."""

    source: Path
    device: str
    evaluation: Windows
    calibration: Windows

    def quantized(self, plan: CandidatePlan, checkpoint: Checkpoint | None = None) -> Any:
        """ModelOpt's simulation."""
        calibrated = modelopt_adapter.needs_calibration(plan)
        batches = self.calibration.batches(4, self.device) if calibrated else []
        model = load_model(self.source, self.device)
        return modelopt_adapter.quantize(model, plan, batches, quiet_step(), checkpoint or Checkpoint())

    def ship(self, model: Any, plan: CandidatePlan, checkpoint: Checkpoint, directory: Path) -> Path:
        """A copy of the simulation as TensorRT-LLM's ranks."""
        directory.mkdir(parents=True)
        export_ranks(copy.deepcopy(model), plan, checkpoint, directory, stored_type(self.source))
        complete(self.source, directory)
        return directory

    def export(self, plan: CandidatePlan, directory: Path, *, simulate: bool = True) -> Exported:
        """Through the adapter and the package, as the ladder does."""
        model = self.quantized(plan)
        simulated = measure_source(merged(model), self.evaluation, quiet_step()) if simulate else None
        weights = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        directory.mkdir(parents=True)
        modelopt_adapter.export(model, plan, directory, stored_type(self.source))
        complete(self.source, directory)
        return Exported(plan, directory, simulated, weights)

    def compare(self, made: Exported) -> Scores:
        """What ships, against the simulation."""
        if made.simulated is None:
            raise ValueError("it was not simulated")
        return measure(load_model(made.directory, self.device), self.evaluation, made.simulated, quiet_step())


def merged(model: Any) -> Any:
    """A copy as ModelOpt prepares it for the export: layers that read one input share its scales."""
    from modelopt.torch.export.unified_export_hf import requantize_resmooth_fused_llm_layers

    twin = copy.deepcopy(model)
    with torch.inference_mode(False), torch.no_grad():
        requantize_resmooth_fused_llm_layers(twin)
    return twin


def workshop(source: Path, device: str) -> Workshop:
    """With the builder's own texts."""
    return Workshop(source, device, windows(source, "evaluation"), windows(source, "calibration"))


def edit_tensors(directory: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Rewrite model.safetensors."""
    from safetensors.torch import load_file, save_file

    path = directory / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in change(load_file(path)).items()}, path, {"format": "pt"})


def edit_config(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite config.json; `change` alters the value in place."""
    path = directory / "config.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def types(directory: Path) -> dict[str, str]:
    """Type of every tensor, as the safetensors headers name it."""
    found: dict[str, str] = {}
    for path in directory.glob("*.safetensors"):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        found |= {name: value["dtype"] for name, value in header.items() if name != "__metadata__"}
    return found
