"""What ships computes what ModelOpt simulated, whatever the method."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from support import roundtrip
from trtllm_api.contract import ExitCode
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_model, numerics
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.evaluation import measure, measure_source

from .conftest import Make, failure_of

_LAYERS = 14
"""Linear layers of the tiny model without its head."""


def _quantized(directory: Path) -> dict[str, QuantizedLinear]:
    model = load_model(directory, "cpu")
    return {name: module for name, module in model.named_modules() if isinstance(module, QuantizedLinear)}


@pytest.mark.parametrize("name", roundtrip.PLANS)
def test_what_ships_computes_what_modelopt_simulated(shop: roundtrip.Workshop, made: Make, name: str) -> None:
    artifact = made(name)
    scores = shop.compare(artifact)
    assert artifact.simulated is not None
    assert abs(scores.perplexity / artifact.simulated.perplexity - 1) < 0.005
    assert scores.kl_divergence < 5e-4
    assert scores.top_token_agreement > 0.95


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_every_linear_layer_but_the_head_is_quantized_and_costs_something(
    shop: roundtrip.Workshop, made: Make, name: str
) -> None:
    directory = made(name).directory
    assert len(_quantized(directory)) == _LAYERS
    whole = measure_source(load_model(shop.source, "cpu"), shop.evaluation, roundtrip.quiet_step())
    scores = measure(load_model(directory, "cpu"), shop.evaluation, whole, roundtrip.quiet_step())
    assert 1e-7 < scores.kl_divergence < 0.05
    assert abs(scores.perplexity / whole.perplexity - 1) < 0.1


@pytest.mark.parametrize("name", ["INT8WeightOnly", "INT4WeightOnly-32", "INT4WeightOnly-64", "INT4WeightOnly-128"])
def test_dequantized_weights_are_the_sources_to_half_a_step(shop: roundtrip.Workshop, made: Make, name: str) -> None:
    original = load_file(shop.source / "model.safetensors")
    packed = load_file(made(name).directory / "model.safetensors")
    layers = _quantized(made(name).directory)
    for layer, module in layers.items():
        assert module.unpacked is not None
        scale = packed[f"{layer}.weight_scale"].float().reshape(len(module.unpacked), -1)
        steps = scale.repeat_interleave(module.unpacked.shape[1] // scale.shape[1], dim=1)
        assert ((module.unpacked - original[f"{layer}.weight"].float()).abs() <= 0.51 * steps).all()


def test_nvfp4_weights_are_what_modelopt_packed(shop: roundtrip.Workshop, made: Make) -> None:
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    packed = load_file(made("NVFP4").directory / "model.safetensors")
    original = load_file(shop.source / "model.safetensors")
    for layer, module in _quantized(made("NVFP4").directory).items():
        weight = packed[f"{layer}.weight"]
        expected = NVFP4QTensor(torch.Size((weight.shape[0], 2 * weight.shape[1])), torch.float32, weight).dequantize(
            dtype=torch.float32,
            scale=packed[f"{layer}.weight_scale"],
            double_scale=packed[f"{layer}.weight_scale_2"],
            block_sizes={-1: 16},
        )
        assert module.unpacked is not None
        torch.testing.assert_close(module.unpacked, expected)
        wanted = original[f"{layer}.weight"].float()
        assert float((module.unpacked - wanted).norm() / wanted.norm()) < 0.15


def test_nvfp4_inputs_are_rounded_as_modelopt_rounds_a_tensor() -> None:
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(3)) * torch.logspace(-3, 2, 8)[:, None]
    scale = x.abs().max() / (6 * 448)
    packed, block, double = NVFP4QTensor.quantize(x, 16, weights_scaling_factor_2=scale)
    expected = packed.dequantize(dtype=torch.float32, scale=block, double_scale=double, block_sizes={-1: 16})
    torch.testing.assert_close(numerics.round_nvfp4(x, scale), expected)


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (("*.o_proj",), ("*.o_proj",)),
        (("down_proj",), ("*.down_proj",)),
        (("model.layers.1.mlp",), ("model.layers.1.mlp.*",)),
        (("layers.0", "*up_proj*"), ("model.layers.0.*", "*.up_proj")),
    ],
)
@pytest.mark.parametrize("method", [Method.FP8, Method.INT4_WEIGHT_ONLY, Method.AUTO])
def test_excluded_modules_ship_as_they_were(
    shop: roundtrip.Workshop, tmp_path: Path, method: Method, patterns: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    plan = CandidatePlan(
        method=method,
        exclude_modules=patterns,
        auto=AutoQuantization(effective_bits="14") if method is Method.AUTO else None,
    )
    artifact = shop.export(plan, tmp_path / "out")
    quantized = _quantized(artifact.directory)
    original, shipped = load_file(shop.source / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    linear = [name.removesuffix(".weight") for name in original if "_proj" in name]
    excluded = {name for name in linear if any(fnmatch(name, pattern) for pattern in kept)}
    assert excluded
    assert excluded & set(quantized) == set()
    if method is not Method.AUTO:
        assert set(quantized) == set(linear) - excluded
        ignored = artifact.config["quantization_config"]["ignore"]
        assert all(any(fnmatch(name, pattern) for pattern in ignored) for name in excluded)
        assert not any(fnmatch(name, pattern) for name in quantized for pattern in ignored)
    for name in excluded:
        assert torch.equal(shipped[f"{name}.weight"], original[f"{name}.weight"])
    assert shop.compare(artifact).kl_divergence < 5e-4


def test_a_number_in_an_exclusion_does_not_stand_for_those_that_begin_with_it() -> None:
    below = modelopt_adapter._below(("model.layers.1",))
    assert any(fnmatch("model.layers.1.mlp.up_proj.weight_quantizer", pattern) for pattern in below)
    assert not any(fnmatch("model.layers.10.mlp.up_proj.weight_quantizer", pattern) for pattern in below)


def test_the_cache_of_an_excluded_layer_is_still_quantized(shop: roundtrip.Workshop, tmp_path: Path) -> None:
    plan = CandidatePlan(method=Method.FP8, kv_cache=KVCache.FP8, exclude_modules=("*.k_proj",))
    artifact = shop.export(plan, tmp_path / "out")
    model = load_model(artifact.directory, "cpu")
    k_proj = model.model.layers[0].self_attn.k_proj
    assert not isinstance(k_proj, QuantizedLinear)
    assert float(k_proj.k_scale) > 0
    assert shop.compare(artifact).kl_divergence < 5e-4


def _with_cache_scales(directory: Path, factor: float) -> Path:
    """The same artifact, its cache scales times `factor`."""

    def scaled(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ends = (".k_scale", ".v_scale")
        return {name: tensor * factor if name.endswith(ends) else tensor for name, tensor in tensors.items()}

    roundtrip.edit_tensors(directory, scaled)
    return directory


def test_the_caches_scales_are_used(shop: roundtrip.Workshop, made: Make, copied: object) -> None:
    directory = _with_cache_scales(copied("INT8WeightOnly-cache"), 1 / 512)  # type: ignore[operator]
    artifact = made("INT8WeightOnly-cache")
    assert artifact.simulated is not None
    scores = measure(load_model(directory, "cpu"), shop.evaluation, artifact.simulated, roundtrip.quiet_step())
    assert scores.kl_divergence > 0.01


@pytest.mark.parametrize("name", ["FP8-cache", "INT8WeightOnly-cache", "Auto-cache"])
def test_a_quantized_cache_is_told_and_has_a_scale_in_every_layer(made: Make, name: str) -> None:
    artifact = made(name)
    assert artifact.config["quantization_config"]["kv_cache_quant_algo"] == "FP8"
    found = [tensor for tensor in roundtrip.types(artifact.directory) if tensor.endswith((".k_scale", ".v_scale"))]
    assert len(found) == 4


def test_smoothing_moves_by_alpha(made: Make) -> None:
    whole = load_file(made("INT8SmoothQuant").directory / "model.safetensors")
    half = load_file(made("INT8SmoothQuant-alpha").directory / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.pre_quant_scale"
    assert not torch.allclose(whole[name], half[name], rtol=0.05)


def test_auto_mixes_formats_below_the_bits_asked_for(made: Make) -> None:
    layers = made("Auto").config["quantization_config"]["quantized_layers"]
    assert {layer["quant_algo"] for layer in layers.values()} == {"FP8", "W4A16_AWQ"}


@pytest.mark.parametrize(("bits", "least"), [("6", "the minimum is 6.1818"), ("2", "the minimum is 4")])
def test_bits_out_of_reach_are_refused_with_the_least_number(shop: roundtrip.Workshop, bits: str, least: str) -> None:
    plan = CandidatePlan(method=Method.AUTO, auto=AutoQuantization(effective_bits=bits))
    batches = shop.calibration.batches(4, "cpu")
    model = load_model(shop.source, "cpu")
    failure = failure_of(lambda: modelopt_adapter.quantize(model, plan, batches, roundtrip.quiet_step()))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert f"effectiveBits {bits} cannot be reached" in failure.message
    assert least in failure.message
    assert failure.remedy.startswith(f"Set spec.quantization.auto.effectiveBits to {least.split()[-1]} or more")


def test_a_cache_format_without_scales_in_a_checkpoint_is_refused(shop: roundtrip.Workshop) -> None:
    plan = CandidatePlan(method=Method.FP8, kv_cache=KVCache.INT8)
    model = load_model(shop.source, "cpu")
    failure = failure_of(lambda: modelopt_adapter.quantize(model, plan, [], roundtrip.quiet_step()))
    assert failure.reason is Reason.QUANTIZATION_NOT_SUPPORTED
    assert "INT8 KV cache" in failure.message


def test_what_modelopt_cannot_do_is_told_in_its_words(shop: roundtrip.Workshop, tmp_path: Path) -> None:
    plan = CandidatePlan(method=Method.INT4_AWQ, group_size=96)
    model, batches = load_model(shop.source, "cpu"), shop.calibration.batches(4, "cpu")
    failure = failure_of(lambda: _ship(model, plan, batches, tmp_path))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert failure.message.startswith("ModelOpt cannot quantize this model to INT4AWQ: ")


def _ship(model: object, plan: CandidatePlan, batches: list[torch.Tensor], directory: Path) -> None:
    quantized = modelopt_adapter.quantize(model, plan, batches, roundtrip.quiet_step())
    modelopt_adapter.export(quantized, plan, directory, torch.bfloat16)


def test_running_out_of_memory_is_no_verdict_on_the_method(
    shop: roundtrip.Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelopt.torch.quantization as mtq

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(mtq, "quantize", full)
    with pytest.raises(RuntimeError, match="out of memory"):
        _ship(None, roundtrip.PLANS["INT8WeightOnly"], [], Path("nowhere"))


def test_modelopt_says_nothing_on_stdout(
    shop: roundtrip.Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.export(roundtrip.PLANS["INT4AWQ"], tmp_path / "out", simulate=False)
    assert capsys.readouterr().out == ""
