"""The QuantizedModel resource: which model, how to quantize it, and how good the result must be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from trtllm_api.base import ApiModel, Device, ResourceSpec, cel
from trtllm_api.meta import PodTemplate
from trtllm_api.quality import Calibration, Quality
from trtllm_api.quantization import Quantization
from trtllm_api.source import Source, Storage

KIND = "QuantizedModel"
PLURAL = "quantizedmodels"


class CheckpointFormat(StrEnum):
    """Layout of the artifact's weights."""

    HUGGING_FACE = "HuggingFace"
    """ModelOpt's unified checkpoint, for the runtimes Transformers and PyTorch with any parallelism."""
    TENSORRT_LLM = "TensorRTLLM"
    """One file per rank, for runtime TensorRT with exactly this parallelism."""


class Checkpoint(ApiModel):
    """Format of the artifact, and the parallelism that it is made for."""

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
    """Format of the files."""
    tensor: Annotated[int, Field(ge=1, le=64)] = 1
    """Tensor parallelism of a TensorRTLLM checkpoint, in GPUs; 1 for HuggingFace."""
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1
    """Pipeline parallelism of a TensorRTLLM checkpoint, in stages; 1 for HuggingFace."""


class QuantizedModelSpec(ResourceSpec):
    """Desired state: the model, its quantization, and the required quality; at most 64 KiB of JSON."""

    source: Source
    trust_remote_code: bool = False
    """Whether Python code that comes with the model may run in the builder's pods. Set it only for sources that you
    trust."""
    quantization: Quantization = Quantization()
    calibration: Calibration = Calibration()
    quality: Quality = Quality()
    checkpoint: Checkpoint = Checkpoint()
    device: Device = Device.GPU
    """Device that quantizes and measures."""
    storage: Storage = Storage()
    pod_template: PodTemplate = PodTemplate()
    """Settings of the Jobs' pods; they are merged over the operator's."""
    suspend: bool = False
    """Whether work is paused: running Jobs are stopped, and no new one starts. Published artifacts stay."""
