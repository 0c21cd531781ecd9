"""Which modules to leave in full precision, and how excludeModules names them: arithmetic without a model."""

from __future__ import annotations

from fnmatch import fnmatch
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trtllm_builder.quantize.cells import MAX_PATTERN_CHARACTERS, Cell, cells_of, mix_of, ordered, patterns_of, smallest
from trtllm_builder.quantize.findings import Explanation
from trtllm_builder.quantize.modelopt_adapter import _below

_LINEARS = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)
_KINDS = ("self_attn.qkv", "self_attn.o_proj", "mlp.gate_up", "mlp.down_proj")


def llama(layers: int, stack: str = "model.layers") -> dict[str, int]:
    return {f"{stack}.{layer}.{name}": 100 for layer in range(layers) for name in _LINEARS}


def meant(patterns: tuple[str, ...], modules: dict[str, int]) -> set[str]:
    """The modules whose quantizers ModelOpt switches off."""
    below = _below(patterns)
    return {name for name in modules if any(fnmatch(f"{name}.weight_quantizer", pattern) for pattern in below)}


def chosen(cells: tuple[Cell, ...], *names: tuple[str, str]) -> list[Cell]:
    return [cell for cell in cells if (cell.layer, cell.kind) in names]


def test_what_a_runtime_fuses_is_one_cell() -> None:
    cells = cells_of(llama(2))
    assert [(cell.layer, cell.kind) for cell in cells] == [(f"layers.{n}", kind) for n in range(2) for kind in _KINDS]
    fused = cells[0]
    assert fused.modules == tuple(f"model.layers.0.self_attn.{name}_proj" for name in "qkv")
    assert fused.bytes == 300


def test_all_experts_of_a_layer_are_one_cell_apart_from_the_shared_ones() -> None:
    modules = {
        f"model.layers.{layer}.mlp.{name}.down_proj": 1
        for layer in range(3)
        for name in ("experts.0", "experts.1", "shared_experts")
    }
    cells = cells_of(modules)
    assert {cell.kind for cell in cells} == {"mlp.experts", "mlp.shared_experts.down_proj"}
    experts = chosen(cells, ("layers.1", "mlp.experts"))
    assert meant(patterns_of(experts, cells), modules) == {name for name in modules if ".1.mlp.experts." in name}


def test_layers_are_named_in_full_where_there_are_several_lists_of_them() -> None:
    modules = llama(2, "model.language.layers") | llama(2, "model.vision.layers")
    cells = cells_of(modules)
    (cell,) = chosen(cells, ("model.vision.layers.1", "mlp.down_proj"))
    assert patterns_of([cell], cells) == ("model.vision.layers.1.mlp.down_proj",)
    assert meant(patterns_of([cell], cells), modules) == {"model.vision.layers.1.mlp.down_proj"}


def test_a_module_outside_of_the_layers_is_named_itself() -> None:
    modules = {**llama(1), "model.projector": 7}
    cells = cells_of(modules)
    assert patterns_of(chosen(cells, ("model.projector", "model.projector")), cells) == ("model.projector",)


def test_the_part_whose_layer_and_kind_gain_most_comes_first() -> None:
    cells = cells_of(llama(3))
    order = ordered(cells, {"layers.1": 0.8, "layers.0": 0.1}, {"mlp.down_proj": 0.7, "self_attn.qkv": 0.2})
    assert (order[0].layer, order[0].kind) == ("layers.1", "mlp.down_proj")
    assert set(order) == set(cells)


def test_of_equal_gains_the_smaller_part_comes_first() -> None:
    cells = cells_of({"model.layers.0.mlp.up_proj": 1000, "model.layers.0.mlp.down_proj": 10})
    order = ordered(cells, {"layers.0": 0.5}, dict.fromkeys(("mlp.gate_up", "mlp.down_proj"), 0.4))
    assert order[0].kind == "mlp.down_proj"


def test_two_losses_do_not_make_a_gain() -> None:
    cells = cells_of(llama(2))
    order = ordered(cells, {"layers.0": -0.9, "layers.1": 0.1}, {"mlp.down_proj": -0.9, "self_attn.qkv": 0.1})
    assert (order[0].layer, order[0].kind) == ("layers.1", "self_attn.qkv")


