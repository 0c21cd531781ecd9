"""The rules of a QuantizedModel: for each a model that passes and one that is refused, with the sentence."""

from __future__ import annotations

from typing import Any

import pytest

from support.clauses import clauses
from support.domain_world import SMOLLM2
from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint, QuantizedModelSpec
from trtllm_api.verdict import Severity, judge
from trtllm_planner.quantization.candidates import quantization_plan
from trtllm_planner.quantization.groupsize import fitting_sizes, planned_group_size
from trtllm_planner.quantization.linears import quantized_linears
from trtllm_planner.quantization.mixing import why_no_mix
from trtllm_planner.quantization.question import QuantizeQuestion
from trtllm_planner.quantization.rules import QUANTIZE_RULES


def question(facts: ModelFacts = SMOLLM2, **spec: Any) -> QuantizeQuestion:
    wanted = {
        "source": {"persistentVolumeClaim": {"claimName": "c"}},
        "quantization": {"method": "INT8WeightOnly"},
        **spec,
    }
    return QuantizeQuestion(QuantizedModelSpec.model_validate(wanted), facts)


def facts(**changes: Any) -> ModelFacts:
    return SMOLLM2.model_copy(update=changes)


def linear(name: str, width: int, out: int = 64, count: int = 1) -> LinearShape:
    return LinearShape(name=name, out_features=out, in_features=width, count=count)


ODD = (linear("model.layers.*.mlp.down_proj", 4104), linear("model.layers.*.mlp.up_proj", 1024))
EIGHT = (linear("model.layers.*.mlp.down_proj", 1000),)

PASSES: dict[str, QuantizeQuestion] = {
    "weight-only INT8 has no groups": question(facts(linears=EIGHT)),
    "a group size that divides": question(quantization={"method": "INT4AWQ", "groupSize": 64}),
    "a planned group size": question(quantization={"method": "W4A8AWQ"}),
    "a layer that does not divide is excluded": question(
        facts(linears=ODD),
        quantization={"method": "INT4AWQ", "groupSize": 128, "excludeModules": ["*.down_proj"]},
    ),
    "a head of odd width is never quantized": question(
        facts(linears=(linear("lm_head", 1000),)), quantization={"method": "INT4AWQ", "groupSize": 128}
    ),
    "custom code that is trusted": question(
        facts(custom_code=True, architecture="OwnForCausalLM"), trustRemoteCode=True
    ),
    "an FP8 KV cache": question(quantization={"method": "FP8", "kvCache": "FP8"}),
    "an INT8 KV cache of a TensorRT-LLM checkpoint": question(
        quantization={"method": "INT8SmoothQuant", "kvCache": "INT8"}, checkpoint={"format": "TensorRTLLM"}
    ),
    "a fallback Mixed after a method that it can mix": question(quality={"fallbacks": ["None", "Mixed"]}),
    "a fallback Mixed after methods that are not planned yet": question(
        quantization={}, quality={"fallbacks": ["Mixed"]}
    ),
    "bits within reach": question(quantization={"method": "Auto", "auto": {"effectiveBits": "8.5"}}),
    "NVFP4 with widths of whole blocks, on a CPU too": question(quantization={"method": "NVFP4"}, device="CPU"),
    "lengths within the model's positions": question(calibration={"sequenceLength": 8192}),
    "one token for both data sets": question(
        calibration={"dataset": {"huggingFace": {"repo": "a", "tokenSecretRef": {"name": "s"}}}},
        quality={"evaluation": {"dataset": {"huggingFace": {"repo": "b", "tokenSecretRef": {"name": "s"}}}}},
    ),
}

