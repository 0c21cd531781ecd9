"""What a TensorRT-LLM checkpoint cannot hold is told in one sentence; one that lost anything is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from support import roundtrip
from trtllm_api.contract import ExitCode
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import AutoQuantization, Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_model
from trtllm_builder.quantize.ranks_refusals import export_failure, refuse_layout

from .conftest import failure_of, ranked

Ranks = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(shop: roundtrip.Workshop, tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two ranks by name of RANKED, not to be changed."""
    root = tmp_path_factory.mktemp("two")

    def make(name: str) -> Path:
        if not (root / name).exists():
            plan = roundtrip.RANKED[name]
            shop.ship(shop.quantized(plan, ranked(2)), plan, ranked(2), root / name)
        return root / name

    return make


@pytest.fixture
def copied(made: Ranks, tmp_path: Path) -> Ranks:
    """A checkpoint of its own, to be damaged."""
    return lambda name: Path(shutil.copytree(made(name), tmp_path / name))


def _edit(directory: Path, change: Callable[[dict[str, torch.Tensor]], object], *ranks: int) -> Path:
    for rank in ranks or (0, 1):
        path = directory / f"rank{rank}.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
    return directory


def _corrupt(directory: Path, *said: str) -> None:
    failure = failure_of(lambda: load_model(directory, "cpu"))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    for words in said:
        assert words in failure.message
    assert failure.remedy


_O_PROJ = "transformer.layers.1.attention.dense"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("FP8", "weights_scaling_factor"),
        ("FP8", "activation_scaling_factor"),
        ("FP8PerChannelPerToken", "per_channel_scale"),
        ("INT8SmoothQuant", "activation_scaling_factor"),
        ("INT8SmoothQuant", "prequant_scaling_factor"),
        ("INT4AWQ", "prequant_scaling_factor"),
        ("INT4AWQ", "weights_scaling_factor"),
        ("W4A8AWQ", "weights_scaling_factor_2"),
        ("W4A8AWQ", "activation_scaling_factor"),
        ("FP8", "weight"),
        ("None", "weight"),
    ],
)
def test_a_lost_tensor_is_refused_with_the_layers_name(copied: Ranks, name: str, part: str) -> None:
    directory = _edit(copied(name), lambda tensors: tensors.pop(f"{_O_PROJ}.{part}"))
    failure = failure_of(lambda: load_model(directory, "cpu"))
    assert failure.reason is Reason.ARTIFACT_CORRUPT
    assert "layers.1" in failure.message


def test_a_tensor_that_only_some_ranks_hold_is_refused(copied: Ranks) -> None:
    directory = _edit(copied("FP8"), lambda tensors: tensors.pop(f"{_O_PROJ}.weight"), 1)
    _corrupt(directory, f"{_O_PROJ}.weight is in some ranks of stage 0, but not in all")


def test_what_every_rank_must_hold_alike_is_refused_when_it_differs(copied: Ranks) -> None:
    directory = _edit(copied("FP8"), lambda tensors: tensors["transformer.ln_f.weight"].add_(1), 1)
    _corrupt(directory, "transformer.ln_f.weight differs between ranks in which it should be equal")


def test_a_lost_scale_of_the_cache_is_refused(copied: Ranks) -> None:
    directory = _edit(
        copied("FP8-cache"), lambda tensors: tensors.pop(_O_PROJ.replace("dense", "kv_cache_scaling_factor"))
    )
    _corrupt(directory, "KV cache in config.json is FP8", "layer 1")


def test_a_missing_rank_is_refused_by_its_name(copied: Ranks) -> None:
    directory = copied("FP8")
    (directory / "rank1.safetensors").unlink()
    _corrupt(directory, "rank1.safetensors is missing; config.json has 2 ranks")


def test_a_rank_too_many_layers_or_too_few_are_refused(copied: Ranks) -> None:
    directory = copied("FP8")
    roundtrip.edit_config(directory, lambda config: config.update(num_hidden_layers=3))
    _corrupt(directory, "3 layers", "the ranks have 2")