def test_whole_kinds_and_whole_layers_are_named_by_one_pattern() -> None:
    cells = cells_of(llama(3))
    picked = [cell for cell in cells if cell.kind == "mlp.down_proj" or cell.layer == "layers.1"]
    assert patterns_of(picked, cells) == ("*.mlp.down_proj", "layers.1")
    (single,) = chosen(cells, ("layers.2", "self_attn.qkv"))
    assert patterns_of([single], cells) == tuple(f"layers.2.self_attn.{name}_proj" for name in "qkv")


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.randoms(use_true_random=False), st.booleans())
def test_patterns_mean_the_chosen_modules_and_no_others(layers: int, random: Random, several: bool) -> None:
    modules = llama(layers) | (llama(layers, "model.vision.layers") if several else {})
    cells = cells_of(modules)
    picked = [cell for cell in cells if random.random() < 0.6]
    assert meant(patterns_of(picked, cells), modules) == {name for cell in picked for name in cell.modules}


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), st.integers(3, 16), st.floats(0, 1), st.randoms(use_true_random=False))
def test_a_mix_holds_what_is_asked_for_in_the_room_that_there_is(
    layers: int, room: int, share: float, random: Random
) -> None:
    modules = llama(layers)
    cells = cells_of(modules)
    order = ordered(cells, {cell.layer: random.random() for cell in cells}, {kind: random.random() for kind in _KINDS})
    count = 1 + int(share * (len(order) - 1))
    mix = mix_of(order, count, room)
    if mix is None:
        assert count == len(order) or len(patterns_of(order[:count], order)) > room
        return
    assert set(order[:count]) <= set(mix.cells)
    assert len(mix.cells) < len(cells)
    assert len(mix.patterns) <= room
    assert meant(mix.patterns, modules) == {name for cell in mix.cells for name in cell.modules}


def test_the_patterns_of_a_deep_model_fit_a_termination_message() -> None:
    cells = cells_of(llama(126))
    order = sorted(cells, key=lambda cell: (cell.kind != "self_attn.qkv", cell.layer))
    mix = mix_of(order, 60, 64)
    assert mix is not None
    assert sum(len(pattern) + 3 for pattern in mix.patterns) <= MAX_PATTERN_CHARACTERS


def test_what_is_everywhere_is_named_by_its_kind_where_layers_are_too_many() -> None:
    cells = cells_of(llama(126))
    order = sorted(cells, key=lambda cell: cell.kind not in {"self_attn.qkv", "mlp.down_proj"})
    mix = mix_of(order, 200, 64)
    assert mix is not None
    assert "*.self_attn.q_proj" in mix.patterns or "*.mlp.down_proj" in mix.patterns


def test_where_names_are_too_many_whole_layers_are_taken() -> None:
    cells = cells_of(llama(40))
    by_kind = sorted(cells, key=lambda cell: cell.kind != "self_attn.qkv")
    mix = mix_of(by_kind, 12, 20)
    assert mix is not None
    assert set(by_kind[:12]) <= set(mix.cells)
    assert len(mix.patterns) <= 20
    assert any(pattern.startswith("layers.") and pattern.count(".") == 1 for pattern in mix.patterns)


def test_without_room_for_a_name_there_is_no_mix() -> None:
    assert mix_of(cells_of(llama(2)), 1, 0) is None


@pytest.mark.parametrize("needed", range(1, 14))
def test_the_smallest_that_passes_is_found_in_few_tries(needed: int) -> None:
    tried: list[int] = []

    def passes(count: int) -> bool:
        tried.append(count)
        return count >= needed

    assert smallest(12, passes) == (needed if needed <= 12 else None)
    assert len(tried) <= 5
    assert len(set(tried)) == len(tried)


def test_of_nothing_nothing_passes() -> None:
    assert smallest(0, lambda _: True) is None


def test_an_explanation_names_the_three_that_matter_most() -> None:
    shares = {f"layers.{n}": share for n, share in enumerate((0.02, 0.6, -0.1, 0.001, 0.1, 0.09))}
    told = Explanation(0.4, 512, shares, {"mlp.down_proj": 0.555}, 1.0).sentence()
    assert told == (
        "the KL divergence comes, by layer 60 % from layers.1, 10 % from layers.4, 9 % from layers.5; "
        "by kind 56 % from mlp.down_proj"
    )


def test_an_error_that_comes_from_everywhere_is_called_so() -> None:
    assert "comes from all layers" in Explanation(0.4, 512, {"layers.0": -0.1}, {"mlp.down_proj": 0.0}, 1.0).sentence()
