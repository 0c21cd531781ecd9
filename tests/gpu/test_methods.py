"""Every method on a GPU: quantized by ModelOpt's CUDA kernels, exported, loaded again, measured, served."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import Shop

from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quantization import AutoQuantization, KVCache, Method
from trtllm_builder.checkpoint import load_for_inference, load_model, load_tokenizer
from trtllm_builder.datasets import load_texts
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.answers import answer
from trtllm_builder.quantize.package import complete
from trtllm_builder.quantize.windows import cut

PLANS = {
    "FP8": CandidatePlan(method=Method.FP8),
    "FP8 with an FP8 cache": CandidatePlan(method=Method.FP8, kv_cache=KVCache.FP8),
    "FP8PerChannelPerToken": CandidatePlan(method=Method.FP8_PER_CHANNEL_PER_TOKEN),
    "NVFP4": CandidatePlan(method=Method.NVFP4),
    "INT8SmoothQuant": CandidatePlan(method=Method.INT8_SMOOTH_QUANT, smooth_quant_alpha="0.5"),
    "INT8WeightOnly": CandidatePlan(method=Method.INT8_WEIGHT_ONLY),
    "INT4WeightOnly": CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=64),
    "INT4AWQ": CandidatePlan(method=Method.INT4_AWQ, group_size=64),
    "W4A8AWQ": CandidatePlan(method=Method.W4A8_AWQ, group_size=128),
    "Auto": CandidatePlan(method=Method.AUTO, group_size=64, auto=AutoQuantization(effective_bits="9.0")),
    "None": CandidatePlan(method=Method.NONE),
}


@pytest.mark.parametrize("name", PLANS)
def test_what_is_published_is_as_good_as_the_source_and_answers_its_probe(shop: Shop, name: str) -> None:
    result = shop.quantize(PLANS[name])
    assert [candidate.verdict for candidate in result.candidates] == [Verdict.PASSED]
    assert result.artifact is not None
    loaded = load_for_inference(shop.store.root / result.artifact.path, "cuda")
    probe = loaded.manifest.probe
    assert probe is not None
    again = answer(loaded.model, loaded.tokenizer, probe.prompt, len(probe.answer_token_ids))
    assert again.ids[:4] == probe.answer_token_ids[:4]


@pytest.mark.parametrize("name", [name for name in PLANS if name not in {"Auto", "None"}])
def test_what_ships_computes_what_modelopt_simulates_on_the_gpu(
    shop: Shop, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plan, directory = PLANS[name], tmp_path_factory.mktemp("checkpoint")
    tokenizer = load_tokenizer(shop.source)
    calibration = cut(load_texts(None, "calibration"), tokenizer, count=8, length=128, purpose="calibration")
    rows = cut(load_texts(None, "evaluation"), tokenizer, count=4, length=256, purpose="evaluation").rows.to("cuda")
    with Progress().step("Quantizing") as step:
        batches = calibration.batches(2, "cuda") if modelopt_adapter.needs_calibration(plan) else []
        model = modelopt_adapter.quantize(load_model(shop.source, "cuda"), plan, batches, step)
    with torch.no_grad():
        simulated = model(rows).logits.float().log_softmax(-1)
    modelopt_adapter.export(copy.deepcopy(model), plan, directory, torch.bfloat16)
    complete(shop.source, directory)
    with torch.inference_mode():
        shipped = load_model(directory, "cuda")(rows).logits.float().log_softmax(-1)
    divergence = (simulated.exp() * (simulated - shipped)).sum(-1).mean()
    assert float(divergence) < 2e-3