REFUSED: dict[str, tuple[QuantizeQuestion, str, str]] = {
    "an explicit group size that does not divide": (
        question(quantization={"method": "INT4AWQ", "groupSize": 128}),
        "GroupSizeNotDivisible",
        (
            "INT4AWQ: groupSize 128 does not divide 576, the input width of model.layers.*.self_attn.q_proj "
            "(nor that of 5 more layers): sizes that fit this model: 192, 96, 64, 48, 32, 16; "
            "without groupSize the best one is planned"
        ),
    ),
    "a width that no group size divides": (
        question(facts(linears=EIGHT), quantization={"method": "INT4WeightOnly"}),
        "GroupSizeNotDivisible",
        (
            "INT4WeightOnly: no group size divides 1000, the input width of model.layers.*.mlp.down_proj: add "
            "model.layers.*.mlp.down_proj to excludeModules, or use INT8WeightOnly or FP8, which need no groups"
        ),
    ),
    "a fallback that cannot work is refused before the hours that lead to it": (
        question(facts(linears=EIGHT), quality={"fallbacks": ["INT4WeightOnly"]}),
        "GroupSizeNotDivisible",
        (
            "INT4WeightOnly: no group size divides 1000, the input width of model.layers.*.mlp.down_proj: add "
            "model.layers.*.mlp.down_proj to excludeModules, or use INT8WeightOnly or FP8, which need no groups"
        ),
    ),
    "NVFP4 with a width of broken blocks": (
        question(facts(linears=EIGHT), quantization={"method": "NVFP4"}),
        "GroupSizeNotDivisible",
        (
            "NVFP4: blocks of 16 do not divide 1000, the input width of model.layers.*.mlp.down_proj: add "
            "model.layers.*.mlp.down_proj to excludeModules, or use INT8WeightOnly or FP8, which need no groups"
        ),
    ),
    "custom code that nobody trusts": (
        question(facts(custom_code=True, model_type="own")),
        "CustomCodeNotTrusted",
        (
            "the checkpoint of LlamaForCausalLM runs its own Python code (auto_map): read that code, then set "
            "trustRemoteCode: true; or use a checkpoint that transformers knows without it"
        ),
    ),
    "an architecture that is misspelt": (
        question(facts(architecture="LamaForCausalLM")),
        "ArchitectureNotSupported",
        "use a text model of a known family (the nearest known are LlamaForCausalLM",
    ),
    "an architecture that is no language model": (
        question(facts(architecture="BertModel")),
        "ArchitectureNotSupported",
        "(such as LlamaForCausalLM, Qwen3ForCausalLM, MixtralForCausalLM)",
    ),
    "a checkpoint that is quantized already": (
        question(facts(quantization="awq")),
        "AlreadyQuantized",
        "the checkpoint is quantized already (awq): quantize the original (BF16 or FP16) checkpoint instead",
    ),
    "an INT8 KV cache": (
        question(quantization={"method": "INT8SmoothQuant", "kvCache": "INT8"}),
        "KVCacheNotSupported",
        (
            "kvCache INT8 cannot be exported to a Hugging Face checkpoint: use kvCache FP8, or leave it out, or set "
            "checkpoint.format TensorRTLLM"
        ),
    ),
    "bits out of reach": (
        question(quantization={"method": "Auto", "auto": {"effectiveBits": "5.0"}}),
        "EffectiveBitsOutOfReach",
        (
            "auto.effectiveBits 5.0 is out of reach: with 4 bits for every layer that may be quantized and 16 "
            "for the others the mean is 6.53: set 6.53 or more, or exclude fewer modules"
        ),
    ),
    "Auto that may choose Auto": (
        question(quantization={"method": "Auto", "auto": {"effectiveBits": "8", "candidates": ["Auto", "FP8"]}}),
        "EffectiveBitsOutOfReach",
        "auto.candidates has Auto, which is no format of a layer: choose from INT4AWQ,",
    ),
    "a fallback Auto that nobody has set up": (
        question(quality={"fallbacks": ["Auto"]}),
        "EffectiveBitsOutOfReach",
        (
            "fallback Auto needs quantization.auto, which only method Auto may set: make Auto the method, or "
            "name another fallback"
        ),
    ),
    "a fallback Mixed after methods that it cannot mix": (
        question(quantization={"method": "None"}, quality={"fallbacks": ["Mixed", "INT8WeightOnly"]}),
        "MixedPrecisionNotPossible",
        (
            "fallback Mixed has no method before it that it can mix (None has full precision already): remove "
            "Mixed from quality.fallbacks, or name a method before it that it can mix"
        ),
    ),
    "a fallback Mixed of several stages": (
        question(
            quantization={"method": "FP8"},
            quality={"fallbacks": ["Mixed"]},
            checkpoint={"format": "TensorRTLLM", "pipeline": 2},
        ),
        "MixedPrecisionNotPossible",
        "a TensorRTLLM checkpoint of several stages has no names for the layers of one stage alone",
    ),
    "calibration beyond the model's positions": (
        question(calibration={"sequenceLength": 9000}),
        "SequenceTooLong",
        "calibration.sequenceLength 9000 exceeds the 8192 positions of the model: use 8192 or less",
    ),
    "evaluation beyond the model's positions": (
        question(quality={"evaluation": {"sequenceLength": 9000}}),
        "SequenceTooLong",
        "quality.evaluation.sequenceLength 9000 exceeds the 8192 positions of the model: use 8192 or less",
    ),
    "two tokens for one process": (
        question(
            calibration={"dataset": {"huggingFace": {"repo": "a", "tokenSecretRef": {"name": "s"}}}},
            quality={"evaluation": {"dataset": {"huggingFace": {"repo": "b", "tokenSecretRef": {"name": "t"}}}}},
        ),
        "DatasetTokensDiffer",
        "tokens from s/token (calibration) and t/token (evaluation): use one Secret key for both",
    ),
}


@pytest.mark.parametrize("case", PASSES)
def test_passes(case: str) -> None:
    assert judge(QUANTIZE_RULES, PASSES[case]) == ()


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    asked, rule, sentence = REFUSED[case]
    verdicts = judge(QUANTIZE_RULES, asked)
    assert [(v.reason, v.severity) for v in verdicts] == [(rule, Severity.REFUSAL)]
    assert sentence in clauses(verdicts[0])


