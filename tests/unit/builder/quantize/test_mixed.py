"""A refused candidate is explained, and fallback Mixed ships it with the modules that err in full precision.

One layer of the model is spoilt for four bits: of every 64 columns of its down_proj one is 32 times what it was, and
the channel that it multiplies a 32nd. The model computes what it did, and the other columns round to nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from support import roundtrip
from trtllm_api.contract import BuildResult, ExitCode
from trtllm_api.modelstatus import CandidatePlan, CandidateStatus, Verdict
from trtllm_api.quality import Canary
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_builder.quantize import attribution, mixing, modelopt_adapter, refusals
from trtllm_builder.quantize.candidate import Bench
from trtllm_builder.quantize.restoring import Restorable

from .claims import Claim, open_claim
from .conftest import ranked

_GROUP = 128
_FACTOR = 32
_LIMIT = 0.002
"""Of the KL divergence: between four bits of every layer and four bits of all but the spoilt one."""
_BAD = "layers.2.mlp.down_proj"
_INT4 = CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=_GROUP)
_FINER = CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=_GROUP // 2)
_INT8 = CandidatePlan(method=Method.INT8_WEIGHT_ONLY)
_MIXED = CandidatePlan(method=Method.MIXED)
_USUAL = Checkpoint()


@pytest.fixture(scope="session")
def spoilt_source(wide_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = Path(shutil.copytree(wide_source, tmp_path_factory.mktemp("models") / "spoilt"))

    def spoil(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        layer = "model.layers.2.mlp"
        for column in range(0, tensors[f"{layer}.down_proj.weight"].shape[1], _GROUP // 2):
            tensors[f"{layer}.down_proj.weight"][:, column] *= _FACTOR
            tensors[f"{layer}.up_proj.weight"][column] /= _FACTOR
        return tensors

    roundtrip.edit_tensors(directory, spoil)
    return directory


@pytest.fixture
def claim(spoilt_source: Path, tmp_path: Path) -> Claim:
    return open_claim(spoilt_source, tmp_path).gated(max_kl_divergence=str(_LIMIT))


def _tried(result: BuildResult) -> tuple[CandidateStatus, ...]:
    assert result.quantize is not None, result.message
    return result.quantize.candidates


def _forbid(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    def forbidden(*_: object, **__: object) -> object:
        raise AssertionError(f"{name} is not needed")

    monkeypatch.setattr(module, name, forbidden)


def _report(claim: Claim) -> str:
    (page,) = (claim.root / "store" / "reports").glob("*/report.html")
    return page.read_text(encoding="utf-8")


def test_a_refused_candidate_is_explained_and_a_mix_that_passes_is_proposed(claim: Claim) -> None:
    result = claim.quantize(_USUAL, _INT4)
    assert (result.exit_code, result.reason) == (ExitCode.QUALITY_REFUSED, Reason.QUALITY_REFUSED)
    (tried,) = _tried(result)
    assert "KL divergence" in tried.message
    assert "from layers.2," in tried.explanation.partition("by kind")[0].replace(";", ",")
    assert tried.explanation.partition("by kind ")[2].partition(",")[0].endswith("% from mlp.down_proj")
    assert tried.proposal is not None
    assert tried.proposal.exclude_modules == (_BAD,)
    assert tried.proposal.measures.kl_divergence is not None
    assert float(tried.proposal.measures.kl_divergence) <= _LIMIT
    page = _report(claim)
    assert "Where the error comes from" in page
    assert f"<code>{_BAD}</code>" in page


def test_fallback_mixed_ships_the_refused_candidate_with_its_worst_module_in_full_precision(
    claim: Claim, spoilt_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = claim.quantize(_USUAL, _INT4, _MIXED)
    assert result.exit_code == ExitCode.OK, result.message
    refused, mixed = _tried(result)
    assert (refused.verdict, mixed.verdict) == (Verdict.REFUSED, Verdict.PASSED)
    assert (mixed.method, mixed.group_size, mixed.exclude_modules) == (Method.INT4_WEIGHT_ONLY, _GROUP, (_BAD,))
    assert refused.proposal is not None
    assert mixed.measures == refused.proposal.measures
    assert mixed.bytes == pytest.approx(refused.proposal.bytes, rel=0.01)
    name = f"model.{_BAD}.weight"
    shipped = load_file(claim.directory(result) / "model.safetensors")
    assert torch.equal(shipped[name], load_file(spoilt_source / "model.safetensors")[name])
    assert shipped["model.layers.1.mlp.down_proj.weight"].dtype is torch.uint8

    _forbid(monkeypatch, modelopt_adapter, "quantize")
    by_hand = claim.quantize(_USUAL, _INT4.model_copy(update={"exclude_modules": mixed.exclude_modules}), name="other")
    assert by_hand.quantize is not None
    assert by_hand.quantize.artifact is not None
    assert by_hand.quantize.artifact.reused
    assert claim.directory(by_hand) == claim.directory(result)
    assert _tried(by_hand)[0].exclude_modules == ()


def test_modules_that_the_spec_excludes_itself_stay_excluded_in_a_mix(claim: Claim) -> None:
    plan = _INT4.model_copy(update={"exclude_modules": ("*.o_proj",)})
    result = claim.quantize(_USUAL, plan, _MIXED)
    assert result.exit_code == ExitCode.OK, result.message
    assert _tried(result)[1].exclude_modules == (_BAD,)
    shipped = load_file(claim.directory(result) / "model.safetensors")
    assert shipped["model.layers.0.self_attn.o_proj.weight"].dtype is torch.bfloat16
    assert shipped[f"model.{_BAD}.weight"].dtype is torch.bfloat16


def test_of_several_refused_methods_the_smallest_mix_is_taken(claim: Claim) -> None:
    result = claim.quantize(_USUAL, _FINER, _INT4, _MIXED)
    assert result.exit_code == ExitCode.OK, result.message
    finer, coarser, mixed = _tried(result)
    assert finer.proposal is not None
    assert coarser.proposal is not None
    assert coarser.proposal.bytes < finer.proposal.bytes
    assert mixed.group_size == _GROUP


def test_where_a_later_candidate_passes_the_refused_one_is_explained_and_no_mix_is_sought(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forbid(monkeypatch, refusals, "propose")
    result = claim.quantize(_USUAL, _INT4, _INT8)
    assert result.exit_code == ExitCode.OK, result.message
    refused, _ = _tried(result)
    assert "from mlp.down_proj" in refused.explanation
    assert refused.proposal is None


def test_of_several_refused_candidates_a_mix_is_sought_for_the_nearest_alone(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []

    def counted(bench: Bench, candidate: Restorable, tokens: int) -> object:
        looked_at.append(tokens)
        return attribution.explain(bench, candidate, tokens)

    monkeypatch.setattr(refusals, "explain", counted)

    def divergence(tried: CandidateStatus) -> float:
        assert tried.measures is not None
        return float(tried.measures.kl_divergence or "inf")

    longer = claim.gated(sequence_length=256)
    farther, nearer = sorted(_tried(longer.quantize(_USUAL, _INT4, _FINER)), key=divergence, reverse=True)
    assert farther.explanation
    assert farther.proposal is None
    assert nearer.proposal is not None
    assert nearer.proposal.exclude_modules == (_BAD,)
    assert looked_at == [128, 128, 512], "a closer look where it is mixed"


def test_without_a_mix_that_passes_it_is_said_how_near_one_came_and_mixed_fails(claim: Claim) -> None:
    hopeless = claim.gated(canaries=(Canary(prompt="Once", contains="xyzzy", max_tokens=4),))
    result = hopeless.quantize(_USUAL, _INT4, _MIXED)
    assert result.reason is Reason.QUALITY_REFUSED
    refused, mixed = _tried(result)
    assert refused.proposal is None
    assert "no mix passes: with 15 of 16 parts in full precision" in refused.explanation
    assert (mixed.method, mixed.verdict) == (Method.MIXED, Verdict.FAILED)
    assert mixed.message.startswith("Fallback Mixed has no proposal to use: INT4WeightOnly: no mix passes")


def test_without_room_in_exclude_modules_there_is_no_mix_to_propose(claim: Claim) -> None:
    full = _INT4.model_copy(update={"exclude_modules": tuple(f"adapter.{number}" for number in range(64))})
    (tried,) = _tried(claim.quantize(_USUAL, full))
    assert tried.proposal is None
    assert tried.explanation.endswith("no mix is smaller than the source with 0 patterns or fewer in excludeModules")


def test_mixed_without_a_refused_candidate_has_nothing_to_take(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(_: Any, plan: CandidatePlan, *__: object) -> object:
        raise modelopt_adapter.not_supported(plan, ValueError("not on this device"))

    monkeypatch.setattr(modelopt_adapter, "quantize", impossible)
    result = claim.quantize(_USUAL, _INT4, _MIXED)
    assert result.reason is Reason.QUANTIZATION_NOT_SUPPORTED
    assert "no method before it was refused" in result.message


def test_a_fault_of_the_explanation_costs_no_verdict(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("a layer of an unknown kind")

    monkeypatch.setattr(refusals, "explain", broken)
    result = claim.quantize(_USUAL, _INT4, _INT8)
    assert result.exit_code == ExitCode.OK, result.message
    assert _tried(result)[0].explanation == ("the explanation failed: RuntimeError: a layer of an unknown kind")


def _die_in(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Callable[[], None]:
    whole = getattr(module, name)

    def dies(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, dies)
    return lambda: monkeypatch.setattr(module, name, whole)


def test_what_a_killed_pod_has_found_out_is_not_sought_again(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    live = _die_in(monkeypatch, mixing, "measure")
    with pytest.raises(KeyboardInterrupt):
        claim.quantize(_USUAL, _INT4, _MIXED)
    live()
    _forbid(monkeypatch, refusals, "explain")
    live = _die_in(monkeypatch, modelopt_adapter, "quantize")
    with pytest.raises(KeyboardInterrupt):
        claim.quantize(_USUAL, _INT4, _MIXED)
    live()
    _forbid(monkeypatch, refusals, "propose")
    result = claim.quantize(_USUAL, _INT4, _MIXED)
    assert result.exit_code == ExitCode.OK, result.message
    refused, mixed = _tried(result)
    assert "from mlp.down_proj" in refused.explanation
    assert mixed.exclude_modules == (_BAD,)


def test_room_that_a_kept_candidate_takes_is_given_to_the_next(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shutil.disk_usage("/")

    def usage(_: object) -> object:
        kept = list((claim.root / "store" / "work").rglob(".whole"))
        return whole._replace(free=0 if kept else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    coarser, finer = _tried(claim.quantize(_USUAL, _INT4, _FINER))
    assert (coarser.verdict, finer.verdict) == (Verdict.REFUSED, Verdict.REFUSED)
    assert coarser.proposal is not None or finer.proposal is not None


def test_of_a_checkpoint_of_several_stages_the_error_is_explained_and_no_mix_is_proposed(claim: Claim) -> None:
    (tried,) = _tried(claim.quantize(ranked(1, 2), _INT4))
    assert tried.verdict is Verdict.REFUSED
    assert "from mlp.down_proj" in tried.explanation
    assert "no mix is proposed: a TensorRTLLM checkpoint of several stages" in tried.explanation
    assert tried.proposal is None


def test_ranks_of_one_stage_can_be_mixed(claim: Claim) -> None:
    result = claim.quantize(ranked(2), _INT4, _MIXED)
    assert result.exit_code == ExitCode.OK, result.message
    refused, mixed = _tried(result)
    assert mixed.exclude_modules == (_BAD,)
    assert refused.proposal is not None
    assert mixed.bytes == pytest.approx(refused.proposal.bytes, rel=0.01)
