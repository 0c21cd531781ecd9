"""Begins a model's forward pass at one of its decoder layers: earlier layers return their recorded outputs.

Changing one layer leaves the outputs of the layers before it unchanged, which saves half of the work on average.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

_IN_LIST = re.compile(r"(?P<list>.+?)\.(?P<number>\d+)\..+")


class Beginning:
    """Decoder layers of a model, and their outputs in a recorded pass."""

    def __init__(self, model: nn.Module, modules: Sequence[str]) -> None:
        """`modules` are linear layers. If they are not all in one list of decoder layers, no layer is skipped."""
        found = {match["list"] for match in map(_IN_LIST.fullmatch, modules) if match}
        self._layers: Sequence[nn.Module] = ()
        if len(found) == 1:
            held = model.get_submodule(found.pop())
            self._layers = tuple(held) if isinstance(held, nn.ModuleList) else ()
        self._given: list[Any] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record each layer's output during one pass."""
        self._given = [None] * len(self._layers)
        with ExitStack() as stack:
            for number, layer in enumerate(self._layers):
                hook = layer.register_forward_hook(functools.partial(self._keep, number))
                stack.callback(hook.remove)
            yield

    def _keep(self, number: int, _layer: nn.Module, _arguments: Any, given: Any) -> None:
        self._given[number] = given

    @contextmanager
    def left_out(self, before: int) -> Iterator[None]:
        """Skip the layers before this one: they return their recorded outputs."""
        layers = list(zip(self._layers, self._given, strict=True))[:before]
        for layer, given in layers:
            layer.forward = _giving(given)
        try:
            yield
        finally:
            for layer, _ in layers:
                del layer.forward

    def keep_if_true(self, measured: float, again: Callable[[], float]) -> None:
        """Skip no layers from now on if a pass that begins in the middle gives another result.

        Layers may depend on more than their arguments, for instance on keys and values of an earlier layer.
        """
        try:
            with self.left_out(len(self._layers) // 2):
                same = abs(again() - measured) <= _SAME * abs(measured)
        except Exception:  # a model may fail in any way without its first layers
            same = False
        if not same:
            self._layers, self._given = (), []

    def first_of(self, modules: Sequence[str]) -> int:
        """Number of the first decoder layer that contains one of these linear layers; 0 if no layer may be skipped."""
        matches = [_IN_LIST.fullmatch(name) for name in modules]
        numbers = [int(match["number"]) for match in matches if match]
        return min(numbers) if self._layers and len(numbers) == len(matches) else 0


_SAME = 1e-3
"""Largest relative difference of equal results: CPUs give the same bits, GPUs may not."""


def _giving(given: Any) -> Callable[..., Any]:
    return lambda *_arguments, **_named: given
