"""What the API server makes of an object: defaults, unknown fields, and the status and scale subresources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from control_plane import ENGINE_BUILD, QUANTIZED_MODEL, ApiServer, Kind, Spec
from full_status import ENGINE_BUILD_STATUS, QUANTIZED_MODEL_STATUS
from schema_cases import put, status_schema

from trtllm_api.base import ApiModel
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import QuantizedModelSpec

MODEL: Spec = {"source": {"huggingFace": {"repo": "org/model"}}, "quantization": {"method": "FP8"}}
BUILD: Spec = {"modelRef": {"name": "smollm2"}, "serving": {}}
MODEL_DEFAULTS: Spec = {
    "source": {"huggingFace": {"repo": "org/model", "revision": "main"}},
    "trustRemoteCode": False,
    "quantization": {"method": "FP8", "excludeModules": []},
    "calibration": {"samples": 128, "sequenceLength": 512, "batchSize": 1},
    "quality": {
        "maxPerplexityIncrease": "10%",
        "maxKLDivergence": "0.2",
        "minTopTokenAgreement": "80%",
        "evaluation": {"tokens": 4096, "sequenceLength": 512},
        "canaries": [],
        "onFailure": "Fallback",
        "fallbacks": [],
    },
    "checkpoint": {"format": "HuggingFace", "tensor": 1, "pipeline": 1},
    "device": "GPU",
    "storage": {"claimName": "trtllm-store", "size": "100Gi", "accessMode": "ReadWriteMany"},
    "podTemplate": {},
    "suspend": False,
}
BUILD_DEFAULTS: Spec = {
    "modelRef": {"name": "smollm2"},
    "trustRemoteCode": False,
    "storage": {"claimName": "trtllm-store", "size": "100Gi", "accessMode": "ReadWriteMany"},
    "runtime": "Transformers",
    "device": "GPU",
    "podTemplate": {},
    "serving": {
        "replicas": 1,
        "maxConcurrentRequests": 4,
        "options": {},
        "extraArgs": [],
        "service": {"type": "ClusterIP", "port": 80},
        "podTemplate": {},
    },
    "suspend": False,
}
BOTH = pytest.mark.parametrize(
    ("kind", "spec"), [(QUANTIZED_MODEL, MODEL), (ENGINE_BUILD, BUILD)], ids=["QuantizedModel", "EngineBuild"]
)
FULL = pytest.mark.parametrize(
    ("kind", "spec", "status"),
    [(QUANTIZED_MODEL, MODEL, QUANTIZED_MODEL_STATUS), (ENGINE_BUILD, BUILD, ENGINE_BUILD_STATUS)],
    ids=["QuantizedModel", "EngineBuild"],
)


@pytest.mark.parametrize(
    ("kind", "spec", "expected", "model"),
    [
        (QUANTIZED_MODEL, MODEL, MODEL_DEFAULTS, QuantizedModelSpec),
        (ENGINE_BUILD, BUILD, BUILD_DEFAULTS, EngineBuildSpec),
    ],
    ids=["QuantizedModel", "EngineBuild"],
)
def test_defaults_are_filled_in_as_the_operator_reads_them(
    api: ApiServer, kind: Kind, spec: Spec, expected: Spec, model: type[ApiModel]
) -> None:
    stored = api.create(kind, spec, "defaults")["spec"]
    assert stored == expected
    assert model.model_validate(spec).to_wire() == expected


@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("spec.quantization", {}, {"excludeModules": []}),
        ("spec.source.huggingFace.tokenSecretRef", {"name": "hub"}, {"name": "hub", "key": "token"}),
        (
            "spec.source",
            {"persistentVolumeClaim": {"claimName": "a"}},
            {"persistentVolumeClaim": {"claimName": "a", "path": ""}},
        ),
        (
            "spec.quantization",
            {"method": "Auto", "auto": {"effectiveBits": "6"}},
            {"method": "Auto", "auto": {"effectiveBits": "6", "candidates": ["INT4AWQ", "FP8"]}, "excludeModules": []},
        ),
        (
            "spec.calibration",
            {"samples": 9, "dataset": {"huggingFace": {"repo": "a/b"}}},
            {
                "samples": 9,
                "sequenceLength": 512,
                "batchSize": 1,
                "dataset": {"huggingFace": {"repo": "a/b", "revision": "main", "split": "train", "column": "text"}},
            },
        ),
        ("spec.checkpoint", {"format": "TensorRTLLM"}, {"format": "TensorRTLLM", "tensor": 1, "pipeline": 1}),
        ("spec.storage", None, {"claimName": "trtllm-store", "size": "100Gi", "accessMode": "ReadWriteMany"}),
    ],
    ids=[
        "a method may be left to be planned",
        "a token is under the key token",
        "a claim is read at its root",
        "a search tries INT4AWQ and FP8",
        "a hub data set is its texts for training",
        "a TensorRT-LLM checkpoint is for one rank",
        "null asks for the default",
    ],
)
def test_defaults_inside_optional_parts(api: ApiServer, path: str, given: object, expected: object) -> None:
    created = api.try_create(QUANTIZED_MODEL, put(MODEL, path, given)).succeeded()
    assert created == put_into(created, path, expected)


def put_into(created: dict[str, Any], path: str, expected: object) -> dict[str, Any]:
    """The object as it must be."""
    return {**created, "spec": put(created["spec"], path, expected)}


ENGINE: Spec = {
    "source": {"huggingFace": {"repo": "org/model"}},
    "runtime": "TensorRT",
    "image": "tensorrt-llm:1.2.1",
    "serving": {},
}


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("spec.parallelism", {}),
        ("spec.limits", {"maxBatchSize": 8}),
        ("spec.convert", {"smoothQuant": {}}),
        ("spec.build", {"lora": {}, "plugins": {"gemm": "auto"}}),
        ("spec.serving", {"lora": {}, "options": {"kv_cache_config": {"dtype": "fp8", "x": [1, {"y": True}]}}}),
        ("spec.podTemplate", {"volumes": [{"name": "a", "csi": {"driver": "x"}}], "affinity": {"nodeAffinity": {}}}),
    ],
)
def test_defaults_of_an_engine_are_those_of_the_model(api: ApiServer, path: str, given: object) -> None:
    spec = put(ENGINE, path, given)
    stored = api.try_create(ENGINE_BUILD, spec).succeeded()["spec"]
    assert stored == EngineBuildSpec.model_validate(spec).to_wire()


@BOTH
@pytest.mark.parametrize("field", ["bogus", "podTemplate.bogus", "podTemplate.tolerations[0].bogus"])
def test_unknown_fields(api: ApiServer, kind: Kind, spec: Spec, field: str) -> None:
    template = {"bogus": 1} if field == "podTemplate.bogus" else {"tolerations": [{"key": "a", "bogus": 1}]}
    at = "serving.podTemplate" if kind is ENGINE_BUILD else "podTemplate"
    full = api.try_create(kind, spec).succeeded()["spec"]
    given = {**full, "bogus": 1} if field == "bogus" else put(full, f"spec.{at}", template)
    path = field.replace("podTemplate", at)

    refused = api.try_create(kind, given, validation="Strict")
    assert refused.code == 400
    assert f'strict decoding error: unknown field "spec.{path}"' in refused.message

    pruned = api.try_create(kind, given, validation="Ignore").succeeded()["spec"]
    assert "bogus" not in str(pruned)
    assert ("tolerations" in str(pruned)) == ("tolerations" in field)


@FULL
def test_a_full_status_is_kept_unchanged(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    api.create(kind, spec, "full")
    assert api.merge(kind.at("full", "status"), {"status": status.to_wire()}).succeeded()["status"] == status.to_wire()
    assert api.get(kind.at("full"))["status"] == status.to_wire()


@FULL
def test_the_full_status_leaves_no_field_out(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    schema = status_schema(api, kind)
    assert set(fields_of(schema, "status")) == set(filled(status.to_wire(), "status"))


def fields_of(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every field that a schema knows."""
    yield path
    for name, inner in schema.get("properties", {}).items():
        yield from fields_of(inner, f"{path}.{name}")
    if "items" in schema:
        yield from fields_of(schema["items"], f"{path}[]")


