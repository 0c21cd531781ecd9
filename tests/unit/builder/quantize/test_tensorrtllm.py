"""checkpoint.format TensorRTLLM: ModelOpt's export in ranks holds and computes what the export in one does."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from support import roundtrip
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_builder.checkpoint import load_model, load_tokenizer
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_builder.checkpoint.ranks import cut, stages
from trtllm_builder.checkpoint.tensorrtllm import merge_ranks, read_config
from trtllm_builder.quantize.evaluation import Reference, measure, measure_source

from .conftest import assert_same_tensors, failure_of, ranked

HEADS, SHARED, LAYERS, VOCABULARY, SIZE = 8, 2, 4, 1021, 32
_LAYOUTS = {
    "None": (4, 3),
    "FP8-cache": (2, 2),
    "FP8PerChannelPerToken": (2, 1),
    "INT8SmoothQuant-cache": (1, 2),
    "INT8WeightOnly-cache": (8, 1),
    "INT4WeightOnly-64": (4, 1),
    "INT4AWQ": (2, 2),
    "W4A8AWQ": (2, 3),
}
"""Key-value heads are copied from 4 ranks on; 3 stages are of 2, 1 and 1 layers; no number of ranks divides 1021.
More ranks than these are refused for scales per channel, and for groups that would be cut."""

Exports = Callable[..., Path]


@pytest.fixture(scope="module")
def wide(wide_source: Path) -> roundtrip.Workshop:
    return roundtrip.workshop(wide_source, "cpu")


@pytest.fixture(scope="module")
def simulated(wide: roundtrip.Workshop) -> Callable[[str], Any]:
    """ModelOpt's model of each plan of RANKED."""
    known: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in known:
            known[name] = wide.quantized(roundtrip.RANKED[name], ranked())
        return known[name]

    return model


@pytest.fixture(scope="module")
def exported(
    wide: roundtrip.Workshop, simulated: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Exports:
    """Directories by plan and layout; made when first asked for, and not to be changed."""
    root = tmp_path_factory.mktemp("ranks")

    def export(name: str, tensor: int = 1, pipeline: int = 1) -> Path:
        directory = root / f"{name}-{tensor}-{pipeline}"
        if not directory.exists():
            wide.ship(simulated(name), roundtrip.RANKED[name], ranked(tensor, pipeline), directory)
        return directory

    return export


@pytest.fixture(scope="module")
def whole(wide: roundtrip.Workshop) -> Reference:
    return measure_source(load_model(wide.source, "cpu"), wide.evaluation, roundtrip.quiet_step())


def _quantized(model: Any) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, QuantizedLinear)}


@pytest.mark.parametrize("name", _LAYOUTS)
def test_every_layer_but_the_head_is_quantized_and_computes_what_modelopt_simulated(
    wide: roundtrip.Workshop, simulated: Callable[[str], Any], exported: Exports, whole: Reference, name: str
) -> None:
    directory = exported(name, *_LAYOUTS[name])
    model, shipped = simulated(name), load_model(directory, "cpu")
    predicted = model if name == "None" else roundtrip.merged(model)
    reference = measure_source(predicted, wide.evaluation, roundtrip.quiet_step())
    scores = measure(shipped, wide.evaluation, reference, roundtrip.quiet_step())
    assert abs(scores.perplexity / reference.perplexity - 1) < 0.005
    assert scores.kl_divergence < 5e-4
    assert scores.top_token_agreement > 0.95
    lost = measure(shipped, wide.evaluation, whole, roundtrip.quiet_step())
    if name == "None":
        assert lost.kl_divergence < 1e-6
        assert lost.top_token_agreement == 1
    else:
        assert len(_quantized(shipped)) == 7 * LAYERS
        assert 1e-8 < lost.kl_divergence < 0.05


@pytest.mark.parametrize(("name", "layout"), _LAYOUTS.items(), ids=_LAYOUTS)
def test_ranks_put_together_are_the_export_without_parallelism_and_cut_again_are_the_ranks(
    exported: Exports, name: str, layout: tuple[int, int]
) -> None:
    directory, (tensor, pipeline) = exported(name, *layout), layout
    names = {path.name for path in directory.glob("rank*")}
    assert names == {f"rank{rank}.safetensors" for rank in range(tensor * pipeline)}
    config = read_config(directory)
    assert config["mapping"] == {"world_size": tensor * pipeline, "tp_size": tensor, "pp_size": pipeline, "cp_size": 1}
    together = merge_ranks(exported(name))
    assert_same_tensors(merge_ranks(directory), together)
    assert not [path.name for path in directory.iterdir() if path.name.startswith(".")]
    for rank, piece in enumerate(cut(together, config)):
        assert_same_tensors(piece, load_file(directory / f"rank{rank}.safetensors"))


