"""EngineBuild, runtime TensorRT: what convert_checkpoint.py makes of sources, also of those that others quantized."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.cluster_engines import SOURCE, STORE, answer, build, engine, released
from support.cluster_world import World


def source_of(path: str) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": "engine-models", "path": path}}


TWO, SMOOTH = {"tensor": 2}, {"alpha": "0.5", "perChannel": True, "perToken": True}
CONVERTED: dict[str, tuple[str, dict[str, Any]]] = {
    # two ranks, one after the other on one GPU
    "int8": ("1.2.1", {"parallelism": TWO, "convert": {"weightOnly": "INT8"}, "build": {"gpus": 1}}),
    "int4": ("1.0.0", {"parallelism": {"tensor": 1}, "convert": {"weightOnly": "INT4"}}),
    "smooth": ("0.20.0", {"parallelism": TWO, "convert": {"smoothQuant": SMOOTH}}),
    "gptq": ("1.2.1", {"parallelism": {"tensor": 1}, "source": source_of("gptq")}),
    "awq": ("1.2.1", {"parallelism": {"tensor": 1}, "source": source_of("autoawq")}),
}
RECOGNISED = (
    ("gptq-reordered", "TensorRT", ("desc_act", "INT4AWQ")),
    ("autoawq-32", "TensorRT", ("AutoAWQ", "group size 32", "64 and 128")),
    ("autoawq", "PyTorch", ("AutoAWQ", "PyTorch", "runtime TensorRT")),
    ("compressed", "PyTorch", ("compressed-tensors", "group size 64", "Quantize the original")),
)
RECIPE = {
    "method": "Auto",
    "auto": {"effectiveBits": "7.0", "candidates": ["INT4AWQ", "FP8"]},
    "excludeModules": ["layers.0.mlp.down_proj"],
}


@pytest.fixture(scope="module")
def created(engines: World, doubles: Callable[[str], str]) -> World:
    """All at once: each waits for its stages, and they wait side by side."""
    engines.quantized_model(
        "recipe",
        source=SOURCE,
        checkpoint={"format": "TensorRTLLM"},
        quantization=RECIPE,
        calibration={"samples": 8, "sequenceLength": 128},
        quality={"maxPerplexityIncrease": "50%", "minTopTokenAgreement": "50%"},
        storage=STORE,
    )
    for name, (version, spec) in CONVERTED.items():
        build(engines, name, doubles(version), serving={}, **spec)
    one = {"tensor": 1}
    for path, runtime, _ in RECOGNISED:
        build(engines, path, doubles("1.2.1"), source=source_of(path), runtime=runtime, parallelism=one, serving={})
    return engines


def test_weight_only_smooth_quant_gptq_and_autoawq_become_engines_that_answer_in_every_version(created: World) -> None:
    with released(created, *CONVERTED):
        for name, (version, spec) in CONVERTED.items():
            created.wait_for("eb", name, "Ready", 400)
            built = created.get("eb", name)["status"]["engine"]
            assert (built["version"], built["world"]) == (version, spec["parallelism"]["tensor"])
            assert answer(created, name)
        algorithms = {name: quantization(created, name)["quant_algo"] for name in CONVERTED}
        [job] = [job for job in created.jobs("int8", "EngineBuild") if stage_of(job) == "build"]
        gpus = job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert algorithms == {
        "int8": "W8A16",
        "int4": "W4A16",
        "smooth": "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN",
        "gptq": "W4A16_GPTQ",
        "awq": "W4A16_GPTQ",
    }
    assert (job["spec"]["completions"], gpus) == (1, "1")


def stage_of(job: dict[str, Any]) -> str:
    return str(job["metadata"]["labels"]["trtllm.dev/stage"])


def quantization(world: World, name: str) -> dict[str, Any]:
    """What the engine itself says."""
    path = world.get("eb", name)["status"]["engine"]["path"]
    config = json.loads(world.on_claim(STORE["claimName"], "cat", f"/claim/{path}/config.json"))
    found: dict[str, Any] = config["pretrained_config"]["quantization"]
    return found


@pytest.mark.parametrize(("path", "runtime", "words"), RECOGNISED)
def test_a_checkpoint_that_others_quantized_is_recognised_and_told_what_takes_it(
    created: World, path: str, runtime: str, words: tuple[str, ...]
) -> None:
    with released(created, path):
        reason, message = created.stalled(path, 180, "eb")
        stages = {stage_of(job) for job in created.jobs(path, "EngineBuild")}
    assert reason == "CheckpointNotSupported", message
    for word in words:
        assert word in message
    assert "Unsupported AWQ quantized checkpoint format" not in message
    assert stages <= {"fetch"}


def test_the_recipe_of_auto_and_what_it_excludes_are_in_the_engine(created: World, double: str) -> None:
    created.ready("recipe")
    with engine(created, "recipe", double, modelRef={"name": "recipe"}, source=None, storage=None, serving={}):
        created.wait_for("eb", "recipe", "Ready", 400)
        assert answer(created, "recipe")
        layers = quantization(created, "recipe")["quantized_layers"]
    algorithms = {name: layer["quant_algo"] for name, layer in layers.items()}
    assert {"W4A16_AWQ", "FP8"} <= set(algorithms.values())
    assert "transformer.layers.0.mlp.proj" not in algorithms
    assert "transformer.layers.1.mlp.proj" in algorithms
    created.delete("qm", "recipe")
