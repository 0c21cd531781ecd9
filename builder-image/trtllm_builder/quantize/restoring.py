"""A loaded candidate whose modules can be given the source's weights and back, for attribution and mixing.

The source's weights are read from its files when they are needed, and replace the unpacked weight of the layer, so
there are never two whole models in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from trtllm_builder.checkpoint.formats import CACHE_SCALES, SCALES
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.quantize.cells import Cell, cells_of
from trtllm_builder.safetensors_header import read_header

_SAME = 2**-7
"""Largest relative difference of equal norms, which are stored with eight significant bits."""


class Restorable:
    """Wraps a model from `load_model` with keep_packed: at the start, every quantized layer is packed."""

    def __init__(self, model: Any, source: Path, stored: torch.dtype) -> None:
        self.model = model
        self._stored = stored
        headers = {path: read_header(path) for path in sorted(source.glob("*.safetensors"))}
        self._where = {name: path for path, header in headers.items() for name in header}
        shapes = {name: tensor.shape for header in headers.values() for name, tensor in header.items()}
        self._packed: dict[str, QuantizedLinear] = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, QuantizedLinear)
            and module.unpacked is not None
            and shapes.get(f"{name}.weight") == tuple(module.unpacked.shape)
        }
        self._whole: set[str] = set()

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Cells that can be restored, with the bytes that they add to the artifact."""
        return cells_of({name: self._added(module) for name, module in self._packed.items()})

    def _added(self, module: QuantizedLinear) -> int:
        if module.unpacked is None:
            raise ValueError("cells are counted before any is restored")
        parts = (getattr(module, part) for part in ("weight", "zero", *SCALES) if part not in CACHE_SCALES)
        packed = sum(int(part.nbytes) for part in parts if part is not None)
        return max(0, int(module.unpacked.numel()) * self._stored.itemsize - packed)

    def restore(self, modules: Iterable[str]) -> None:
        """Give exactly these modules the source's weights."""
        wanted = set(modules)
        for name in sorted(self._whole - wanted):
            module = self._packed[name]
            module.unpack(self._precision, keep_packed=True)
            self.model.set_submodule(name, module)
        for name in sorted(wanted - self._whole):
            self.model.set_submodule(name, self._original(name))
        self._whole = wanted

    @property
    def _precision(self) -> torch.dtype:
        found: torch.dtype = self.model.dtype
        return found

    def _original(self, name: str) -> nn.Module:
        """The linear layer with the source's weight. It keeps the scales of a quantized KV cache."""
        module = self._packed[name]
        unpacked = module.unpacked
        if unpacked is None:
            raise ValueError(f"{name} is restored already")
        weight = self._read(f"{name}.weight", unpacked.device)
        weight = _unfolded(weight, module, self._moved_norms.get(_block(name), ()))
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = nn.Parameter(weight.to(self._precision), requires_grad=False)
        linear.bias = module.bias  # type: ignore[assignment] # a linear layer may have none
        for part in CACHE_SCALES:
            scale = getattr(module, part)
            if scale is not None:
                linear.register_buffer(part, scale)
        module.unpacked = None
        return linear

    def _read(self, name: str, device: torch.device) -> Tensor:
        with safe_open(self._where[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor.to(device).float()

    @cached_property
    def _moved_norms(self) -> Mapping[str, tuple[Tensor, ...]]:
        """Scales of the inputs of a block's layers, by block: AWQ's export moves them into the norms.

        A norm multiplies by its weight, or by its weight plus one.
        """
        found: dict[str, list[Tensor]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.dim() != 1 or not name.endswith(".weight") or name not in self._where:
                continue
            now = parameter.detach().float()
            before = self._read(name, now.device)
            if now.shape == before.shape and not torch.allclose(now, before, rtol=_SAME, atol=1e-6):
                scales = (now / before, (1 + now) / (1 + before))
                found.setdefault(_block(name.removesuffix(".weight")), []).extend(scales)
        return {block: tuple(scales) for block, scales in found.items()}


def _block(name: str) -> str:
    """Name of the decoder layer of a module: everything up to its first number."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1]) if numbers else ""


def _unfolded(weight: Tensor, module: QuantizedLinear, scales: Iterable[Tensor]) -> Tensor:
    """The source's weight for the candidate's inputs: divided by the scale that fits the candidate's weight best."""
    own = module.unpacked
    if own is None:
        raise ValueError("the candidate's own weight is needed")
    fitting = [scale for scale in scales if scale.numel() == weight.shape[1] and bool(scale.isfinite().all())]
    if not fitting:
        return weight
    own = own.float() if module.pre_quant_scale is None else own.float() * module.pre_quant_scale.float()
    choices = [weight, *(weight / scale for scale in fitting if bool((scale != 0).all()))]
    return min(choices, key=lambda choice: float((own - choice).square().sum()))
