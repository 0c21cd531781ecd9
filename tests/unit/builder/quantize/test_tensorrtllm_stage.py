"""The whole builder with checkpoint.format TensorRTLLM: fetch, quantize, measure the ranks, publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from trtllm_api.contract import ExitCode
from trtllm_api.manifest import ArtifactKind
from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_for_inference
from trtllm_builder.checkpoint_files import inspect
from trtllm_builder.model_facts import TENSORRT_LLM, model_facts
from trtllm_builder.quantize import candidate, modelopt_adapter
from trtllm_builder.store import read_artifact

from .claims import Claim, open_claim
from .conftest import ranked

_INT8 = CandidatePlan(method=Method.INT8_WEIGHT_ONLY)


@pytest.fixture
def claim(wide_source: Path, tmp_path: Path) -> Claim:
    return open_claim(wide_source, tmp_path)


def test_ranks_are_measured_and_published_with_manifest_and_probe(claim: Claim) -> None:
    result = claim.quantize(ranked(2, 2), CandidatePlan(method=Method.FP8))
    assert result.exit_code == ExitCode.OK, result.message
    directory = claim.directory(result)
    artifact = read_artifact(directory)
    assert artifact.manifest.kind is ArtifactKind.QUANTIZED_CHECKPOINT
    assert artifact.manifest.inputs["checkpoint"] == {"format": "TensorRTLLM", "tensor": 2, "pipeline": 2}
    files = {file.path for file in artifact.manifest.files}
    ranks = {f"rank{rank}.safetensors" for rank in range(4)}
    assert ranks | {"config.json", "hf_config.json", "tokenizer.json", "generation_config.json"} <= files
    assert result.quantize is not None
    (tried,) = result.quantize.candidates
    assert tried.verdict is Verdict.PASSED
    assert tried.bytes == sum((directory / name).stat().st_size for name in ranks)
    assert tried.measures is not None
    assert tried.measures.kl_divergence is not None
    probe = artifact.manifest.probe
    assert probe is not None
    loaded = load_for_inference(directory, "cpu")
    prompt = torch.tensor([probe.prompt_token_ids])
    answered = loaded.model.generate(prompt, max_new_tokens=len(probe.answer_token_ids), do_sample=False)
    assert tuple(answered[0, prompt.shape[1] :].tolist()) == probe.answer_token_ids
    report = (claim.root / "store" / result.quantize.artifact.report).read_text()  # type: ignore[union-attr]
    assert "TensorRTLLM, tensor 2, pipeline 2" in report


def test_the_published_ranks_are_a_source_that_an_engine_can_be_built_from(claim: Claim) -> None:
    directory = claim.directory(claim.quantize(ranked(4), CandidatePlan(method=Method.INT4_WEIGHT_ONLY, group_size=64)))
    facts = model_facts(inspect(directory, trust_remote_code=False))
    assert facts.quantization == TENSORRT_LLM
    assert (facts.architecture, facts.heads, facts.key_value_heads, facts.layers) == ("LlamaForCausalLM", 8, 2, 4)
    assert facts.details.checkpoint is not None
    assert (facts.details.checkpoint.algorithm, facts.details.checkpoint.group_size) == ("W4A16_AWQ", 64)


def test_the_same_ranks_are_published_once_and_another_layout_is_another_artifact(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claim.quantize(ranked(2))
    other = claim.quantize(ranked(1, 2))
    assert claim.directory(first) != claim.directory(other)
    _never_quantize(monkeypatch)
    again = claim.quantize(ranked(2), name="second")
    assert claim.directory(again) == claim.directory(first)
    assert again.quantize is not None
    assert again.quantize.artifact is not None
    assert again.quantize.artifact.reused


def _never_quantize(monkeypatch: pytest.MonkeyPatch) -> None:
    def quantize(*_: object) -> object:
        raise AssertionError("it was quantized before")

    monkeypatch.setattr(modelopt_adapter, "quantize", quantize)


def test_a_candidate_that_was_exported_whole_is_measured_and_not_made_again(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = candidate.measure

    def dies(*_: object) -> object:
        raise RuntimeError("the node went away")

    monkeypatch.setattr(candidate, "measure", dies)
    assert claim.quantize(ranked(2, 3)).exit_code == ExitCode.TRANSIENT
    monkeypatch.setattr(candidate, "measure", measure)
    _never_quantize(monkeypatch)
    result = claim.quantize(ranked(2, 3))
    assert result.exit_code == ExitCode.OK, result.message
    assert len(list(claim.directory(result).glob("rank*"))) == 6


def test_a_candidate_whose_export_was_interrupted_is_made_again(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    export = candidate.export_ranks

    def dies(model: Any, plan: CandidatePlan, checkpoint: Checkpoint, directory: Path, dtype: torch.dtype) -> None:
        export(model, plan, checkpoint, directory, dtype)
        (directory / "rank1.safetensors").unlink()
        raise RuntimeError("the node went away")

    monkeypatch.setattr(candidate, "export_ranks", dies)
    assert claim.quantize(ranked(2)).exit_code == ExitCode.TRANSIENT
    monkeypatch.setattr(candidate, "export_ranks", export)
    result = claim.quantize(ranked(2))
    assert result.exit_code == ExitCode.OK, result.message
    assert (claim.directory(result) / "rank1.safetensors").exists()


@pytest.mark.parametrize("part", ["attention.qkv.weight", "mlp.gate.weight", "attention.dense.weight"])
def test_a_shard_in_the_wrong_rank_is_refused_by_the_gate(
    claim: Claim, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    export = candidate.export_ranks

    def wrong(model: Any, plan: CandidatePlan, checkpoint: Checkpoint, directory: Path, dtype: torch.dtype) -> None:
        export(model, plan, checkpoint, directory, dtype)
        paths = [directory / f"rank{rank}.safetensors" for rank in range(2)]
        ranks = [load_file(path) for path in paths]
        for name in [name for name in ranks[0] if name.endswith(part)]:
            ranks[0][name], ranks[1][name] = ranks[1][name], ranks[0][name]
        for path, tensors in zip(paths, ranks, strict=True):
            save_file(tensors, path)

    monkeypatch.setattr(candidate, "export_ranks", wrong)
    result = claim.gated(max_kl_divergence="0.001").quantize(ranked(2))
    assert (result.exit_code, result.reason) == (ExitCode.QUALITY_REFUSED, Reason.QUALITY_REFUSED)
    assert result.quantize is not None
    assert result.quantize.candidates[0].verdict is Verdict.REFUSED
    assert not list((claim.root / "store" / "artifacts").glob("*"))


def test_a_layout_that_the_model_cannot_have_is_refused_before_it_is_calibrated(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    _never_quantize(monkeypatch)
    result = claim.quantize(ranked(3), CandidatePlan(method=Method.FP8))
    assert (result.exit_code, result.reason) == (ExitCode.NOT_SUPPORTED, Reason.QUANTIZATION_NOT_SUPPORTED)
    assert (
        result.message
        == "The model cannot be divided as spec.checkpoint requests: 8 attention heads are not divisible by 3."
    )
    assert result.remedy == "Set spec.checkpoint.tensor to one of 1, 2, 4, 8."


def test_a_fallback_is_tried_when_the_first_method_cannot_be_cut(claim: Claim) -> None:
    result = claim.quantize(ranked(4), CandidatePlan(method=Method.INT8_SMOOTH_QUANT), _INT8)
    assert result.exit_code == ExitCode.OK, result.message
    assert result.quantize is not None
    assert [tried.verdict for tried in result.quantize.candidates] == [Verdict.FAILED, Verdict.PASSED]
    assert "cannot copy 2 key-value heads to 4 ranks" in result.quantize.candidates[0].message
