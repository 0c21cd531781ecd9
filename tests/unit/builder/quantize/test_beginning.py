"""A pass that begins at a decoder layer measures what a whole one does, and is not made where it would not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trtllm_builder.checkpoint import load_model
from trtllm_builder.quantize.beginning import Beginning

MODULES = [f"model.layers.{number}.mlp.down_proj" for number in range(4)]
TOKENS = torch.arange(1, 17)[None]


def changed(model: nn.Module, number: int) -> None:
    with torch.no_grad():
        model.get_submodule(MODULES[number]).weight.mul_(1.5)


class Counted:
    """How often each decoder layer has computed."""

    def __init__(self, model: Any) -> None:
        self.numbers: list[int] = []
        for number, layer in enumerate(model.model.layers):
            layer.mlp.register_forward_hook(lambda *_, number=number: self.numbers.append(number))

    def taken(self) -> list[int]:
        taken, self.numbers[:] = list(self.numbers), []
        return taken


def total(model: Any) -> float:
    with torch.inference_mode():
        return float(model(TOKENS, use_cache=False).logits.double().square().sum())


@pytest.mark.parametrize("number", range(4))
def test_a_pass_that_begins_at_the_changed_layer_gives_what_a_whole_one_gives(wide_source: Path, number: int) -> None:
    model = load_model(wide_source, "cpu")
    counted, beginning = Counted(model), Beginning(model, MODULES)
    with beginning.recorded():
        before = total(model)
    beginning.keep_if_true(before, lambda: total(model))
    changed(model, number)
    whole = total(model)
    counted.taken()
    with beginning.left_out(beginning.first_of([MODULES[number]])):
        short = total(model)
    assert short == whole != before
    assert counted.taken() == list(range(number, 4))
    assert total(model) == whole
    assert counted.taken() == [0, 1, 2, 3], "nothing stays left out"


def test_a_kind_begins_at_the_first_layer_that_has_it_and_a_head_at_the_beginning(wide_source: Path) -> None:
    beginning = Beginning(load_model(wide_source, "cpu"), MODULES)
    assert beginning.first_of(MODULES[2:]) == 2
    assert beginning.first_of(["lm_head"]) == 0
    assert beginning.first_of([*MODULES[2:], "lm_head"]) == 0


def test_of_a_model_whose_later_layers_use_what_earlier_ones_left_nothing_is_left_out(wide_source: Path) -> None:
    model = load_model(wide_source, "cpu")
    layers, left = model.model.layers, []
    layers[0].register_forward_hook(lambda _layer, _arguments, given: left.append(given))
    layers[3].register_forward_pre_hook(lambda _layer, arguments: (arguments[0] + left.pop(), *arguments[1:]))
    beginning = Beginning(model, MODULES)
    with beginning.recorded():
        before = total(model)
    layers[0]._forward_hooks.clear()
    layers[0].mlp.register_forward_hook(lambda _layer, _arguments, given: left.append(given * 2))
    beginning.keep_if_true(before, lambda: total(model))
    assert beginning.first_of(MODULES[3:]) == 0


def test_of_layers_in_several_lists_nothing_is_left_out(wide_source: Path) -> None:
    beginning = Beginning(load_model(wide_source, "cpu"), [*MODULES, "vision.blocks.1.fc"])
    assert beginning.first_of(MODULES[3:]) == 0
