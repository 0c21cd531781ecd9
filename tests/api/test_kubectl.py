"""What users of kubectl see: columns, short names, the category, waiting, scaling and explanations."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from control_plane import ENGINE_BUILD, QUANTIZED_MODEL, TABLE, ApiServer, Cluster, Kind, Spec
from full_status import ENGINE_BUILD_STATUS, QUANTIZED_MODEL_STATUS, condition
from schema_cases import spec_schema

from trtllm_api.base import ApiModel

MODEL: Spec = {"source": {"huggingFace": {"repo": "org/model"}}, "quantization": {"method": "FP8"}}
BUILD: Spec = {"modelRef": {"name": "smollm2"}, "serving": {}}
BOTH = pytest.mark.parametrize(
    ("kind", "spec"), [(QUANTIZED_MODEL, MODEL), (ENGINE_BUILD, BUILD)], ids=["QuantizedModel", "EngineBuild"]
)
MODEL_CELLS = {
    "Name": "shown",
    "Stage": "Ready",
    "Ready": "True",
    "Method": "FP8",
    "Quality": "Passed",
    "Progress": "Quantizing 40%, 2 min left",
    "Message": "All is well",
}
BUILD_CELLS = {
    "Name": "shown",
    "Stage": "Serving",
    "Ready": "True",
    "Method": "FP8",
    "Replicas": 2,
    "Progress": "Quantizing 40%, 2 min left",
    "URL": "http://chat-serve.default.svc",
    "Message": "All is well",
}
SHOWN = pytest.mark.parametrize(
    ("kind", "spec", "status", "cells"),
    [
        (QUANTIZED_MODEL, MODEL, QUANTIZED_MODEL_STATUS, MODEL_CELLS),
        (ENGINE_BUILD, BUILD, ENGINE_BUILD_STATUS, BUILD_CELLS),
    ],
    ids=["QuantizedModel", "EngineBuild"],
)


def show(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel) -> None:
    """Create the object `shown`, with its status."""
    api.create(kind, spec, "shown")
    api.merge(kind.at("shown", "status"), {"status": status.to_wire()}).succeeded()


@SHOWN
def test_columns(api: ApiServer, kind: Kind, spec: Spec, status: ApiModel, cells: dict[str, object]) -> None:
    show(api, kind, spec, status)
    table = api.get(kind.at("shown"), accept=TABLE)

    columns = {column["name"]: column["priority"] for column in table["columnDefinitions"]}
    assert list(columns) == [*cells, "Age"]
    assert [name for name, priority in columns.items() if priority] == ["Message"]
    row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert {name: row[name] for name in cells} == cells
    assert row["Age"].endswith("s")


def test_columns_of_an_object_without_a_status_are_empty(api: ApiServer) -> None:
    api.create(QUANTIZED_MODEL, MODEL, "untouched")
    table = api.get(QUANTIZED_MODEL.at("untouched"), accept=TABLE)
    assert table["rows"][0]["cells"][1:-1] == [None] * 6


@pytest.mark.parametrize("names", ["qm,eb", "quantizedmodel,enginebuild", "quantizedmodels,enginebuilds", "trtllm"])
def test_names_and_category_list_both_kinds(api: ApiServer, cluster: Cluster, names: str) -> None:
    show(api, QUANTIZED_MODEL, MODEL, QUANTIZED_MODEL_STATUS)
    show(api, ENGINE_BUILD, BUILD, ENGINE_BUILD_STATUS)
    rows = [line.split() for line in cluster.kubectl("get", names).splitlines()]

    assert ["NAME", "STAGE", "READY", "METHOD", "QUALITY", "PROGRESS", "AGE"] in rows
    assert ["NAME", "STAGE", "READY", "METHOD", "REPLICAS", "PROGRESS", "URL", "AGE"] in rows
    progress = ["Quantizing", "40%,", "2", "min", "left"]
    model = ["quantizedmodel.trtllm.dev/shown", "Ready", "True", "FP8", "Passed", *progress]
    assert model in [row[:-1] for row in rows]
    build = ["enginebuild.trtllm.dev/shown", "Serving", "True", "FP8", "2", *progress, "http://chat-serve.default.svc"]
    assert build in [row[:-1] for row in rows]


@BOTH
def test_wait_returns_when_the_condition_is_written(api: ApiServer, cluster: Cluster, kind: Kind, spec: Spec) -> None:
    api.create(kind, spec, "awaited")
    waiting = cluster.start("kubectl", "wait", "--for=condition=Ready", f"{kind.short_name}/awaited", "--timeout=30s")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1.5)

    ready = {"conditions": [condition("Ready", "Published").to_wire()]}
    api.merge(kind.at("awaited", "status"), {"status": ready}).succeeded()
    written = time.monotonic()

    said, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == 0, said
    assert said == f"{kind.name.lower()}.trtllm.dev/awaited condition met\n"
    assert time.monotonic() - written < 10


def test_scale(api: ApiServer, cluster: Cluster) -> None:
    api.create(ENGINE_BUILD, BUILD, "grown")
    assert cluster.kubectl("scale", "eb/grown", "--replicas=3") == "enginebuild.trtllm.dev/grown scaled\n"
    assert api.get(ENGINE_BUILD.at("grown"))["spec"]["serving"]["replicas"] == 3


@BOTH
def test_unknown_fields_are_refused_without_being_asked_for(cluster: Cluster, kind: Kind, spec: Spec) -> None:
    manifest = json.dumps(kind.object({**spec, "bogus": 1}, "strict"))
    with pytest.raises(AssertionError, match=r'unknown field \\?"spec.bogus\\?"'):
        cluster.kubectl("create", "--filename=-", stdin=manifest)
    assert cluster.kubectl("get", kind.plural, "strict", "--ignore-not-found") == ""


@BOTH
def test_a_broken_rule_is_printed_in_words(cluster: Cluster, kind: Kind, spec: Spec) -> None:
    manifest = json.dumps(kind.object(spec, "a" * 41))
    with pytest.raises(AssertionError, match=r"metadata\.name must be no more than 40 characters: names of Jobs"):
        cluster.kubectl("create", "--filename=-", stdin=manifest)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("qm.spec.quantization.groupSize", "Number of input columns that share one scale, a multiple of 16"),
        ("qm.spec.quality.maxKLDivergence", "in nats. Default: 0.2."),
        ("qm.spec.quality.onFailure", "Default: Fallback. - Fallback: Tries the next method"),
        ("eb.spec.serving.servedModelName", "If omitted, the resource's name."),
        ("eb.status.plan.gpusPerNode", "Number of GPUs of each of these pods."),
    ],
)
def test_explain_tells_meaning_unit_and_default(cluster: Cluster, field: str, says: str) -> None:
    assert says in " ".join(cluster.kubectl("explain", field).split())


@pytest.mark.parametrize(
    ("kind", "block"), [(QUANTIZED_MODEL, "quality"), (ENGINE_BUILD, "serving")], ids=["QuantizedModel", "EngineBuild"]
)
def test_explain_of_a_block_describes_each_of_its_fields(
    api: ApiServer, cluster: Cluster, kind: Kind, block: str
) -> None:
    printed = " ".join(cluster.kubectl("explain", f"{kind.short_name}.spec.{block}").split())
    fields = spec_schema(api, kind)["properties"][block]["properties"]
    silent = [name for name, field in fields.items() if " ".join(field["description"].split()) not in printed]
    assert silent == []
