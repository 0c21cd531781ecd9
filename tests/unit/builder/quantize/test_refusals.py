"""A checkpoint that has lost anything is refused by name; a loader that drops scales in silence answers nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from support import roundtrip
from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_for_inference, load_model
from trtllm_builder.failure import BuilderFailure

from .conftest import Make, failure_of

Copied = Callable[[str], Path]
_LAYER = "model.layers.1.self_attn.o_proj"


def _refused(directory: Path) -> BuilderFailure:
    return failure_of(lambda: load_model(directory, "cpu"))


def _corrupt(directory: Path, *names: str) -> None:
    failure = _refused(directory)
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    for name in names:
        assert name in failure.message
    assert failure.remedy


def _drop(directory: Path, *names: str) -> Path:
    def without(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in tensors.items() if name not in names}

    before = len(roundtrip.types(directory))
    roundtrip.edit_tensors(directory, without)
    assert len(roundtrip.types(directory)) == before - len(names)
    return directory


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("FP8", "weight_scale"),
        ("FP8", "input_scale"),
        ("FP8PerChannelPerToken", "weight_scale"),
        ("INT8SmoothQuant", "weight_scale"),
        ("INT8SmoothQuant", "input_scale"),
        ("INT8WeightOnly", "weight_scale"),
        ("INT4WeightOnly-64", "weight_scale"),
        ("INT4AWQ", "weight_scale"),
        ("W4A8AWQ", "weight_scale"),
        ("W4A8AWQ", "weight_scale_2"),
        ("W4A8AWQ", "input_scale"),
        ("NVFP4", "weight_scale"),
        ("NVFP4", "weight_scale_2"),
        ("NVFP4", "input_scale"),
        ("Auto", "weight_scale"),
    ],
)
def test_a_lost_scale_is_refused_with_the_layers_name(copied: Copied, name: str, scale: str) -> None:
    _corrupt(_drop(copied(name), f"{_LAYER}.{scale}"), _LAYER, scale)


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_a_layer_that_lost_all_its_scales_is_refused(copied: Copied, name: str) -> None:
    directory = copied(name)
    scales = [tensor for tensor in roundtrip.types(directory) if tensor.startswith(_LAYER) and "scale" in tensor]
    _corrupt(_drop(directory, *scales), _LAYER)


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_weights_without_any_scales_are_refused(copied: Copied, name: str) -> None:
    directory = copied(name)
    _corrupt(_drop(directory, *(tensor for tensor in roundtrip.types(directory) if "scale" in tensor)))


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_a_checkpoint_that_does_not_say_that_it_is_quantized_is_refused(copied: Copied, name: str) -> None:
    directory = copied(name)
    roundtrip.edit_config(directory, lambda config: config.pop("quantization_config"))
    _corrupt(directory)


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_packed_weights_alone_are_refused(copied: Copied, name: str) -> None:
    directory = copied(name)
    roundtrip.edit_config(directory, lambda config: config.pop("quantization_config"))
    _drop(directory, *(tensor for tensor in roundtrip.types(directory) if "scale" in tensor))
    _corrupt(directory, "model.layers.0.")


@pytest.mark.parametrize("part", ["k_proj.k_scale", "v_proj.v_scale"])
@pytest.mark.parametrize("name", ["FP8-cache", "INT8WeightOnly-cache"])
def test_a_lost_scale_of_the_cache_is_refused(copied: Copied, name: str, part: str) -> None:
    attention = "model.layers.1.self_attn"
    _corrupt(_drop(copied(name), f"{attention}.{part}"), attention, part.partition(".")[2])


def test_a_cache_that_lost_all_its_scales_is_refused(copied: Copied) -> None:
    directory = copied("FP8-cache")
    scales = [tensor for tensor in roundtrip.types(directory) if tensor.endswith((".k_scale", ".v_scale"))]
    _corrupt(_drop(directory, *scales), "KV cache")


@pytest.mark.parametrize("algorithm", ["W4A16", "NVFP4_AWQ", "FP8_PB_WO", "MXFP4", None])
def test_an_algorithm_that_is_not_computed_is_refused_by_its_name(copied: Copied, algorithm: str | None) -> None:
    directory = copied("FP8")
    roundtrip.edit_config(directory, lambda config: config["quantization_config"].update(quant_algo=algorithm))
    failure = _refused(directory)
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert str(algorithm) in failure.message
    assert "model.layers.0." in failure.message
    assert "W4A16_AWQ" in failure.remedy


def test_an_algorithm_of_one_layer_that_is_not_computed_is_refused_with_its_name(copied: Copied) -> None:
    directory = copied("Auto")

    def change(config: dict[str, dict[str, dict[str, dict[str, str]]]]) -> None:
        config["quantization_config"]["quantized_layers"][_LAYER]["quant_algo"] = "INT3"

    roundtrip.edit_config(directory, change)
    failure = _refused(directory)
    assert failure.reason is Reason.QUANTIZATION_NOT_SUPPORTED
    assert f"INT3 (layer {_LAYER})" in failure.message


def _add(directory: Path, **tensors: torch.Tensor) -> Path:
    roundtrip.edit_tensors(directory, lambda held: {**held, **tensors})
    return directory


@pytest.mark.parametrize(
    "layer", ["model.layers.7.mlp.up_proj", "model.layers.0.input_layernorm", "model.layers.0.mlp"]
)
def test_scales_for_what_is_no_linear_layer_are_refused(copied: Copied, layer: str) -> None:
    scales = {f"{layer}.{part}": torch.ones(()) for part in ("weight_scale", "input_scale")}
    _corrupt(_add(copied("FP8"), **scales), f"scales for {layer}", "not a linear layer")


def test_scales_of_a_cache_that_no_layer_has_are_refused(copied: Copied) -> None:
    layer = "model.layers.7.self_attn"
    extra = {f"{layer}.k_proj.k_scale": torch.ones(()), f"{layer}.v_proj.v_scale": torch.ones(())}
    _corrupt(_add(copied("FP8-cache"), **extra), f"scales for {layer}")


def test_tensors_that_no_layer_takes_are_refused_by_name(copied: Copied) -> None:
    _corrupt(_add(copied("FP8"), **{"model.layers.0.mlp.up_proj.lora": torch.ones(2)}), "1 tensors", "up_proj.lora")


@pytest.mark.parametrize("tensor", ["model.norm.weight", f"{_LAYER}.weight", "model.embed_tokens.weight"])
def test_tensors_that_are_missing_are_refused_by_name(copied: Copied, tensor: str) -> None:
    _corrupt(_drop(copied("FP8"), tensor), tensor.removesuffix(".weight"))


def test_a_tensor_of_another_shape_is_refused_by_name(copied: Copied) -> None:
    _corrupt(_add(copied("FP8"), **{"model.norm.weight": torch.ones(7, dtype=torch.bfloat16)}), "model.norm.weight")


@pytest.mark.parametrize(("name", "packed"), [("INT4AWQ", torch.uint8), ("FP8", torch.float8_e4m3fn)])
def test_a_packed_weight_of_another_shape_is_refused_by_name(copied: Copied, name: str, packed: torch.dtype) -> None:
    _corrupt(_add(copied(name), **{f"{_LAYER}.weight": torch.zeros(64, 256).to(packed)}), _LAYER)


def test_a_scale_of_another_shape_is_refused_by_name(copied: Copied) -> None:
    _corrupt(_add(copied("INT4AWQ"), **{f"{_LAYER}.weight_scale": torch.ones(256, 3)}), _LAYER)


def test_a_source_that_lost_a_tensor_is_refused(source: Path, tmp_path: Path) -> None:
    import shutil

    directory = Path(shutil.copytree(source, tmp_path / "source"))
    _corrupt(_drop(directory, "model.layers.0.mlp.up_proj.weight"), "model.layers.0.mlp.up_proj.weight")


def test_an_unknown_architecture_is_told_with_its_name(source: Path, tmp_path: Path) -> None:
    import shutil

    directory = Path(shutil.copytree(source, tmp_path / "source"))
    roundtrip.edit_config(directory, lambda config: config.update(model_type="perceptron"))
    failure = _refused(directory)
    assert (failure.exit_code, failure.reason) == (
        ExitCode.NOT_SUPPORTED,
        Reason.ARCHITECTURE_NOT_SUPPORTED,
    )
    assert "perceptron" in failure.message


def test_a_directory_without_a_manifest_is_not_served(made: Make) -> None:
    assert failure_of(lambda: load_for_inference(made("FP8").directory, "cpu")).message
