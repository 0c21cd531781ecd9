"""What a QuantizedModel says when the quality gate refuses: every number, why it errs, and the mix that passes."""

from __future__ import annotations

from typing import Any

from support.domain_world import (
    INT4,
    INT8,
    World,
    condition,
    fetch_result,
    has,
    quantize_result,
    refused_result,
)
from trtllm_api.modelstatus import CandidateStatus, Measures, MixedProposal, Verdict


def test_when_every_candidate_is_refused_it_stalls_with_all_numbers(world: World) -> None:
    world.model(quality={"onFailure": "Fail"})
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", refused_result(INT4))
    status = world.settle()
    numbers = (
        "INT4WeightOnly (group size 64): perplexity 39.15 against 25.98 of the source (+50.7%, limit +10%): refused."
    )
    assert status["stage"] == "Failed"
    assert condition(status, "Stalled") == ("True", "QualityRefused", numbers + " Loosen quality, or add fallbacks.")
    assert condition(status, "QualityPassed") == ("False", "QualityRefused", numbers)
    assert not has(status, "Reconciling")
    assert status["quality"]["candidates"][0]["verdict"] == "Refused"
    assert "artifact" not in status


PROPOSED = INT4.model_copy(
    update={
        "explanation": "the KL divergence comes, by layer 89 % from layers.2",
        "proposal": MixedProposal(
            exclude_modules=("layers.2", "*.mlp.down_proj"),
            measures=Measures(perplexity="26.5123", kl_divergence="0.08", top_token_agreement="91.0%"),
            bytes=150 * 1024**2,
        ),
    }
)
MIXED = INT4.model_copy(
    update={"exclude_modules": ("layers.2", "*.mlp.down_proj"), "verdict": Verdict.PASSED, "reason": "QualityPassed"}
)


def refused(world: World, *candidates: CandidateStatus, **spec: Any) -> str:
    """What the Stalled condition says."""
    world.model(**spec)
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", refused_result(*candidates))
    status, reason, message = condition(world.settle(), "Stalled")
    assert (status, reason) == ("True", "QualityRefused")
    return message


def test_a_refusal_ends_with_its_explanation_and_the_mix_that_was_measured_to_pass(world: World) -> None:
    message = refused(world, PROPOSED, quality={"onFailure": "Fail"})
    assert message.endswith(
        "Loosen quality, or add fallbacks. INT4WeightOnly: the KL divergence comes, by layer 89 % from layers.2. With "
        "excludeModules [layers.2, *.mlp.down_proj] it was measured to pass (perplexity 26.51, KL divergence 0.08, "
        "top-token agreement 91.0%; 150 MiB): set spec.quantization.excludeModules with method INT4WeightOnly, or add "
        "Mixed to spec.quality.fallbacks."
    )


def test_a_mix_adds_to_the_modules_that_the_spec_excludes_itself(world: World) -> None:
    quantization = {"method": "INT4WeightOnly", "excludeModules": ["*.o_proj"]}
    message = refused(world, PROPOSED, quantization=quantization, quality={"fallbacks": ["Mixed"]})
    assert "With excludeModules [layers.2, *.mlp.down_proj] besides its own it was measured to pass" in message
    assert message.endswith("add them to spec.quantization.excludeModules with method INT4WeightOnly.")


def test_without_a_mix_the_nearest_candidate_is_explained(world: World) -> None:
    near = INT8.model_copy(update={"verdict": Verdict.REFUSED, "explanation": "no mix passes"})
    far = PROPOSED.model_copy(update={"proposal": None})
    message = refused(world, far, near)
    assert message.endswith("Loosen quality, or add fallbacks. INT8WeightOnly: no mix passes.")


def test_an_artifact_of_fallback_mixed_says_what_it_left_in_full_precision(world: World) -> None:
    quantization = {"method": "INT4WeightOnly", "excludeModules": ["*.o_proj"]}
    world.model(quantization=quantization, quality={"fallbacks": ["Mixed"]})
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", quantize_result(PROPOSED, MIXED))
    status = world.settle()
    assert condition(status, "QualityPassed")[:2] == ("True", "PassedByFallback")
    assert (
        "INT4WeightOnly (group size 64, layers.2, *.mlp.down_proj in full precision)"
        in (condition(status, "QualityPassed")[2])
    )
    assert [candidate["method"] for candidate in status["plan"]["candidates"]] == ["INT4WeightOnly", "Mixed"]
    artifact = status["artifact"]
    assert artifact["method"] == "INT4WeightOnly"
    assert artifact["excludeModules"] == ["*.o_proj", "layers.2", "*.mlp.down_proj"]
