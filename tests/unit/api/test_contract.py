"""The Job contract on the wire: what fits the termination message, and what older pydantic must do with it."""

from __future__ import annotations

import json

import pytest

from trtllm_api.contract import (
    MAX_RESULT_BYTES,
    ArtifactResult,
    BuildRequest,
    BuildResult,
    ExpectedGpu,
    FetchResult,
    QuantizeResult,
    RanksRequest,
    Stage,
)
from trtllm_api.facts import CacheShape, CheckpointFacts, Details, LinearShape, ModelFacts
from trtllm_api.modelstatus import CandidateStatus, Measures, MixedProposal, Verdict
from trtllm_api.quantization import Method
from trtllm_api.reasons import Reason

DIGEST = "sha256:" + "0f" * 32


def fetched(shapes: int, text: int) -> BuildResult:
    """A result about a model with many kinds of layers, whose texts have `text` characters."""
    linears = tuple(
        LinearShape(
            name=f"model.layers.*.self_attn.some_projection_{index}", out_features=9999, in_features=9999, count=index
        )
        for index in range(1, shapes + 1)
    )
    word = "a" * text
    checkpoint = CheckpointFacts(
        method=word,
        algorithm=word,
        group_size=128,
        act_order=True,
        integer=True,
        symmetric=False,
        kv_cache=word,
        formats=tuple(f"{number}{word}"[:32] for number in range(8)),
        bits=64,
        dynamic=True,
    )
    details = Details(
        positions=1048576,
        rope_type=word,
        moe_intermediate_size=99999,
        experts_per_token=99,
        caches=tuple(
            CacheShape(layers=999, heads=number, width=9999, eight_bits=True, window=999999) for number in range(1, 9)
        ),
        state_bytes=10**12,
        tower_parameters=10**12,
        draft_parameters=10**12,
        other_linears=10**12,
        own_tokenizer=True,
        checkpoint=checkpoint,
    )
    facts = ModelFacts(
        architecture=word,
        model_type=word,
        parameters=10**13,
        bytes=10**13,
        dtype=word,
        layers=999,
        hidden_size=99999,
        intermediate_size=99999,
        heads=999,
        key_value_heads=999,
        head_dim=999,
        vocabulary_size=999999,
        max_position_embeddings=9999999,
        experts=999,
        tied_embeddings=True,
        chat_template=True,
        custom_code=True,
        quantization=word,
        details=details,
        linears=linears,
    )
    path = f"sources/{'0f' * 16}"
    fetch = FetchResult(
        digest=DIGEST, revision="c" * 40, path=path, manifest_path=path + "/m", bytes=10**13, facts=facts
    )
    return BuildResult(stage=Stage.FETCH, exit_code=0, message="m" * 4000, fetch=fetch)


@pytest.mark.parametrize(("shapes", "text"), [(16, 24), (64, 24), (64, 256)])
def test_a_result_with_full_facts_fits_the_termination_message(shapes: int, text: int) -> None:
    result = fetched(shapes, text)
    encoded = result.to_termination_message()
    assert len(encoded) <= MAX_RESULT_BYTES
    read = BuildResult.model_validate_json(encoded)
    assert read.fetch is not None
    assert result.fetch is not None
    kept, dropped = read.fetch.facts.linears, shapes - len(read.fetch.facts.linears)
    assert kept == result.fetch.facts.linears[dropped:], "the heaviest layers are kept"
    left_out = sum(9999 * 9999 * linear.count for linear in result.fetch.facts.linears[:dropped])
    details = result.fetch.facts.details.model_copy(update={"other_linears": 10**12 + left_out})
    assert read.fetch.facts.details == details, "the size of the others is known"


def test_a_usual_model_keeps_every_kind_of_layer() -> None:
    read = BuildResult.model_validate_json(fetched(16, 24).to_termination_message())
    assert read.fetch is not None
    assert len(read.fetch.facts.linears) == 16


