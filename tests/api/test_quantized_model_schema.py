"""Every bound and every rule of a QuantizedModel's spec, as the API server applies it."""

from __future__ import annotations

from typing import Any

import pytest
from control_plane import QUANTIZED_MODEL, ApiServer, Spec
from schema_cases import (
    Acceptance,
    Field,
    Rejection,
    acceptances,
    assert_accepted,
    assert_refused,
    broken_rule,
    choice,
    items,
    leave_out,
    number,
    put,
    rejections,
    spec_schema,
    text,
    unaccepted,
    unbounded,
    uncovered,
)
from shared_fields import (
    METHODS,
    POD_TEMPLATE,
    SOURCE_RULE,
    pod_fields,
    pod_required,
    pod_rules,
    source_fields,
    source_required,
    storage_fields,
)
from shared_values import (
    DECIMAL,
    FRACTION,
    HUB_REPO,
    MODULE,
    OBJECT_NAME,
    PERCENT,
    RELATIVE_PATH,
    REVISION,
    SECRET_KEY,
    SHORT_TEXT,
)

CONFIG_MAP = {"configMap": {"name": "texts", "key": "texts.txt"}}
ON_CLAIM = {"persistentVolumeClaim": {"claimName": "models", "path": "llama/base"}}
ON_HUB = {"huggingFace": {"repo": "org/model", "revision": "v1", "tokenSecretRef": {"name": "hub", "key": "token"}}}
AT_URI = {"uri": {"uri": "s3://bucket/model", "secretRef": {"name": "s3"}}}
DATASET_ON_HUB = {
    "huggingFace": {**ON_HUB["huggingFace"], "config": "default", "split": "train", "column": "text"},
}
SPEC: dict[str, Any] = {
    "source": ON_HUB,
    "trustRemoteCode": False,
    "quantization": {"method": "FP8", "kvCache": "FP8", "excludeModules": ["lm_head"]},
    "calibration": {"dataset": CONFIG_MAP, "samples": 64, "sequenceLength": 256, "batchSize": 2},
    "quality": {
        "maxPerplexityIncrease": "5%",
        "maxKLDivergence": "0.1",
        "minTopTokenAgreement": "90%",
        "evaluation": {"dataset": CONFIG_MAP, "tokens": 1024, "sequenceLength": 256},
        "canaries": [{"prompt": "The capital of France is", "contains": "Paris", "maxTokens": 8}],
        "onFailure": "Fallback",
        "fallbacks": ["INT8WeightOnly"],
    },
    "checkpoint": {"format": "HuggingFace", "tensor": 1, "pipeline": 1},
    "device": "GPU",
    "storage": {
        "claimName": "store",
        "size": "10Gi",
        "storageClassName": "fast",
        "accessMode": "ReadWriteOnce",
    },
    "podTemplate": POD_TEMPLATE,
    "suspend": False,
}
MINIMAL: dict[str, Any] = {"source": {"huggingFace": {"repo": "org/model"}}}


def quantized(**quantization: object) -> Spec:
    """A spec with another quantization."""
    return put(SPEC, "spec.quantization", quantization)


GROUPED = quantized(method="INT4AWQ", groupSize=128)
SMOOTH = quantized(method="INT8SmoothQuant", smoothQuantAlpha="0.5")
DIVIDED = put(SPEC, "spec.checkpoint", {"format": "TensorRTLLM", "tensor": 2, "pipeline": 2})
AUTO = quantized(method="Auto", auto={"effectiveBits": "5.5", "candidates": ["INT4AWQ", "FP8"]})
FROM_CLAIM = put(SPEC, "spec.source", ON_CLAIM)
FROM_URI = put(SPEC, "spec.source", AT_URI)

PLAIN_METHOD = choice(*METHODS[:8], besides=(*METHODS[8:], "Mixed"))
CANDIDATE = choice(*METHODS, besides=("Mixed",))
FALLBACK = choice(*METHODS, "Mixed")


def dataset_fields(path: str, of: str) -> list[Field]:
    """The bounded fields of the data set at a path."""
    claimed = put(SPEC, path, ON_CLAIM)
    hub = put(SPEC, path, DATASET_ON_HUB)
    return [
        Field(f"{path}.configMap.name", f"{of} ConfigMap's name", OBJECT_NAME, SPEC),
        Field(f"{path}.configMap.key", f"{of} ConfigMap's key", SECRET_KEY, SPEC),
        Field(f"{path}.persistentVolumeClaim.claimName", f"{of} claim's name", OBJECT_NAME, claimed),
        Field(f"{path}.persistentVolumeClaim.path", f"{of} path", RELATIVE_PATH, claimed),
        Field(f"{path}.huggingFace.repo", f"{of} repository", HUB_REPO, hub),
        Field(f"{path}.huggingFace.revision", f"{of} revision", REVISION, hub),
        Field(f"{path}.huggingFace.config", f"{of} configuration", SHORT_TEXT, hub),
        Field(f"{path}.huggingFace.split", f"{of} split", SHORT_TEXT, hub),
        Field(f"{path}.huggingFace.column", f"{of} column", SHORT_TEXT, hub),
        Field(f"{path}.huggingFace.tokenSecretRef.name", f"{of} token Secret's name", OBJECT_NAME, hub),
        Field(f"{path}.huggingFace.tokenSecretRef.key", f"{of} token Secret's key", SECRET_KEY, hub),
    ]


