"""Whatever is killed, changed or deleted half-way: nothing is made twice, nothing is lost."""

from __future__ import annotations

import time

from support.cluster_world import World, eventually


def quantizing_pod(world: World, name: str, stage: str = '"Quantizing"') -> str:
    """The pod that quantizes, once it says so."""

    def found() -> str:
        for pod in world.pods(name, "quantize"):
            if stage in world.logs(pod["metadata"]["name"]):
                return str(pod["metadata"]["name"])
        return ""

    eventually(found, f"{name} quantizing", 120, 0.1)
    return found()


def test_an_identical_second_model_is_ready_in_two_seconds_without_a_job(world: World, undisturbed: None) -> None:
    storage = {"claimName": "store-shared", "size": "1Gi"}
    world.quantized_model("first", storage=storage)
    first = world.ready("first")
    started = time.monotonic()
    world.quantized_model("second", storage=storage)
    second = world.ready("second", 10)
    assert time.monotonic() - started <= 2
    assert second["artifact"]["digest"] == first["artifact"]["digest"]
    assert second["artifact"]["reusedFrom"] == "first"
    assert world.jobs("second") == []
    for name in ("second", "first"):
        world.delete("qm", name)
    eventually(lambda: not world.jobs("first"), "the end of its Jobs", 60)
    # the claim stays: the same request, made again, finds its result there
    world.quantized_model("first", storage=storage)
    again = world.ready("first")
    assert (again["artifact"]["digest"], again["quality"]) == (first["artifact"]["digest"], first["quality"])
    (pod,) = world.pods("first", "quantize")
    assert "MeasuringSource" not in world.logs(pod["metadata"]["name"])


def test_a_killed_quantize_pod_is_replaced_and_does_not_measure_the_source_again(world: World) -> None:
    world.quantized_model("killed-pod", storage={"claimName": "store-killed", "size": "1Gi"})
    pod = quantizing_pod(world, "killed-pod")
    world.kill_pod(pod)
    second = ""

    def replaced() -> bool:
        nonlocal second
        names = [found["metadata"]["name"] for found in world.pods("killed-pod", "quantize")]
        second = next((name for name in names if name != pod), "")
        return bool(second)

    eventually(replaced, "another pod", 60)
    world.ready("killed-pod")
    assert "MeasuringSource" not in world.logs(second)
    assert len(world.jobs("killed-pod")) == 2


def test_an_operator_killed_at_any_point_makes_nothing_twice(world: World, undisturbed: None) -> None:
    storage = {"claimName": "store-operator", "size": "1Gi"}
    world.quantized_model("killed-operator", storage=storage, quantization={"method": "INT4WeightOnly"})
    seen: dict[str, set[str]] = {}

    def look() -> None:
        for job in world.jobs("killed-operator"):
            seen.setdefault(job["metadata"]["labels"]["trtllm.dev/stage"], set()).add(job["metadata"]["uid"])

    for pause in (0.0, 1.0, 3.0, 6.0):
        time.sleep(pause)
        world.kill_operator()
        look()
    world.ready("killed-operator")
    look()
    assert {stage: len(uids) for stage, uids in seen.items()} == {"fetch": 1, "quantize": 1}


def test_a_spec_that_changes_half_way_stops_the_old_work_and_makes_the_new(world: World) -> None:
    storage = {"claimName": "store-change", "size": "1Gi"}
    world.quantized_model("changed", storage=storage, quantization={"method": "INT4WeightOnly"})
    quantizing_pod(world, "changed")
    old = next(job["metadata"]["name"] for job in world.jobs("changed") if "quantize" in job["metadata"]["name"])
    world.quantized_model("changed", storage=storage, quantization={"method": "INT8WeightOnly"})
    eventually(lambda: old not in [job["metadata"]["name"] for job in world.jobs("changed")], "the end of the old", 30)
    status = world.ready("changed")
    assert status["artifact"]["method"] == "INT8WeightOnly"
    assert status["observedGeneration"] == 2


def test_a_resource_deleted_half_way_takes_its_jobs_and_pods_along(world: World) -> None:
    world.quantized_model("deleted", storage={"claimName": "store-deleted", "size": "1Gi"})
    eventually(lambda: world.pods("deleted", "fetch"), "a pod", 30)
    world.delete("qm", "deleted")
    eventually(lambda: not world.jobs("deleted"), "the end of its Jobs", 60)
    eventually(lambda: not world.pods("deleted", "fetch"), "the end of its pods", 60)


def test_suspend_stops_the_work_and_resume_takes_it_up(world: World) -> None:
    storage = {"claimName": "store-suspend", "size": "1Gi"}
    world.quantized_model("suspended", storage=storage)
    quantizing_pod(world, "suspended", '"VerifyingSource"')
    world.patch("qm", "suspended", {"spec": {"suspend": True}})
    eventually(lambda: world.get("qm", "suspended")["status"]["stage"] == "Suspended", "the stage Suspended", 20)
    eventually(lambda: not world.pods("suspended", "quantize"), "the end of its pods", 60)
    assert world.condition("qm", "suspended", "Ready")["reason"] == "Suspended"
    world.patch("qm", "suspended", {"spec": {"suspend": False}})
    world.ready("suspended")
