"""Begin a model's forward pass at one of its decoder layers: what lies before gives what it gave last time.

attribution.py uses it: a layer's turn changes nothing before that layer, which is half of the work on the average.
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
    """The decoder layers of a model, and what each of them gave in the pass that was recorded."""

    def __init__(self, model: nn.Module, modules: Sequence[str]) -> None:
        """`modules` are linear layers; without one list of decoder layers that holds them all nothing is left out."""
        found = {match["list"] for match in map(_IN_LIST.fullmatch, modules) if match}
        self._layers: Sequence[nn.Module] = ()
        if len(found) == 1:
            held = model.get_submodule(found.pop())
            self._layers = tuple(held) if isinstance(held, nn.ModuleList) else ()
        self._given: list[Any] = []

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep what each layer gives in the one pass that is made meanwhile."""
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
        """The layers before this one are not computed in the passes that are made meanwhile."""
        layers = list(zip(self._layers, self._given, strict=True))[:before]
        for layer, given in layers:
            layer.forward = _giving(given)
        try:
            yield
        finally:
            for layer, _ in layers:
                del layer.forward

    def keep_if_true(self, measured: float, again: Callable[[], float]) -> None:
        """Leave nothing out from now on where a pass that begins in the middle measures anything else.

        Layers may depend on more than what they are called with: on keys and values that an earlier one left somewhere.
        """
        try:
            with self.left_out(len(self._layers) // 2):
                same = abs(again() - measured) <= _SAME * abs(measured)
        except Exception:  # whatever such a model does without its first layers
            same = False
        if not same:
            self._layers, self._given = (), []

    def first_of(self, modules: Sequence[str]) -> int:
        """The number of the first decoder layer that these linear layers are in; 0 where nothing may be left out."""
        matches = [_IN_LIST.fullmatch(name) for name in modules]
        numbers = [int(match["number"]) for match in matches if match]
        return min(numbers) if self._layers and len(numbers) == len(matches) else 0


_SAME = 1e-3
"""Relative; processors give the same bits, GPUs may not."""


def _giving(given: Any) -> Callable[..., Any]:
    return lambda *_arguments, **_named: given