@pytest.mark.parametrize(
    ("name", "excluded", "said"),
    [
        (
            "FP8",
            ["lm_head", _O_PROJ],
            f"The weight of {_O_PROJ} is packed, but is not quantized according to config.json",
        ),
        ("INT4AWQ", ["lm_head", "*attention.qkv"], "attention.qkv is packed"),
        ("FP8", ["nothing"], "The weight of lm_head is FP8, but not packed"),
        ("FP8PerChannelPerToken", ["lm_head", "*layers.1.mlp"], "transformer.layers.1.mlp.fc is packed"),
        ("INT8WeightOnly", ["lm_head", _O_PROJ], f"names only one of {_O_PROJ} and {_O_PROJ}.weight"),
    ],
)
def test_exclusions_that_do_not_fit_the_tensors_are_refused(
    copied: Ranks, name: str, excluded: list[str], said: str
) -> None:
    directory = copied(name)
    roundtrip.edit_config(directory, lambda config: config["quantization"].update(exclude_modules=excluded))
    _corrupt(directory, said)


def test_a_checkpoint_that_does_not_say_that_it_is_quantized_is_refused(copied: Ranks) -> None:
    for name in ("FP8", "INT4AWQ", "INT8SmoothQuant"):
        directory = copied(name)
        roundtrip.edit_config(directory, lambda config: config.update(quantization={"quant_algo": None}))
        _corrupt(directory, "packed")


@pytest.mark.parametrize("algorithm", ["NVFP4", "W8A16_GPTQ", "W4A8_QSERVE_PER_GROUP"])
def test_an_algorithm_that_is_not_computed_is_refused_by_its_name(copied: Ranks, algorithm: str) -> None:
    directory = copied("FP8")
    roundtrip.edit_config(directory, lambda config: config["quantization"].update(quant_algo=algorithm))
    failure = failure_of(lambda: load_model(directory, "cpu"))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert algorithm in failure.message


def test_a_mix_without_its_recipe_is_refused(copied: Ranks) -> None:
    directory = copied("FP8")
    roundtrip.edit_config(directory, lambda config: config["quantization"].update(quant_algo="MIXED_PRECISION"))
    _corrupt(directory, "MIXED_PRECISION, but there is no quant_cfg.json")
    (directory / "quant_cfg.json").write_text(json.dumps({"quantized_layers": {}}))
    _corrupt(directory, "packed")


def _config(**changes: Any) -> Any:
    values = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        **changes,
    }
    return transformers.LlamaConfig(**values)


_QWEN2_72B = {"intermediate_size": 29568}
_AWQ = CandidatePlan(method=Method.INT4_AWQ, group_size=128)
_FP8 = CandidatePlan(method=Method.FP8)