def test_everything_that_is_wrong_is_reported_at_once_in_the_order_to_mend_it() -> None:
    asked = question(
        facts(quantization="gptq", custom_code=True, model_type="own", parameters=7_000_000_000),
        quantization={"method": "INT4AWQ", "groupSize": 128, "kvCache": "INT8"},
        device="CPU",
    )
    assert [v.reason for v in judge(QUANTIZE_RULES, asked)] == [
        "AlreadyQuantized",
        "CustomCodeNotTrusted",
        "GroupSizeNotDivisible",
        "KVCacheNotSupported",
        "MethodSlow",
    ]


def test_hours_of_awq_on_a_cpu_are_a_warning_with_the_hours() -> None:
    asked = question(facts(parameters=7_000_000_000), quantization={"method": "INT4AWQ"}, device="CPU")
    (verdict,) = judge(QUANTIZE_RULES, asked)
    assert verdict.severity is Severity.WARNING
    assert verdict.message == "INT4AWQ of 7.0B parameters takes about 3 hours on two CPU cores"
    assert verdict.sentence in quantization_plan(asked, (verdict,)).why


@pytest.mark.parametrize(
    ("width", "size", "why"),
    [
        (4096, 128, "group size 128 divides the input width of every layer"),
        (576, 64, "group size 64, because 128 does not divide 576 (a)"),
        (96, 32, "group size 32, because 64 does not divide 96 (a)"),
        (48, 16, "group size 16, because 32 does not divide 48 (a)"),
        (40, None, ""),
    ],
)
def test_the_largest_usual_group_size_that_divides_is_planned(width: int, size: int | None, why: str) -> None:
    asked = question(facts(linears=(linear("a", width),)), quantization={"method": "INT4AWQ"})
    assert planned_group_size(asked.facts, asked.spec.quantization) == (size, why)


def test_sizes_that_fit_divide_every_width_and_are_multiples_of_16() -> None:
    assert fitting_sizes(SMOLLM2.linears) == (192, 96, 64, 48, 32, 16)
    assert fitting_sizes(EIGHT) == ()


def test_a_pattern_for_one_layer_does_not_take_all_layers_out() -> None:
    quantization = question(quantization={"method": "FP8", "excludeModules": ["model.layers.0.*"]}).spec.quantization
    assert quantized_linears(SMOLLM2, quantization) == SMOLLM2.linears


def test_routers_and_heads_are_left_alone() -> None:
    shapes = (linear("lm_head", 8), linear("model.layers.*.mlp.gate", 8), linear("model.layers.*.mlp.gate_proj", 64))
    quantization = question().spec.quantization
    assert [s.name for s in quantized_linears(facts(linears=shapes), quantization)] == ["model.layers.*.mlp.gate_proj"]


def test_the_plan_decides_every_option_of_every_candidate() -> None:
    asked = question(
        quantization={"method": "INT8SmoothQuant", "smoothQuantAlpha": "0.5", "excludeModules": ["*.down_proj"]},
        quality={"fallbacks": ["INT4AWQ", "INT8SmoothQuant", "None"]},
    )
    plan = quantization_plan(asked)
    assert [c.to_wire() for c in plan.candidates] == [
        {"method": "INT8SmoothQuant", "smoothQuantAlpha": "0.5", "excludeModules": ["*.down_proj"]},
        {"method": "INT4AWQ", "groupSize": 64, "excludeModules": ["*.down_proj"]},
        {"method": "None", "excludeModules": []},
    ]


def test_what_fallback_mixed_is_made_of_is_left_to_what_is_measured() -> None:
    plan = quantization_plan(question(quantization={"method": "FP8"}, quality={"fallbacks": ["Mixed", "None"]}))
    assert [c.to_wire() for c in plan.candidates] == [
        {"method": "FP8", "excludeModules": []},
        {"method": "Mixed", "excludeModules": []},
        {"method": "None", "excludeModules": []},
    ]
    assert any(why.startswith("Mixed: the smallest refused candidate that passes") for why in plan.why)


@pytest.mark.parametrize(
    ("method", "checkpoint", "said"),
    [
        ("INT4WeightOnly", {}, ""),
        ("NVFP4", {}, ""),
        ("Auto", {}, "other formats"),
        ("INT4AWQ", {"format": "TensorRTLLM", "tensor": 4}, ""),
        ("FP8PerChannelPerToken", {"format": "TensorRTLLM"}, "whole blocks"),
        ("INT8WeightOnly", {"format": "TensorRTLLM"}, "unpacked"),
    ],
)
def test_whether_a_method_can_be_mixed(method: str, checkpoint: dict[str, Any], said: str) -> None:
    found = why_no_mix(Method(method), Checkpoint.model_validate(checkpoint))
    assert said in found
    assert bool(found) == bool(said)


def test_without_fallback_only_the_method_asked_for_is_tried() -> None:
    plan = quantization_plan(question(quality={"onFailure": "Warn"}))
    assert [c.method for c in plan.candidates] == ["INT8WeightOnly"]
