"""Whatever is observed has a state, a plan that names real things, and a status that kstatus reads right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.domain_world import INT4, INT8, World, fetch_result, quantize_result, refused_result
from support.engine_world import nodes
from trtllm_api.contract import BuildResult, Stage
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.meta import ResourceRequirements as Requirements
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.reasons import Reason
from trtllm_operator.manifests.resources import Resources, parse_quantity
from trtllm_operator.shared.steps import Apply, Delete

TRANSIENT = BuildResult(stage=Stage.FETCH, exit_code=75, reason=Reason.SOURCE_UNREACHABLE, message="no answer")
RESULTS = [
    fetch_result(),
    quantize_result(INT4, INT8),
    refused_result(INT4),
    TRANSIENT,
    BuildResult(stage=Stage.QUANTIZE, exit_code=0),
]
EVENTS = st.one_of(
    st.tuples(st.just("spec"), st.sampled_from([
        {"quantization": {"method": "INT8WeightOnly"}, "quality": {}},
        {"quantization": {"method": "INT4WeightOnly", "groupSize": 128}},
        {"quantization": {"method": "nonsense"}},
        {"quantization": {}, "quality": {}, "device": "GPU"},
        {"quantization": {}, "device": "CPU"},
        {"suspend": True},
        {"suspend": False},
        {"calibration": {"dataset": {"configMap": {"name": "texts", "key": "a.txt"}}}},
        {"source": {"huggingFace": {"repo": "org/other"}}},
    ])),
    st.tuples(st.just("pod"), st.sampled_from(["Pending", "Running"])),
    st.tuples(st.just("end"), st.sampled_from(range(len(RESULTS)))),
    st.tuples(st.just("kill"), st.sampled_from([137, 143, 1])),
    st.tuples(st.just("vanish"), st.sampled_from(["Job", "Pod", "ConfigMap", "PersistentVolumeClaim"])),
    st.tuples(st.just("time"), st.sampled_from([1, 60, 100_000])),
    st.tuples(st.just("texts"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("retry"), st.sampled_from(["1", "2"])),
    st.tuples(st.just("sibling"), st.sampled_from(["aaa", "zzz"])),
    st.tuples(st.just("rollout"), st.sampled_from([0, 1])),
    st.tuples(st.just("nodes"), st.sampled_from(["", "9.0", "8.0", "7.5"])),
    st.tuples(st.just("pass"), st.just(0)),
)  # fmt: skip


def kstatus_is_right(status: dict[str, Any], generation: int) -> None:
    true = {c["type"] for c in status["conditions"] if c["status"] == "True"}
    kinds = [c["type"] for c in status["conditions"]]
    assert len(kinds) == len(set(kinds))
    assert "Ready" in kinds
    assert status["observedGeneration"] == generation
    assert all(c["observedGeneration"] == generation for c in status["conditions"])
    assert not {"Reconciling", "Stalled"} <= true
    if "Ready" in true:
        assert not {"Reconciling", "Stalled"} & set(kinds)
    for kind in ("Reconciling", "Stalled"):
        assert kind not in kinds or kind in true, "an abnormal-true condition is absent when it is normal"
    if not {"Ready", "Reconciling", "Stalled"} & true:
        assert status["stage"] == "Suspended"


def happen(world: World, event: str, value: Any) -> None:
    jobs = world.of("Job")
    if event == "spec":
        world.change("QuantizedModel", **value)
    elif event == "pod" and jobs:
        world.pod(jobs[-1], value)
    elif event == "end" and jobs:
        result = RESULTS[value]
        world.end_pod(world.pod(jobs[-1]), result.exit_code, result.to_termination_message().decode())
        world.end_job(jobs[-1], "Complete" if result.exit_code == 0 else "Failed")
    elif event == "kill" and jobs:
        world.end_pod(world.pod(jobs[-1]), value)
    elif event == "vanish":
        for obj in world.of(value):
            del world.objects[(value, obj["metadata"]["name"])]
    elif event == "time":
        world.later(seconds=value)
    elif event == "texts":
        world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"a.txt": value}})
    elif event == "retry":
        world.get("QuantizedModel", "smollm2")["metadata"]["annotations"] = {"trtllm.dev/retry": value}
    elif event == "sibling":
        world.model(value)
        world.settle(value)
    elif event == "nodes":
        nodes(world, 1 if value else 0, product=f"GPU-{value}", compute=value or "9.0")
    elif event == "rollout" and ("Deployment", "smollm2-serve") in world.objects:
        world.roll_out(value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, max_size=10))
def test_whatever_happens_every_pass_ends_in_a_status_that_kstatus_reads_right(events: list[tuple[str, Any]]) -> None:
    world = World()
    world.model()
    world.engine()
    for event, value in [*events, ("pass", 0)]:
        happen(world, event, value)
        for kind, model in (("QuantizedModel", QuantizedModelStatus), ("EngineBuild", EngineBuildStatus)):
            known = set(world.objects)
            status = world.reconcile(kind=kind)
            kstatus_is_right(status, world.get(kind, "smollm2")["metadata"]["generation"])
            assert model.model_validate(status).to_wire() == status
            applied = [
                (s.manifest["kind"], s.manifest["metadata"]["name"]) for s in world.steps if isinstance(s, Apply)
            ]
            assert len(applied) == len(set(applied))
            for step in world.steps:
                assert not isinstance(step, Delete) or step.kind == "ConfigMap" or (step.kind, step.name) in known


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=8))
def test_whatever_happened_a_quiet_world_settles_and_is_not_written_again(events: list[tuple[str, Any]]) -> None:
    world = World()
    world.model()
    world.engine()
    for event, value in events:
        happen(world, event, value)
        world.reconcile()
    for kind in ("QuantizedModel", "EngineBuild"):
        before = world.settle(kind=kind)
        assert world.reconcile(kind=kind) == before


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENTS, max_size=8))
def test_no_two_builder_jobs_of_a_resource_run_at_once(events: list[tuple[str, Any]]) -> None:
    world = World()
    world.model()
    for event, value in events:
        happen(world, event, value)
        world.reconcile()
        mine = [j for j in world.of("Job") if j["metadata"]["labels"]["trtllm.dev/resource"] == "smollm2"]
        assert len([job for job in mine if "status" not in job]) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=6), st.lists(st.sampled_from(["", "9.0", "8.0", "7.5"]), min_size=1, max_size=4))
def test_nodes_that_come_and_go_move_no_request_that_is_running_or_finished(
    events: list[tuple[str, Any]], computes: list[str]
) -> None:
    world = World()
    world.model(device="GPU", quantization={}, quality={})
    nodes(world)
    for event, value in events:
        happen(world, event, value)
        world.settle()
    before = world.settle()
    if before.get("plan") is None:
        return
    children = sorted(world.objects)
    for compute in computes:
        happen(world, "nodes", compute)
        assert world.settle() == before
        assert sorted(key for key in world.objects if key[0] != "Node") == [k for k in children if k[0] != "Node"]


QUANTITIES = st.sampled_from(["100m", "1", "512Mi", "2Gi", "900Gi", "3G"])
LISTS = st.none() | st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), QUANTITIES)


@given(requests=LISTS, limits=LISTS)
def test_whatever_resources_a_user_sets_no_request_exceeds_its_limit(
    requests: dict[str, str] | None, limits: dict[str, str] | None
) -> None:
    planned = Resources({"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": "1"}, {"memory": "8Gi", "nvidia.com/gpu": "1"})
    merged = planned.merged(Requirements(requests=requests, limits=limits))
    for name in merged.requests.keys() & merged.limits.keys():
        assert parse_quantity(merged.requests[name]) <= parse_quantity(merged.limits[name])
    for name, value in (limits or {}).items():
        assert merged.limits[name] == value
    assert merged.requests["nvidia.com/gpu"] == merged.limits["nvidia.com/gpu"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", 0.25), ("1", 1.0), ("1.5", 1.5), ("1k", 1e3), ("2Ki", 2048.0), ("1536Mi", 1610612736.0), ("3G", 3e9)],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, number: float) -> None:
    assert parse_quantity(text) == number