@pytest.mark.parametrize(
    ("plan", "checkpoint", "changes", "said", "remedy"),
    [
        (_FP8, ranked(3), {}, "64 attention heads are not divisible by 3", "tensor to one of 1, 2, 4, 8, 16, 32, 64."),
        (
            _FP8,
            ranked(4),
            {"num_attention_heads": 48, "num_key_value_heads": 6, "hidden_size": 6144},
            "6 key-value heads and 4 ranks do not divide each other",
            "tensor to one of 1, 2, 3, 6, 12, 24, 48.",
        ),
        (
            _FP8,
            ranked(1, 64),
            {"num_hidden_layers": 32},
            "32 layers, but 64 stages",
            "pipeline to 32 or less.",
        ),
        (_AWQ, ranked(8), _QWEN2_72B, "29568 input columns on 8 ranks are 3696 per rank", "tensor to one of 1."),
        (
            CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=32),
            ranked(),
            {},
            "groups of 64 or 128 columns, not of 32",
            "groupSize to 64 or 128.",
        ),
        (
            CandidatePlan(method=Method.INT8_SMOOTH_QUANT),
            ranked(16),
            {},
            "ModelOpt cannot copy 8 key-value heads to 16 ranks with INT8SmoothQuant's scales per channel",
            "tensor to one of 1, 2, 4, 8.",
        ),
        (CandidatePlan(method=Method.NVFP4), ranked(2), {}, "TensorRT-LLM checkpoint in NVFP4", "runtime PyTorch"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_from_the_configuration(
    plan: CandidatePlan, checkpoint: Checkpoint, changes: dict[str, Any], said: str, remedy: str
) -> None:
    failure = failure_of(lambda: refuse_layout(plan, checkpoint, _config(**changes)))
    assert (failure.exit_code, failure.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert said in failure.message
    assert remedy in failure.remedy


@pytest.mark.parametrize("checkpoint", [ranked(8), ranked(16), ranked(8, 3), ranked(1, 64)])
def test_a_layout_that_can_be_is_not_refused(checkpoint: Checkpoint) -> None:
    refuse_layout(_FP8, checkpoint, _config())


def test_an_architecture_that_is_not_put_together_here_is_told() -> None:
    failure = failure_of(lambda: refuse_layout(_FP8, ranked(), _config(architectures=["FalconForCausalLM"])))
    assert failure.reason is Reason.ARCHITECTURE_NOT_SUPPORTED
    assert "FalconForCausalLM" in failure.message
    assert "format to HuggingFace and use runtime PyTorch" in failure.remedy


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NotImplementedError(
                "Weight shape 256 of each TP tp=4 is not divisible for block size 128 for block quantization."
            ),
            "256 input columns on 4 ranks are 64 per rank, not a multiple of the group size 128",
        ),
        (
            NotImplementedError("Duplicating KV heads per-channel scales is not supported"),
            "cannot copy 8 key-value heads",
        ),
        (
            AssertionError(
                "Cannot pack weight with input dimension 576 and block size 128: partial blocks are not supported."
            ),
            "576 input columns are not a multiple of the group size 128.",
        ),
    ],
)
def test_modelopts_assertions_are_told_with_their_numbers(error: Exception, said: str) -> None:
    failure = export_failure(_AWQ, ranked(16), _config(), error)
    assert failure.reason is Reason.QUANTIZATION_NOT_SUPPORTED
    assert said in failure.message


@pytest.mark.parametrize(
    ("plan", "checkpoint", "said"),
    [
        (
            CandidatePlan(method=Method.FP8, exclude_modules=("*.k_proj",)),
            ranked(),
            "q_proj, k_proj and v_proj",
        ),
        (
            CandidatePlan(method=Method.FP8, exclude_modules=("model.layers.0",)),
            ranked(1, 2),
            "is quantized differently from transformer.layers.0.attention.dense of another pipeline stage",
        ),
        (
            CandidatePlan(method=Method.FP8_PER_CHANNEL_PER_TOKEN, exclude_modules=("*.o_proj",)),
            ranked(),
            "names only a part of transformer.layers.0.attention",
        ),
        (
            CandidatePlan(
                method=Method.AUTO,
                auto=AutoQuantization(
                    effective_bits="7.5", candidates=(Method.INT4_AWQ, Method.FP8_PER_CHANNEL_PER_TOKEN)
                ),
            ),
            ranked(),
            "quantizes whole blocks to FP8_PER_CHANNEL_PER_TOKEN",
        ),
    ],
)
def test_a_recipe_that_a_tensorrt_llm_checkpoint_cannot_say_is_refused(
    shop: roundtrip.Workshop, tmp_path: Path, plan: CandidatePlan, checkpoint: Checkpoint, said: str
) -> None:
    model = shop.quantized(plan, checkpoint)
    failure = failure_of(lambda: shop.ship(model, plan, checkpoint, tmp_path / "out"))
    assert failure.reason is Reason.QUANTIZATION_NOT_SUPPORTED
    assert said in failure.message
    assert failure.remedy
