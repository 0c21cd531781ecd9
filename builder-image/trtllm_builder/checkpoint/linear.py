"""A linear layer that computes with ModelOpt's packed weight and scales, as engines do."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from trtllm_builder.checkpoint import numerics
from trtllm_builder.checkpoint.formats import SCALES, LayerFormat


class QuantizedLinear(nn.Module):
    """A quantized linear layer with the checkpoint's tensors under the checkpoint's names.

    Before `unpack`, every forward pass unpacks the weight. After it, the weight is stored in the model's precision, as
    fast and as large as the original.
    """

    weight: Tensor
    weight_scale: Tensor
    weight_scale_2: Tensor
    input_scale: Tensor
    pre_quant_scale: Tensor | None
    zero: Tensor | None

    def __init__(self, layer: LayerFormat, tensors: Mapping[str, Tensor], bias: Tensor | None) -> None:
        """`tensors` and `bias` are empty tensors on the meta device with the checkpoint's shapes and types."""
        super().__init__()
        self.algorithm = layer.algorithm
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        for name in (*SCALES, "zero"):
            if name not in tensors:
                self.register_buffer(name, None)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.unpacked: Tensor | None = None

    def unpack(self, dtype: torch.dtype, *, keep_packed: bool = False) -> None:
        """Dequantize the weight once, which needs more memory. With `keep_packed` this can be undone and repeated."""
        self.unpacked = self.dequantized().to(dtype)
        if not keep_packed:
            self.weight = torch.empty(0, device=self.unpacked.device)

    def dequantized(self) -> Tensor:
        """The dequantized weight as float32 [out, in]."""
        weight, scale, second = self.weight, self.weight_scale, self.weight_scale_2
        match self.algorithm:
            case "W4A16_AWQ":
                return numerics.scale_groups(numerics.unpack_int4_rows(weight).float(), scale.float())
            case "W4A16_GPTQ":
                wide = numerics.scale_groups(numerics.unpack_int4_rows(weight).float(), scale.float())
                if self.zero is None:
                    return wide
                return wide + self.zero.float().repeat_interleave(wide.shape[1] // scale.shape[1], dim=1)
            case "W4A8_AWQ":
                wide = numerics.scale_groups(numerics.unpack_int4_rows(weight).float(), scale.float())
                return numerics.round_fp8(wide, second.float())
            case "NVFP4":
                return numerics.scale_groups(numerics.unpack_e2m1_columns(weight), scale.float()) * second.float()
            case _:
                return weight.float() * (scale.float().unsqueeze(-1) if scale.dim() == 1 else scale.float())

    def rounded(self, x: Tensor) -> Tensor:
        """The input, rounded as the format's kernels round it."""
        match self.algorithm:
            case "FP8" | "W4A8_AWQ":
                return numerics.round_fp8(x, self.input_scale.float())
            case "FP8_PER_CHANNEL_PER_TOKEN":
                return numerics.round_fp8_per_token(x)
            case "W8A8_SQ_PER_CHANNEL":
                return numerics.round_int8(x, self.input_scale.float())
            case "W8A8_PER_TOKEN":
                return numerics.round_int8_per_token(x)
            case "NVFP4":
                return numerics.round_nvfp4(x, self.input_scale.float())
            case _:
                return x

    def forward(self, x: Tensor) -> Tensor:
        """Compute x [..., in] -> [..., out]."""
        if self.pre_quant_scale is not None:
            x = (x * self.pre_quant_scale.to(x.dtype)).to(x.dtype)
        weight = self.dequantized().to(x.dtype) if self.unpacked is None else self.unpacked
        return functional.linear(self.rounded(x), weight, self.bias)
