"""The QuantizedModel resource: which model, how to quantize it, and how good the result must be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from trtllm_api.base import ApiModel, Device, cel
from trtllm_api.meta import PodTemplate
from trtllm_api.quality import Calibration, Quality
from trtllm_api.quantization import Quantization
from trtllm_api.source import Source, Storage

KIND = "QuantizedModel"
PLURAL = "quantizedmodels"


class CheckpointFormat(StrEnum):
    """How the artifact's weights are laid out."""

    HUGGING_FACE = "HuggingFace"
    """ModelOpt's unified checkpoint: for the runtimes Transformers and PyTorch, whatever their parallelism."""
    TENSORRT_LLM = "TensorRTLLM"
    """For the runtime TensorRT: one file per rank, the parallelism baked in."""


class Checkpoint(ApiModel):
    """The artifact's format."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    # a default is judged before the defaults inside it are filled in
                    "(has(self.format) && self.format == 'TensorRTLLM') || "
                    "((!has(self.tensor) || self.tensor == 1) && (!has(self.pipeline) || self.pipeline == 1))",
                    "tensor and pipeline belong to format TensorRTLLM: a HuggingFace checkpoint fits any parallelism",
                )
            ]
        }
    )

    format: CheckpointFormat = CheckpointFormat.HUGGING_FACE
    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1


class QuantizedModelSpec(ApiModel):
    """What is wanted."""

    source: Source
    trust_remote_code: bool = False
    quantization: Quantization = Quantization()
    calibration: Calibration = Calibration()
    quality: Quality = Quality()
    checkpoint: Checkpoint = Checkpoint()
    device: Device = Device.GPU
    storage: Storage = Storage()
    pod_template: PodTemplate = PodTemplate()
    suspend: bool = False
