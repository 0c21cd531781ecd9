"""On a GPU: a refused candidate is explained in place, and fallback Mixed ships with modules in full precision."""

from __future__ import annotations

import pytest
from conftest import Shop

from trtllm_api.base import Device
from trtllm_api.contract import CalibrationRequest, GateRequest, QuantizeRequest, QuantizeResult
from trtllm_api.quantizedmodel import CandidatePlan, Method, OnFailure, Verdict
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import run_quantize


def _request(shop: Shop, limit: str, *candidates: CandidatePlan) -> QuantizeRequest:
    return QuantizeRequest(
        source_digest=shop.fetched.digest,
        source_path=str(shop.source),
        source_manifest=str(shop.store.root / shop.fetched.manifest_path),
        candidates=candidates,
        calibration=CalibrationRequest(samples=8, sequence_length=128, batch_size=2),
        gate=GateRequest(
            max_perplexity_increase="50%",
            max_kl_divergence=limit,
            min_top_token_agreement="10%",
            tokens=4096,
            sequence_length=512,
            on_failure=OnFailure.FALLBACK,
        ),
        device=Device.GPU,
    )


def _refused(shop: Shop, plan: CandidatePlan, digest: str) -> QuantizeResult:
    with pytest.raises(BuilderFailure) as caught:
        run_quantize(_request(shop, "0.00000001", plan), shop.store, Progress(), digest, "gpu")
    assert caught.value.quantize is not None
    return caught.value.quantize


@pytest.mark.parametrize(("number", "method"), [(4, Method.INT4_WEIGHT_ONLY), (5, Method.INT4_AWQ), (6, Method.NVFP4)])
def test_a_mix_of_a_refused_method_ships_from_a_gpu(shop: Shop, number: int, method: Method) -> None:
    plan = CandidatePlan(method=method, group_size=64 if method is not Method.NVFP4 else None)
    [alone] = _refused(shop, plan, f"sha256:{number}0" + "0" * 62).candidates
    assert "layers." in alone.explanation
    assert alone.measures is not None
    limit = f"{float(alone.measures.kl_divergence or 0) * 0.7:.8f}"
    wanted = _request(shop, limit, plan, CandidatePlan(method=Method.MIXED))
    result = run_quantize(wanted, shop.store, Progress(), f"sha256:{number}1" + "0" * 62, "gpu")
    print(f"{method}: {alone.explanation}; shipped with {result.candidates[1].exclude_modules}")
    assert [candidate.verdict for candidate in result.candidates] == [Verdict.REFUSED, Verdict.PASSED]
    assert result.candidates[1].exclude_modules
    assert result.artifact is not None
