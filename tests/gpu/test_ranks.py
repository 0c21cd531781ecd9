"""checkpoint.format TensorRTLLM on a GPU: quantized with CUDA kernels, exported in ranks, put together, measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Shop

from support import roundtrip, tiny_model
from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_builder.checkpoint import load_model
from trtllm_builder.checkpoint.tensorrtllm import merge_ranks, read_config
from trtllm_builder.quantize.evaluation import measure, measure_source

MIX = CandidatePlan(
    method=Method.AUTO,
    kv_cache=KVCache.FP8,
    auto=AutoQuantization(effective_bits="7.5", candidates=(Method.INT4_AWQ, Method.FP8)),
)


def ranked(tensor: int, pipeline: int) -> Checkpoint:
    return Checkpoint(format=CheckpointFormat.TENSORRT_LLM, tensor=tensor, pipeline=pipeline)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> roundtrip.Workshop:
    directory = tmp_path_factory.mktemp("wide") / "source"
    directory.mkdir()
    tiny_model.make(directory, heads=8, key_value_heads=2, layers=4, vocabulary=1021)
    return roundtrip.workshop(directory, "cuda")


@pytest.mark.parametrize("name", [*roundtrip.RANKED, "Mix"])
def test_ranks_compute_what_modelopt_simulates_on_the_gpu(wide: roundtrip.Workshop, tmp_path: Path, name: str) -> None:
    plan = MIX if name == "Mix" else roundtrip.RANKED[name]
    model = wide.quantized(plan, ranked(2, 3))
    predicted = model if plan.method is Method.NONE else roundtrip.merged(model)
    reference = measure_source(predicted, wide.evaluation, roundtrip.quiet_step())
    one = wide.ship(model, plan, ranked(1, 1), tmp_path / "one")
    ranks = wide.ship(model, plan, ranked(2, 3), tmp_path / "ranks")
    whole, merged = merge_ranks(one), merge_ranks(ranks)
    assert set(whole) == set(merged)
    for key, tensor in whole.items():
        assert tensor.dtype is merged[key].dtype
        assert torch.equal(tensor.contiguous().view(torch.uint8), merged[key].contiguous().view(torch.uint8)), key
    if name == "Mix":
        layers = read_config(ranks)["quantization"]["quantized_layers"]
        assert {layer["quant_algo"] for layer in layers.values()} == {"FP8", "W4A16_AWQ"}
    scores = measure(load_model(ranks, "cuda"), wide.evaluation, reference, roundtrip.quiet_step())
    print(f"{name}: KL {scores.kl_divergence:.1e}, perplexity {scores.perplexity:.3f} of {reference.perplexity:.3f}")
    assert scores.kl_divergence < 2e-3
    assert scores.top_token_agreement > 0.9


@pytest.mark.parametrize("method", [Method.FP8, Method.INT8_WEIGHT_ONLY])
def test_ranks_are_published_from_a_gpu(shop: Shop, method: Method) -> None:
    result = shop.quantize(CandidatePlan(method=method), checkpoint=ranked(2, 2))
    assert [candidate.verdict for candidate in result.candidates] == [Verdict.PASSED]
    assert result.artifact is not None
    assert len(list((shop.store.root / result.artifact.path).glob("rank*.safetensors"))) == 4
