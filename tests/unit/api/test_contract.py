"""The Job contract on the wire: what fits the termination message, and what older pydantic must do with it."""

from __future__ import annotations

import json

import pytest

from trtllm_api.contract import (
    MAX_RESULT_BYTES,
    BuildRequest,
    BuildResult,
    ExpectedGpu,
    FetchResult,
    RanksRequest,
    Stage,
)
from trtllm_api.facts import CheckpointFacts, Details, LinearShape, ModelFacts

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
        method=word, algorithm=word, group_size=128, act_order=True, integer=True, symmetric=False, kv_cache=word
    )
    details = Details(
        positions=1048576,
        rope_type=word,
        moe_intermediate_size=99999,
        experts_per_token=99,
        attention_layers=99,
        kv_lora_rank=9999,
        qk_rope_head_dim=999,
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
    assert read.fetch.facts.details == result.fetch.facts.details
    kept = read.fetch.facts.linears
    assert kept == result.fetch.facts.linears[shapes - len(kept) :], "the heaviest layers are kept"


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
