"""On a GPU: a refused candidate is explained in place, and fallback Mixed ships with modules in full precision."""

from __future__ import annotations

import pytest
from conftest import Shop

from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method
from trtllm_builder.failure import BuilderFailure

LOOSE = {"max_perplexity_increase": "50%", "min_top_token_agreement": "10%", "on_failure": OnFailure.FALLBACK}


@pytest.mark.parametrize("method", [Method.INT4_WEIGHT_ONLY, Method.INT4_AWQ, Method.NVFP4])
def test_a_mix_of_a_refused_method_ships_from_a_gpu(shop: Shop, method: Method) -> None:
    plan = CandidatePlan(method=method, group_size=64 if method is not Method.NVFP4 else None)
    with pytest.raises(BuilderFailure) as caught:
        shop.quantize(plan, max_kl_divergence="0.00000001", **LOOSE)
    assert caught.value.quantize is not None
    [alone] = caught.value.quantize.candidates
    assert "layers." in alone.explanation
    assert alone.measures is not None
    limit = f"{float(alone.measures.kl_divergence or 0) * 0.7:.8f}"
    result = shop.quantize(plan, CandidatePlan(method=Method.MIXED), max_kl_divergence=limit, **LOOSE)
    print(f"{method}: {alone.explanation}; shipped with {result.candidates[1].exclude_modules}")
    assert [candidate.verdict for candidate in result.candidates] == [Verdict.REFUSED, Verdict.PASSED]
    assert result.candidates[1].exclude_modules
    assert result.artifact is not None