def dataset_required(path: str, of: str) -> dict[str, tuple[str, Spec]]:
    """The required fields of the data set at a path."""
    hub = put(SPEC, path, DATASET_ON_HUB)
    return {
        f"{path}.configMap.name": (f"{of} ConfigMap's name", SPEC),
        f"{path}.configMap.key": (f"{of} ConfigMap's key", SPEC),
        f"{path}.persistentVolumeClaim.claimName": (f"{of} claim's name", put(SPEC, path, ON_CLAIM)),
        f"{path}.huggingFace.repo": (f"{of} repository", hub),
        f"{path}.huggingFace.tokenSecretRef.name": (f"{of} token Secret's name", hub),
    }


CALIBRATION = "spec.calibration.dataset"
EVALUATION = "spec.quality.evaluation.dataset"
FIELDS = [
    *source_fields("spec.source", SPEC),
    Field("spec.quantization.method", "a method", PLAIN_METHOD, quantized(method="FP8")),
    Field("spec.quantization.groupSize", "a group size", number(16, 1024, step=16), GROUPED),
    Field("spec.quantization.kvCache", "a KV cache", choice("FP8", "INT8"), SPEC),
    Field("spec.quantization.smoothQuantAlpha", "an alpha", FRACTION, SMOOTH),
    Field("spec.quantization.excludeModules", "a list of excluded modules", items(64, "lm_head"), SPEC),
    Field("spec.quantization.excludeModules[]", "an excluded module", MODULE, SPEC),
    Field("spec.quantization.auto.effectiveBits", "a number of effective bits", DECIMAL, AUTO),
    Field("spec.quantization.auto.candidates", "a list of candidates", items(4, "FP8", least=1), AUTO),
    Field("spec.quantization.auto.candidates[]", "a candidate", CANDIDATE, AUTO),
    *dataset_fields(CALIBRATION, "the calibration data's"),
    Field("spec.calibration.samples", "a number of samples", number(1, 16384), SPEC),
    Field("spec.calibration.sequenceLength", "a calibration length", number(16, 131072), SPEC),
    Field("spec.calibration.batchSize", "a batch size", number(1, 512), SPEC),
    Field("spec.quality.maxPerplexityIncrease", "a perplexity increase", PERCENT, SPEC),
    Field("spec.quality.maxKLDivergence", "a KL divergence", DECIMAL, SPEC),
    Field("spec.quality.minTopTokenAgreement", "a top token agreement", PERCENT, SPEC),
    *dataset_fields(EVALUATION, "the evaluation data's"),
    Field("spec.quality.evaluation.tokens", "a number of tokens", number(256, 1048576), SPEC),
    Field("spec.quality.evaluation.sequenceLength", "an evaluation length", number(16, 131072), SPEC),
    Field("spec.quality.canaries", "a list of canaries", items(16, {"prompt": "1 + 1 =", "contains": "2"}), SPEC),
    Field("spec.quality.canaries[].prompt", "a canary's prompt", text(4096, shortest=1), SPEC),
    Field("spec.quality.canaries[].contains", "a canary's answer", text(1024, shortest=1), SPEC),
    Field("spec.quality.canaries[].maxTokens", "a canary's number of tokens", number(1, 1024), SPEC),
    Field(
        "spec.quality.onFailure",
        "a reaction to failure",
        choice("Fallback", "Fail", "Warn"),
        put(SPEC, "spec.quality.fallbacks", []),
    ),
    Field("spec.quality.fallbacks", "a list of fallbacks", items(8, "FP8"), SPEC),
    Field("spec.quality.fallbacks[]", "a fallback", FALLBACK, SPEC),
    Field("spec.device", "a device", choice("GPU", "CPU"), SPEC),
    *storage_fields("spec.storage", SPEC),
    Field("spec.checkpoint.format", "a checkpoint's format", choice("HuggingFace", "TensorRTLLM"), SPEC),
    Field("spec.checkpoint.tensor", "a checkpoint's tensor parallelism", number(1, 64), DIVIDED),
    Field("spec.checkpoint.pipeline", "a checkpoint's pipeline parallelism", number(1, 64), DIVIDED),
    *pod_fields("spec.podTemplate", SPEC),
]
REQUIRED: dict[str, tuple[str, Spec]] = {
    "spec.source": ("a source", SPEC),
    **source_required("spec.source", SPEC),
    "spec.quantization.auto.effectiveBits": ("a number of effective bits", AUTO),
    **dataset_required(CALIBRATION, "the calibration data's"),
    **dataset_required(EVALUATION, "the evaluation data's"),
    "spec.quality.canaries[].prompt": ("a canary's prompt", SPEC),
    "spec.quality.canaries[].contains": ("a canary's answer", SPEC),
    **pod_required("spec.podTemplate", SPEC),
}

