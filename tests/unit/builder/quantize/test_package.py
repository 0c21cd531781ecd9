"""Every reader finds in the artifact's directory what it needs: bases of rotation, group sizes, tokenizer, types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from support import roundtrip
from trtllm_builder.checkpoint import load_model, load_tokenizer
from trtllm_builder.quantize.evaluation import measure_source
from trtllm_builder.quantize.package import complete, stored_type

from .conftest import Make

_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def _variant(source: Path, target: Path, **changes: Any) -> Path:
    """The source with other settings; None removes one."""
    shutil.copytree(source, target)

    def change(config: dict[str, Any]) -> None:
        config.update(changes)
        for key in [key for key, value in config.items() if value is None]:
            del config[key]

    roundtrip.edit_config(target, change)
    return target


def _ship(source: Path, target: Path) -> Path:
    artifact = roundtrip.workshop(source, "cpu").export(roundtrip.PLANS["INT8WeightOnly"], target, simulate=False)
    return artifact.directory


def _config(directory: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return value


def _base_for_old_readers(config: dict[str, Any]) -> float:
    """As transformers 4's LlamaConfig reads it: it knows no rope_parameters, and falls back in silence."""
    return float(config.get("rope_theta", 10000.0))


@pytest.mark.parametrize("name", [*roundtrip.PLANS, "NVFP4"])
def test_the_base_of_the_rotation_is_the_sources_for_old_and_new_readers(made: Make, name: str) -> None:
    config = made(name).config
    assert _base_for_old_readers(config) == 50000.0
    assert config["rope_parameters"]["rope_theta"] == 50000.0
    assert "rope_scaling" not in config


@pytest.mark.parametrize("style", ["transformers 4", "transformers 5"])
def test_a_scaled_rotation_is_the_sources_for_old_and_new_readers(source: Path, tmp_path: Path, style: str) -> None:
    old = style == "transformers 4"
    scaled = _variant(
        source,
        tmp_path / "source",
        rope_theta=500000.0 if old else None,
        rope_scaling=_LLAMA3 if old else None,
        rope_parameters=None if old else {**_LLAMA3, "rope_theta": 500000.0},
    )
    directory = _ship(scaled, tmp_path / "out")
    config = _config(directory)
    assert _base_for_old_readers(config) == 500000.0
    assert config["rope_scaling"] == _LLAMA3
    assert torch.equal(
        load_model(directory, "cpu").model.rotary_emb.inv_freq, load_model(scaled, "cpu").model.rotary_emb.inv_freq
    )


def test_a_reader_of_the_old_fields_alone_computes_the_same(source: Path, made: Make, tmp_path: Path) -> None:
    scaled = _variant(source, tmp_path / "source", rope_parameters={**_LLAMA3, "rope_theta": 500000.0})
    directory = _ship(scaled, tmp_path / "out")
    shop = roundtrip.workshop(source, "cpu")
    both = measure_source(load_model(directory, "cpu"), shop.evaluation, roundtrip.quiet_step())
    roundtrip.edit_config(directory, lambda config: config.pop("rope_parameters"))
    assert measure_source(load_model(directory, "cpu"), shop.evaluation, roundtrip.quiet_step()).perplexity == (
        both.perplexity
    )
    unscaled = measure_source(
        load_model(made("INT8WeightOnly").directory, "cpu"), shop.evaluation, roundtrip.quiet_step()
    )
    assert unscaled.perplexity != both.perplexity


