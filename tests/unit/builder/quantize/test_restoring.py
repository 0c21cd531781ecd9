"""Parts of a candidate get the source's weights and lose them again, in the very model that ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support import roundtrip
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import Method
from trtllm_builder.checkpoint import load_model
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.quantize.restoring import Restorable

from .conftest import Make, ranked


def _logits(model: torch.nn.Module, source: Path) -> torch.Tensor:
    rows = roundtrip.windows(source, "evaluation", count=2, length=64).rows
    with torch.inference_mode():
        found: torch.Tensor = model(rows, use_cache=False).logits
    return found


def _restorable(directory: Path, source: Path) -> Restorable:
    return Restorable(load_model(directory, "cpu", keep_packed=True), source, torch.bfloat16)


def _all(candidate: Restorable) -> set[str]:
    return {module for cell in candidate.cells for module in cell.modules}


@pytest.mark.parametrize(
    "name", ["FP8", "INT8SmoothQuant", "INT8WeightOnly", "INT4WeightOnly-64", "INT4AWQ", "W4A8AWQ", "NVFP4", "Auto"]
)
def test_with_every_part_restored_the_candidate_answers_as_the_source(made: Make, source: Path, name: str) -> None:
    directory = made(name).directory
    candidate = _restorable(directory, source)
    before = _logits(candidate.model, source)
    wanted = _logits(load_model(source, "cpu"), source)
    candidate.restore(_all(candidate))
    assert not any(isinstance(module, QuantizedLinear) for module in candidate.model.modules())
    # norms that AWQ's export has scaled are stored with eight bits
    torch.testing.assert_close(_logits(candidate.model, source), wanted, rtol=0.02, atol=0.02)
    assert float((before - wanted).abs().max()) > 0
    candidate.restore(())
    assert torch.equal(_logits(candidate.model, source), before)


def test_of_ranks_every_part_can_be_restored_too(shop: roundtrip.Workshop, source: Path, tmp_path: Path) -> None:
    plan = CandidatePlan(method=Method.INT4_AWQ, group_size=64)
    checkpoint = ranked(2)
    directory = shop.ship(shop.quantized(plan, checkpoint), plan, checkpoint, tmp_path / "out")
    candidate = _restorable(directory, source)
    assert len(_all(candidate)) == 14
    candidate.restore(_all(candidate))
    wanted = _logits(load_model(source, "cpu"), source)
    torch.testing.assert_close(_logits(candidate.model, source), wanted, rtol=0.02, atol=0.02)


def test_one_part_restored_is_the_artifact_that_excludes_it(
    shop: roundtrip.Workshop, made: Make, source: Path, tmp_path: Path
) -> None:
    plan = CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=64, exclude_modules=("layers.1.mlp.down_proj",))
    excluded = load_model(shop.export(plan, tmp_path / "out", simulate=False).directory, "cpu")
    candidate = _restorable(made("INT4WeightOnly-64").directory, source)
    candidate.restore(_all(candidate))
    candidate.restore(["model.layers.1.mlp.down_proj"])
    assert torch.equal(_logits(candidate.model, source), _logits(excluded, source))


def test_scales_of_the_cache_stay_at_a_restored_layer(made: Make, source: Path) -> None:
    candidate = _restorable(made("FP8-cache").directory, source)
    key = candidate.model.model.layers[0].self_attn.k_proj.k_scale
    candidate.restore(["model.layers.0.self_attn.k_proj"])
    assert candidate.model.model.layers[0].self_attn.k_proj.k_scale is key


def test_a_part_adds_the_bytes_that_its_files_grow_by(
    shop: roundtrip.Workshop, made: Make, source: Path, tmp_path: Path
) -> None:
    def size(directory: Path) -> int:
        return (directory / "model.safetensors").stat().st_size

    plan = CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=64, exclude_modules=("layers.1",))
    grown = size(shop.export(plan, tmp_path / "out", simulate=False).directory)
    directory = made("INT4WeightOnly-64").directory
    added = sum(cell.bytes for cell in _restorable(directory, source).cells if cell.layer == "layers.1")
    # the header names fewer tensors
    assert abs(grown - size(directory) - added) < 2000


def test_a_restored_layer_holds_one_weight_and_not_two(made: Make, source: Path) -> None:
    candidate = _restorable(made("INT4WeightOnly-64").directory, source)
    packed = [module for module in candidate.model.modules() if isinstance(module, QuantizedLinear)]
    candidate.restore(_all(candidate))
    assert [module.unpacked for module in packed] == [None] * len(packed)