NAME_RULE = "metadata.name must be no more than 40 characters: names of Jobs and Services are derived from it"
DATASET_RULE = "dataset takes exactly one of configMap, persistentVolumeClaim, huggingFace"
AUTO_RULE = "auto is set for method Auto, which needs it, and for no other method"
GROUP_RULE = "groupSize applies to INT4WeightOnly, INT4AWQ and W4A8AWQ only"
ALPHA_RULE = "smoothQuantAlpha applies to INT8SmoothQuant only"
KV_RULE = "kvCache needs a quantization method other than None"
MIXED_RULE = "Mixed is a fallback: name it in quality.fallbacks, after the methods that it may mix"
MIXED_FORMAT_RULE = "Mixed is no format of a layer: it is a fallback, for quality.fallbacks"
FALLBACK_RULE = "fallbacks are tried with onFailure Fallback only"
AGREEMENT_RULE = "minTopTokenAgreement must be no more than 100%"
DIVIDED_RULE = "tensor and pipeline belong to format TensorRTLLM: a HuggingFace checkpoint fits any parallelism"
BITS = {"effectiveBits": "5.5"}


def _breaks(sentence: str, path: str, value: object, message: str) -> Rejection:
    return broken_rule(sentence, put(SPEC, path, value), path, message)


def _fallback(reaction: str) -> dict[str, Any]:
    return {"onFailure": reaction, "fallbacks": ["FP8"]}