def _packaged(source: dict[str, Any], exported: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """What `complete` makes of two config.json files."""
    for name, config in (("source", source), ("out", exported)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    complete(tmp_path / "source", tmp_path / "out")
    return _config(tmp_path / "out")


def test_a_rotation_of_a_part_of_the_head_is_told_to_old_readers(tmp_path: Path) -> None:
    rope = {"rope_type": "default", "rope_theta": 1e6, "partial_rotary_factor": 0.5}
    config = _packaged({"rope_theta": 1e6, "partial_rotary_factor": 0.5}, {"rope_parameters": rope}, tmp_path)
    assert (config["rope_theta"], config["partial_rotary_factor"]) == (1e6, 0.5)
    assert "rope_scaling" not in config


def test_a_rotation_for_each_type_of_layer_is_told_to_old_readers(tmp_path: Path) -> None:
    original = {"text_config": {"rope_theta": 1e6, "rope_local_base_freq": 10000.0}}
    rope = {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    text = _packaged(original, {"text_config": {"rope_parameters": rope}}, tmp_path)["text_config"]
    assert (text["rope_theta"], text["rope_local_base_freq"], text["rope_parameters"]) == (1e6, 10000.0, rope)


def test_a_model_without_rotation_gets_none(tmp_path: Path) -> None:
    assert not [key for key in _packaged({"n_head": 4}, {"n_head": 4}, tmp_path) if "rope" in key]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("INT4WeightOnly-32", 32),
        ("INT4WeightOnly-64", 64),
        ("INT4WeightOnly-128", 128),
        ("INT4AWQ", 64),
        ("W4A8AWQ", 128),
        ("NVFP4", 16),
    ],
)
def test_the_group_size_is_in_config_json_and_true(made: Make, name: str, size: int) -> None:
    artifact = made(name)
    assert artifact.config["quantization_config"]["group_size"] == size
    scale = load_file(artifact.directory / "model.safetensors")["model.layers.0.mlp.down_proj.weight_scale"]
    assert scale.shape == (256, 512 // size)


def test_what_no_group_shares_has_no_group_size(made: Make) -> None:
    assert "group_size" not in made("INT8WeightOnly").config["quantization_config"]


@pytest.mark.parametrize("name", ["FP8", "INT4AWQ", "Auto"])
def test_the_tokenizer_its_template_and_the_generation_settings_ship(source: Path, made: Make, name: str) -> None:
    directory = made(name).directory
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (directory / file).read_bytes() == (source / file).read_bytes()
    settings = [json.loads((path / "generation_config.json").read_text()) for path in (source, directory)]
    assert [setting["eos_token_id"] for setting in settings] == [1, 1]
    messages = [{"role": "user", "content": "Hello"}]
    told = [
        load_tokenizer(path).apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        for path in (source, directory)
    ]
    assert told[0] == told[1] == "<|user|>Hello<|end|><|assistant|>"


def test_generation_settings_of_the_source_ship_unchanged(source: Path, tmp_path: Path) -> None:
    changed = _variant(source, tmp_path / "source")
    path = changed / "generation_config.json"
    settings = {
        **json.loads(path.read_text()),
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
        "eos_token_id": [1, 3],
    }
    path.write_text(json.dumps(settings))
    shipped = json.loads((_ship(changed, tmp_path / "out") / "generation_config.json").read_text())
    wanted = {key: settings[key] for key in ("do_sample", "temperature", "top_p", "eos_token_id")}
    assert {key: shipped.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(("dtype", "told"), [(torch.bfloat16, "BF16"), (torch.float16, "F16"), (torch.float32, "F32")])
@pytest.mark.parametrize("name", ["INT4AWQ", "FP8-cache"])
def test_what_is_not_quantized_ships_in_the_sources_type(
    source: Path, tmp_path: Path, dtype: torch.dtype, told: str, name: str
) -> None:
    typed = _variant(source, tmp_path / "source", dtype=str(dtype).removeprefix("torch."))
    tensors = load_file(source / "model.safetensors")
    save_file({key: value.to(dtype) for key, value in tensors.items()}, typed / "model.safetensors", {"format": "pt"})
    artifact = roundtrip.workshop(typed, "cpu").export(roundtrip.PLANS[name], tmp_path / "out", simulate=False)
    types = roundtrip.types(artifact.directory)
    plain = {key: kind for key, kind in types.items() if "norm" in key or "embed" in key}
    assert len(plain) == 6
    assert set(plain.values()) == {told}
    assert artifact.config["dtype"] == str(dtype).removeprefix("torch.")
    assert load_model(artifact.directory, "cpu").model.norm.weight.dtype is torch.float32


def test_embeddings_ship_bit_by_bit(source: Path, made: Make) -> None:
    name = "model.embed_tokens.weight"
    shipped = load_file(made("FP8").directory / "model.safetensors")[name]
    assert torch.equal(shipped, load_file(source / "model.safetensors")[name])


@pytest.mark.parametrize(
    ("config", "dtype"),
    [({"torch_dtype": "float16"}, torch.float16), ({"dtype": "float32"}, torch.float32), ({}, torch.bfloat16)],
)
def test_the_stored_type_is_read_from_old_and_new_configurations(
    tmp_path: Path, config: dict[str, str], dtype: torch.dtype
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert stored_type(tmp_path) is dtype