def test_a_request_is_read_as_it_was_written() -> None:
    ranks = RanksRequest(
        arguments=("--gemm_plugin", "auto"),
        world=8,
        pods=2,
        gpus_per_pod=4,
        workers=4,
        gpu=ExpectedGpu(product="NVIDIA-H100-80GB-HBM3", compute_capability="9.0", count=4),
        version="1.2.1",
    )
    request = BuildRequest(stage=Stage.BUILD, namespace="a", name="b", request_digest=DIGEST, ranks=ranks)
    wire = json.dumps(request.to_wire())
    assert BuildRequest.model_validate_json(wire) == request
    assert '"gpusPerPod": 4' in wire


def _mix(size: int, characters: int = 780) -> MixedProposal:
    patterns = tuple(f"layers.{number}.mlp.down_proj" for number in range(100, 100 + characters // 27))
    return MixedProposal(exclude_modules=patterns, measures=_MEASURES, bytes=size)


_MEASURES = Measures(perplexity="123456.78", kl_divergence="0.1234", top_token_agreement="81.3%", canaries="16/16")


def quantized(*, refused: int, text: int, proposals: int, mixed: bool) -> BuildResult:
    """A result of so many refused candidates with texts of `text` characters, of which some have a mix that passes."""
    tried = [
        CandidateStatus(
            method=Method.FP8_PER_CHANNEL_PER_TOKEN,
            group_size=128,
            measures=_MEASURES,
            perplexity_change="+12345.6%",
            bytes=10**12,
            verdict=Verdict.REFUSED,
            reason="DivergenceTooHigh",
            message="m" * text,
            explanation="e" * text,
            proposal=_mix(10**12 - number) if number < proposals else None,
        )
        for number in range(refused)
    ]
    artifact = None
    if mixed:
        modules = _mix(1).exclude_modules
        shipped = tried[0].model_copy(
            update={"exclude_modules": modules, "verdict": Verdict.PASSED, "proposal": None, "explanation": ""}
        )
        tried.append(shipped)
        artifact = ArtifactResult(
            digest=DIGEST,
            path=f"artifacts/{'0f' * 16}",
            bytes=10**12,
            method=shipped.method,
            group_size=128,
            report=f"reports/{'0f' * 16}/report.html",
        )
    return BuildResult(
        stage=Stage.QUANTIZE,
        exit_code=0 if mixed else 66,
        reason=None if mixed else Reason.QUALITY_REFUSED,
        message="m" * 4000,
        remedy="r" * 300,
        quantize=QuantizeResult(reference=_MEASURES, candidates=tuple(tried), artifact=artifact),
    )


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("text", [0, 120, 4096])
@pytest.mark.parametrize("proposals", [0, 1, 9])
def test_a_result_of_every_candidate_fits_and_keeps_what_was_measured_and_decided(
    mixed: bool, text: int, proposals: int
) -> None:
    result = quantized(refused=9, text=text, proposals=proposals, mixed=mixed)
    encoded = result.to_termination_message()
    assert len(encoded) <= MAX_RESULT_BYTES
    read, whole = BuildResult.model_validate_json(encoded).quantize, result.quantize
    assert read is not None
    assert whole is not None
    assert (read.artifact, read.reference) == (whole.artifact, whole.reference)
    for one, other in zip(read.candidates, whole.candidates, strict=True):
        lost = {"message": "", "explanation": "", "proposal": None}
        assert one.model_copy(update=lost) == other.model_copy(update=lost)


def test_of_several_mixes_that_pass_the_smallest_is_kept_and_texts_are_whole_where_they_fit() -> None:
    result = quantized(refused=3, text=100, proposals=3, mixed=False).model_copy(update={"message": "short"})
    read = BuildResult.model_validate_json(result.to_termination_message())
    assert read.quantize is not None
    assert result.quantize is not None
    assert [candidate.proposal is None for candidate in read.quantize.candidates] == [True, True, False]
    assert read.quantize.candidates[2] == result.quantize.candidates[2]
    assert read.quantize.candidates[0].explanation == "e" * 100


def test_a_mix_is_kept_before_long_texts_are() -> None:
    read = BuildResult.model_validate_json(
        quantized(refused=2, text=2000, proposals=1, mixed=False).to_termination_message()
    )
    assert read.quantize is not None
    assert read.quantize.candidates[0].proposal == _mix(10**12)
    assert read.quantize.candidates[0].explanation.endswith("e…")