BROKEN_RULES = [
    broken_rule("a name of 41 characters is refused", SPEC, "", NAME_RULE, "a" * 41),
    _breaks("a source of no kind is refused", "spec.source", {}, SOURCE_RULE),
    _breaks("a source on the hub and on a claim is refused", "spec.source", {**ON_HUB, **ON_CLAIM}, SOURCE_RULE),
    _breaks("a source on a claim and at a URI is refused", "spec.source", {**ON_CLAIM, **AT_URI}, SOURCE_RULE),
    _breaks("a source on the hub and at a URI is refused", "spec.source", {**ON_HUB, **AT_URI}, SOURCE_RULE),
    *(
        _breaks(f"{name} data {what} are refused", path, value, DATASET_RULE)
        for name, path in {"calibration": CALIBRATION, "evaluation": EVALUATION}.items()
        for what, value in {
            "of no kind": {},
            "from a ConfigMap and a claim": {**CONFIG_MAP, **ON_CLAIM},
            "from a claim and the hub": {**ON_CLAIM, **DATASET_ON_HUB},
            "from a ConfigMap and the hub": {**CONFIG_MAP, **DATASET_ON_HUB},
        }.items()
    ),
    *(
        _breaks(f"{what} on {method} is refused", "spec.quantization", {"method": method, **options}, message)
        for what, options, message, allowed in (
            ("a group size", {"groupSize": 128}, GROUP_RULE, {"INT4WeightOnly", "INT4AWQ", "W4A8AWQ", "Auto"}),
            ("an alpha", {"smoothQuantAlpha": "0.5"}, ALPHA_RULE, {"INT8SmoothQuant", "Auto"}),
            ("a search", {"auto": BITS}, AUTO_RULE, {"Auto"}),
            ("a KV cache", {"kvCache": "FP8"}, KV_RULE, {*METHODS} - {"None"}),
        )
        for method in METHODS
        if method not in allowed
    ),
    _breaks(
        "a Hugging Face checkpoint for two ranks is refused",
        "spec.checkpoint",
        {"format": "HuggingFace", "tensor": 2},
        DIVIDED_RULE,
    ),
    _breaks("a checkpoint of two stages and no format is refused", "spec.checkpoint", {"pipeline": 2}, DIVIDED_RULE),
    *pod_rules("spec.podTemplate", SPEC),
    _breaks("a search without a method is refused", "spec.quantization", {"auto": BITS}, AUTO_RULE),
    _breaks("method Mixed is refused", "spec.quantization", {"method": "Mixed"}, MIXED_RULE),
    broken_rule(
        "a search among methods of which one is Mixed is refused",
        put(AUTO, "spec.quantization.auto.candidates", ["FP8", "Mixed"]),
        "spec.quantization.auto",
        MIXED_FORMAT_RULE,
    ),
    _breaks("method Auto without a search is refused", "spec.quantization", {"method": "Auto"}, AUTO_RULE),
    _breaks(
        "a group size on Auto is refused",
        "spec.quantization",
        {"method": "Auto", "auto": BITS, "groupSize": 128},
        GROUP_RULE,
    ),
    _breaks(
        "an alpha on Auto is refused",
        "spec.quantization",
        {"method": "Auto", "auto": BITS, "smoothQuantAlpha": "0.5"},
        ALPHA_RULE,
    ),
    _breaks("a fallback that failing forbids is refused", "spec.quality", _fallback("Fail"), FALLBACK_RULE),
    _breaks("a fallback that warning forbids is refused", "spec.quality", _fallback("Warn"), FALLBACK_RULE),
    _breaks(
        "an agreement that no model reaches is refused",
        "spec.quality",
        {"minTopTokenAgreement": "100.1%"},
        AGREEMENT_RULE,
    ),
]
KEPT_RULES = [
    Acceptance("a name of 40 characters is accepted", SPEC, "a" * 40),
    Acceptance("the least that can be asked for is accepted", MINIMAL),
    Acceptance("a source on the hub is accepted", SPEC),
    Acceptance("a source on a claim is accepted", FROM_CLAIM),
    Acceptance("a source at a URI is accepted", FROM_URI),
    *(
        Acceptance(f"{name} data {what} are accepted", put(SPEC, path, value))
        for name, path in {"calibration": CALIBRATION, "evaluation": EVALUATION}.items()
        for what, value in {"on a claim": ON_CLAIM, "on the hub": DATASET_ON_HUB}.items()
    ),
    Acceptance("a TensorRT-LLM checkpoint of one rank is accepted", put(SPEC, "spec.checkpoint.format", "TensorRTLLM")),
    Acceptance("data of the builder's own are accepted", leave_out(leave_out(SPEC, CALIBRATION), EVALUATION)),
    Acceptance("method Auto with a search is accepted", AUTO),
    Acceptance("method None is accepted", quantized(method="None")),
    Acceptance("no method, to be planned, is accepted", quantized()),
    *(
        Acceptance(f"{what} for a method to be planned is accepted", quantized(**option))
        for what, option in {
            "a group size": {"groupSize": 64},
            "an alpha": {"smoothQuantAlpha": "0.5"},
            "a KV cache": {"kvCache": "FP8"},
        }.items()
    ),
    Acceptance("an alpha on INT8SmoothQuant is accepted", SMOOTH),
    *(
        Acceptance(f"a group size on {method} is accepted", quantized(method=method, groupSize=64))
        for method in ("INT4WeightOnly", "INT4AWQ", "W4A8AWQ")
    ),
    *(
        Acceptance(f"a KV cache on {method} is accepted", quantized(method=method, kvCache="FP8"))
        for method in METHODS
        if method not in {"Auto", "None"}
    ),
    Acceptance("a KV cache on Auto is accepted", quantized(method="Auto", auto=BITS, kvCache="INT8")),
    Acceptance("no fallbacks and failing is accepted", put(SPEC, "spec.quality", {"onFailure": "Fail"})),
    Acceptance("an empty list of fallbacks and warning is accepted", put(SPEC, "spec.quality", {"onFailure": "Warn"})),
]
REJECTIONS = [*rejections(FIELDS, REQUIRED), *BROKEN_RULES]
ACCEPTANCES = [*acceptances(FIELDS), *KEPT_RULES]


@pytest.mark.parametrize("case", REJECTIONS, ids=lambda case: case.id)
def test_refused(api: ApiServer, case: Rejection) -> None:
    assert_refused(api, QUANTIZED_MODEL, case)


@pytest.mark.parametrize("case", ACCEPTANCES, ids=lambda case: case.id)
def test_accepted(api: ApiServer, case: Acceptance) -> None:
    assert_accepted(api, QUANTIZED_MODEL, case)


def test_every_bound_and_rule_has_a_rejected_case(api: ApiServer) -> None:
    assert uncovered(api, QUANTIZED_MODEL, REJECTIONS) == []


def test_every_bounded_field_has_an_accepted_case(api: ApiServer) -> None:
    assert unaccepted(api, QUANTIZED_MODEL, FIELDS) == []


def test_every_field_of_the_spec_is_bounded(api: ApiServer) -> None:
    assert list(unbounded(spec_schema(api, QUANTIZED_MODEL), "spec")) == []