def filled(value: object, path: str) -> Iterator[str]:
    """Every field that an object has."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from filled(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from filled(inner, f"{path}[]")


@pytest.mark.parametrize(
    ("kind", "spec", "status"),
    [(QUANTIZED_MODEL, MODEL, QuantizedModelStatus()), (ENGINE_BUILD, BUILD, EngineBuildStatus())],
    ids=["QuantizedModel", "EngineBuild"],
)
def test_an_empty_status_gets_the_models_defaults(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    assert "status" not in api.create(kind, spec, "empty")
    written = api.merge(kind.at("empty", "status"), {"status": {}}).succeeded()
    assert written["status"] == status.to_wire()


@FULL
def test_writes_to_the_object_do_not_touch_status(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    api.create(kind, spec, "split")
    api.merge(kind.at("split", "status"), {"status": status.to_wire()}).succeeded()

    changed = api.merge(kind.at("split"), {"spec": {"suspend": True}, "status": {"stage": "Forged"}}).succeeded()

    assert changed["spec"]["suspend"] is True
    assert changed["status"] == status.to_wire()
    assert changed["metadata"]["generation"] == 2


@FULL
def test_writes_to_status_do_not_touch_the_spec(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    before = api.create(kind, spec, "split")

    changed = api.merge(
        kind.at("split", "status"), {"spec": {"suspend": True}, "status": {"stage": "Changed"}}
    ).succeeded()

    assert changed["status"]["stage"] == "Changed"
    assert changed["spec"] == before["spec"]
    assert changed["metadata"]["generation"] == 1


@BOTH
def test_a_status_sent_with_a_create_is_dropped(api: ApiServer, kind: Kind, spec: Spec) -> None:
    sent = {**kind.object(spec, "forged"), "status": {"stage": "Forged"}}
    assert "status" not in api.send("POST", kind.at(), sent, dryRun="All").succeeded()


@BOTH
@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"progress": {"stage": "Fetching", "percent": 101}}, "should be less than or equal to 100"),
        (
            {"history": [{"time": "2026-01-02T03:04:05Z", "generation": 1, "reason": "A", "message": ""}] * 11},
            "must have at most 10 items",
        ),
        (
            {"history": [{"time": "yesterday", "generation": 1, "reason": "A", "message": ""}]},
            "must be of type date-time",
        ),
        ({"artifact": {"digest": "md5:0"}}, "should match '^sha256:[0-9a-f]{64}$'"),
        (
            {
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "A", "lastTransitionTime": "2026-01-02T03:04:05Z"}
                ]
                * 2
            },
            "Duplicate value",
        ),
    ],
    ids=["more than 100 percent", "a history without end", "no time", "another digest", "a condition twice"],
)
def test_a_status_that_makes_no_sense_is_refused(
    api: ApiServer, kind: Kind, spec: Spec, status: dict[str, Any], says: str
) -> None:
    api.create(kind, spec, "nonsense")
    refused = api.merge(kind.at("nonsense", "status"), {"status": status})
    assert refused.code == 422
    assert says in refused.message


def test_an_engine_build_scales(api: ApiServer) -> None:
    api.create(ENGINE_BUILD, BUILD, "scaled")
    api.merge(ENGINE_BUILD.at("scaled", "status"), {"status": ENGINE_BUILD_STATUS.to_wire()}).succeeded()
    assert api.get(ENGINE_BUILD.at("scaled", "scale"))["spec"] == {"replicas": 1}

    scale = api.merge(ENGINE_BUILD.at("scaled", "scale"), {"spec": {"replicas": 5}}).succeeded()

    assert scale["spec"] == {"replicas": 5}
    assert scale["status"] == {"replicas": 3, "selector": "trtllm.dev/resource=chat"}
    assert api.get(ENGINE_BUILD.at("scaled"))["spec"]["serving"]["replicas"] == 5


def test_an_engine_build_does_not_scale_beyond_its_bound(api: ApiServer) -> None:
    api.create(ENGINE_BUILD, BUILD, "scaled")
    refused = api.merge(ENGINE_BUILD.at("scaled", "scale"), {"spec": {"replicas": 1001}})
    assert refused.code == 422
    assert "should be less than or equal to 1000" in refused.message
    assert api.get(ENGINE_BUILD.at("scaled"))["spec"]["serving"]["replicas"] == 1