@pytest.mark.parametrize("name", ["FP8-cache", "INT4AWQ"])
def test_stages_are_those_that_modelopt_makes_of_layers_that_divide(
    simulated: Callable[[str], Any], exported: Exports, tmp_path: Path, name: str
) -> None:
    from modelopt.torch.export import export_tensorrt_llm_checkpoint

    model = copy.deepcopy(simulated(name))
    with torch.inference_mode(False):
        export_tensorrt_llm_checkpoint(
            model, "llama", torch.bfloat16, tmp_path, inference_tensor_parallel=2, inference_pipeline_parallel=2
        )
    directory = exported(name, 2, 2)
    # ModelOpt pads the vocabulary of AWQ
    tables = {"lm_head.weight", "transformer.vocab_embedding.weight"} if name == "INT4AWQ" else set()
    for rank in range(4):
        ours, theirs = (load_file(path / f"rank{rank}.safetensors") for path in (directory, tmp_path))
        assert set(ours) == set(theirs)
        assert_same_tensors(*({key: held[key] for key in held if key not in tables} for held in (ours, theirs)))
    config, told = read_config(directory), json.loads((tmp_path / "config.json").read_text())
    for key in set(told) - {"mapping", "vocab_size"}:
        assert config[key] == told[key], key


@pytest.mark.parametrize("tensor", [2, 4])
def test_every_rank_has_its_heads_its_columns_and_its_rows(
    wide: roundtrip.Workshop, exported: Exports, tensor: int
) -> None:
    source = load_file(wide.source / "model.safetensors")
    layer = "model.layers.3"
    heads = {
        part: source[f"{layer}.self_attn.{part}_proj.weight"].reshape(-1, SIZE, HEADS * SIZE)
        for part in ("q", "k", "v")
    }
    for rank in range(tensor):
        tensors = load_file(exported("None", tensor, 1) / f"rank{rank}.safetensors")
        ours, theirs = HEADS // tensor, max(1, SHARED // tensor)
        first = rank * ours * SHARED // HEADS
        wanted = [heads["q"][rank * ours : (rank + 1) * ours], *(heads[part][first : first + theirs] for part in "kv")]
        prefix = "transformer.layers.3"
        assert torch.equal(tensors[f"{prefix}.attention.qkv.weight"], torch.cat(wanted).reshape(-1, HEADS * SIZE))
        up = source[f"{layer}.mlp.up_proj.weight"].chunk(tensor)[rank]
        assert torch.equal(tensors[f"{prefix}.mlp.gate.weight"], up)
        gate = source[f"{layer}.mlp.gate_proj.weight"].chunk(tensor)[rank]
        assert torch.equal(tensors[f"{prefix}.mlp.fc.weight"], gate)
        down = source[f"{layer}.mlp.down_proj.weight"].chunk(tensor, dim=1)[rank]
        assert torch.equal(tensors[f"{prefix}.mlp.proj.weight"], down)
        rows = -(-VOCABULARY // tensor)
        table = torch.nn.functional.pad(source["model.embed_tokens.weight"], (0, 0, 0, rows * tensor - VOCABULARY))
        for name in ("lm_head.weight", "transformer.vocab_embedding.weight"):
            assert torch.equal(tensors[name], table[rank * rows : (rank + 1) * rows])


def test_a_copy_of_a_key_that_differs_is_refused(exported: Exports, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(exported("INT8WeightOnly-cache", 8, 1), tmp_path / "damaged"))
    path, name = directory / "rank5.safetensors", "transformer.layers.2.attention.qkv.weight"
    tensors = load_file(path)
    # of 3 heads: a query, a key, a value
    tensors[name][SIZE : 2 * SIZE] *= 2
    save_file(tensors, path)
    assert f"The keys and values of {name} differ" in failure_of(lambda: load_model(directory, "cpu")).message


def test_layers_that_do_not_divide_go_to_the_first_stages(exported: Exports) -> None:
    assert stages(LAYERS, 3) == [range(2), range(2, 3), range(3, 4)]
    held = []
    for rank in range(3):
        names = load_file(exported("None", 1, 3) / f"rank{rank}.safetensors")
        held.append({name.split(".")[2] for name in names if ".layers." in name})
        assert ("transformer.vocab_embedding.weight" in names) == (rank == 0)
        assert ("lm_head.weight" in names) == ("transformer.ln_f.weight" in names) == (rank == 2)
    assert held == [{"0", "1"}, {"0"}, {"0"}]


_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


@pytest.mark.parametrize("style", ["transformers 4", "transformers 5"])
def test_a_scaled_rotation_is_kept(source: Path, tmp_path: Path, style: str) -> None:
    scaled, old = Path(shutil.copytree(source, tmp_path / "source")), style == "transformers 4"

    def change(config: dict[str, Any]) -> None:
        del config["rope_parameters"]
        new = {"rope_parameters": {**_LLAMA3, "rope_theta": 500000.0}}
        config.update({"rope_theta": 500000.0, "rope_scaling": _LLAMA3} if old else new)

    roundtrip.edit_config(scaled, change)
    shop = roundtrip.workshop(scaled, "cpu")
    plan = roundtrip.RANKED["INT8WeightOnly"]
    directory = shop.ship(shop.quantized(plan, ranked()), plan, ranked(2), tmp_path / "out")
    config = read_config(directory)
    assert config["rotary_base"] == 500000.0
    assert {key: config["rotary_scaling"][key] for key in _LLAMA3} == _LLAMA3
    assert config["rotary_scaling"]["type"] == "llama3"
    assert torch.equal(
        load_model(directory, "cpu").model.rotary_emb.inv_freq, load_model(scaled, "cpu").model.rotary_emb.inv_freq
    )


_SAID: dict[str, dict[str, object]] = {
    "None": {"quant_algo": None, "kv_cache_quant_algo": None},
    "FP8-cache": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"},
    "FP8PerChannelPerToken": {"quant_algo": "FP8_PER_CHANNEL_PER_TOKEN", "kv_cache_quant_algo": None},
    "INT8SmoothQuant-cache": {"quant_algo": "W8A8_SQ_PER_CHANNEL", "kv_cache_quant_algo": "INT8"},
    "INT8WeightOnly-cache": {"quant_algo": "W8A16", "kv_cache_quant_algo": "INT8"},
    "INT4WeightOnly-64": {"quant_algo": "W4A16_AWQ", "group_size": 64, "pre_quant_scale": False},
    "INT4AWQ": {"quant_algo": "W4A16_AWQ", "group_size": 64, "pre_quant_scale": True},
    "W4A8AWQ": {"quant_algo": "W4A8_AWQ", "group_size": 128, "pre_quant_scale": True},
}


def test_quantization_vocabulary_and_rotation_are_said_as_engines_read_them(exported: Exports) -> None:
    for name, said in _SAID.items():
        config = read_config(exported(name, *_LAYOUTS[name]))
        assert (config["vocab_size"], config["rotary_base"]) == (VOCABULARY, 50000.0), name
        assert {key: config["quantization"][key] for key in said} == said
        assert name == "None" or "lm_head" in config["quantization"]["exclude_modules"], name


@pytest.mark.parametrize("name", ["FP8-cache", "INT8SmoothQuant-cache"])
def test_the_caches_scales_are_used(wide: roundtrip.Workshop, exported: Exports, tmp_path: Path, name: str) -> None:
    directory = Path(shutil.copytree(exported(name), tmp_path / "damaged"))
    path = directory / "rank0.safetensors"
    tensors = {
        key: tensor / 512 if key.endswith("cache_scaling_factor") else tensor for key, tensor in load_file(path).items()
    }
    save_file(tensors, path)
    reference = measure_source(load_model(exported(name), "cpu"), wide.evaluation, roundtrip.quiet_step())
    scores = measure(load_model(directory, "cpu"), wide.evaluation, reference, roundtrip.quiet_step())
    assert scores.kl_divergence > 0.003


def test_smoothing_moves_by_alpha(exported: Exports) -> None:
    one, half = (merge_ranks(exported(name)) for name in ("INT8SmoothQuant-cache", "INT8SmoothQuant-alpha"))
    name = "transformer.layers.0.mlp.proj.prequant_scaling_factor"
    assert not torch.allclose(one[name].float(), half[name].float(), rtol=0.05)


def test_the_tokenizer_and_the_sources_configuration_ship(wide: roundtrip.Workshop, exported: Exports) -> None:
    directory = exported("FP8-cache", 2, 2)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (directory / file).read_bytes() == (wide.source / file).read_bytes()
    assert (directory / "hf_config.json").read_bytes() == (wide.source / "config.json").read_bytes()
    assert load_tokenizer(directory)("Hello")["input_ids"] == load_tokenizer(wide.source)("Hello")["input_ids"]


def _exclusions(directory: Path) -> list[str]:
    found: list[str] = read_config(directory)["quantization"]["exclude_modules"]
    return found


@pytest.mark.parametrize(
    ("method", "patterns", "pipeline", "kept"),
    [
        (
            Method.INT8_WEIGHT_ONLY,
            ("*.o_proj",),
            2,
            {f"transformer.layers.{layer}.attention.dense" for layer in range(2)},
        ),
        (
            Method.INT4_WEIGHT_ONLY,
            ("model.layers.1",),
            1,
            {f"transformer.layers.1.{part}" for part in ("attention.dense", "attention.qkv")},
        ),
        (
            Method.FP8,
            ("layers.0.mlp", "layers.2.mlp"),
            2,
            {f"transformer.layers.0.mlp.{part}" for part in ("fc", "gate", "proj")},
        ),
    ],
)
def test_excluded_modules_ship_as_they_were_and_are_named_within_their_stage(
    wide: roundtrip.Workshop,
    tmp_path: Path,
    method: Method,
    patterns: tuple[str, ...],
    pipeline: int,
    kept: set[str],
) -> None:
    group = 64 if method is Method.INT4_WEIGHT_ONLY else None
    plan = CandidatePlan(method=method, group_size=group, exclude_modules=patterns)
    model = wide.quantized(plan, ranked(2, pipeline))
    reference = measure_source(roundtrip.merged(model), wide.evaluation, roundtrip.quiet_step())
    directory = wide.ship(model, plan, ranked(2, pipeline), tmp_path / "out")
    excluded = _exclusions(directory)
    assert kept <= set(excluded)
    if method is Method.INT8_WEIGHT_ONLY:
        assert all(any(fnmatchcase(f"{name}.weight", pattern) for pattern in excluded) for name in kept)
    shipped = load_model(directory, "cpu")
    scores = measure(shipped, wide.evaluation, reference, roundtrip.quiet_step())
    assert scores.kl_divergence < 5e-4
    quantized = _quantized(shipped)
    assert 0 < len(quantized) < 7 * LAYERS
    assert not [name for name in quantized if fnmatchcase(name, f"*{patterns[0].strip('*.')}*")]


def test_whole_blocks_are_excluded_with_their_norms_where_the_format_is_of_blocks(
    wide: roundtrip.Workshop, tmp_path: Path
) -> None:
    plan = CandidatePlan(method=Method.FP8_PER_CHANNEL_PER_TOKEN, exclude_modules=("*.self_attn",))
    directory = wide.ship(wide.quantized(plan, ranked()), plan, ranked(2, 2), tmp_path / "out")
    blocks = {f"transformer.layers.{layer}.{part}" for layer in range(2) for part in ("attention", "input_layernorm")}
    assert blocks | {"*ln_f", "*ln_embed"} <= set(_exclusions(directory))
    assert len(_quantized(load_model(directory, "cpu"))) == 3 * LAYERS


_MIX = AutoQuantization(effective_bits="7.5", candidates=(Method.INT4_AWQ, Method.FP8))


def test_autos_recipe_survives_and_is_the_same_in_every_stage(wide: roundtrip.Workshop, tmp_path: Path) -> None:
    plan = CandidatePlan(method=Method.AUTO, group_size=None, kv_cache=KVCache.FP8, auto=_MIX)
    checkpoint = ranked(2, 3)
    model = wide.quantized(plan, checkpoint)
    reference = measure_source(roundtrip.merged(model), wide.evaluation, roundtrip.quiet_step())
    directory = wide.ship(model, plan, checkpoint, tmp_path / "out")
    quantization = read_config(directory)["quantization"]
    assert (quantization["quant_algo"], quantization["kv_cache_quant_algo"]) == ("MIXED_PRECISION", "FP8")
    layers = quantization["quantized_layers"]
    assert {layer["quant_algo"] for layer in layers.values()} == {"FP8", "W4A16_AWQ"}
    assert {name.split(".")[2] for name in layers} <= {str(number) for number in range(2)}
    scores = measure(load_model(directory, "cpu"), wide.evaluation, reference, roundtrip.quiet_step())
    assert scores.kl_divergence < 5e-4
    assert_same_tensors(merge_ranks(directory), merge_ranks(wide.ship(model, plan, ranked(), tmp_path / "one")))
