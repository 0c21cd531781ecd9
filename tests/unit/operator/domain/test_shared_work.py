"""QuantizedModels that ask for the same: the work is done once, by the older one or whoever takes over."""

from __future__ import annotations

from support.domain_world import (
    INT4,
    INT8,
    World,
    condition,
    fetch_result,
    quantize_result,
)
from trtllm_api.contract import BuildResult
from trtllm_api.contract import Stage as JobStage
from trtllm_api.reasons import Reason


def test_an_identical_second_resource_is_ready_in_its_first_pass_without_a_job(world: World) -> None:
    world.model()
    world.make_ready()
    made = len(world.created)
    world.later(minutes=1)
    world.model("second")
    status = world.reconcile("second")
    assert condition(status, "Ready")[:2] == ("True", "ArtifactReused")
    assert status["artifact"]["reusedFrom"] == "smollm2"
    assert condition(status, "SourceReady")[1] == "SourceReused"
    assert len(world.created) == made
    assert world.settle("second") == status


def test_an_identical_resource_waits_for_the_older_one_and_then_has_its_artifact(world: World) -> None:
    world.model("older")
    world.later(seconds=5)
    world.model("younger")
    world.settle("older")
    status = world.settle("younger")
    assert status["stage"] == "Waiting"
    assert condition(status, "Ready") == (
        "False",
        "WaitingForSibling",
        "QuantizedModel older is fetching the same source.",
    )
    world.finish("fetch", fetch_result(), "older")
    world.settle("older")
    status = world.settle("younger")
    assert condition(status, "Reconciling")[2] == "QuantizedModel older is making the same artifact."
    world.finish("quantize", quantize_result(INT4, INT8), "older")
    world.settle("older")
    assert condition(world.settle("younger"), "Ready")[:2] == ("True", "ArtifactReused")
    assert len(world.of("Job")) == 2


def test_the_younger_takes_over_when_the_older_one_fails(world: World) -> None:
    world.model("older")
    world.later(seconds=5)
    world.model("younger")
    world.settle("older")
    world.finish(
        "fetch",
        BuildResult(stage=JobStage.FETCH, exit_code=69, reason=Reason.SOURCE_NOT_FOUND, message="no such directory"),
        "older",
    )
    assert condition(world.settle("older"), "Stalled")[1] == "SourceNotFound"
    assert world.settle("younger")["stage"] == "Fetching"
    assert world.job("fetch", "younger")


def test_another_quantization_of_the_same_source_does_not_fetch_it_again(world: World) -> None:
    world.model()
    world.make_ready()
    world.model("int8", quantization={"method": "INT8WeightOnly"}, quality={})
    status = world.settle("int8")
    assert status["stage"] == "Quantizing"
    assert condition(status, "SourceReady")[1] == "SourceReused"
    assert [j["metadata"]["name"].split("-")[1] for j in world.of("Job")] == ["fetch", "quantize", "quantize"]
