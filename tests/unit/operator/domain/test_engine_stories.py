"""An engine's life: planned, converted, built, published, served on one node or several, reused, refused."""

from __future__ import annotations

import json

import pytest

from support.domain_world import World, condition, fetch_result
from support.engine_world import (
    DIGEST_E,
    H100,
    IMAGE,
    KIND,
    L4,
    LLAMA_70B,
    end_stage,
    engine_of_source,
    groups_ready,
    make_engine,
    nodes,
    settled,
    unquantized,
)
from trtllm_api.contract import BuildResult, ProgressLine, Stage
from trtllm_api.reasons import Reason
from trtllm_operator.shared.steps import Requeue

SIXTEEN = {"tensor": 8, "pipeline": 2}


def jobs_of(world: World, name: str = "llama") -> list[str]:
    return [
        kind.split("-")[1] for _, kind in (item for item in world.created if item[0] == "Job") if kind.startswith(name)
    ]


def test_an_engine_goes_through_every_stage_and_is_served(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 2})
    assert settled(world)["stage"] == "Fetching"
    end_stage(world, "fetch", result=fetch_result())
    assert settled(world)["stage"] == "Failed", "9 heads do not divide by 2"
    world.change(KIND, "llama", parallelism={"tensor": 1})
    assert settled(world)["stage"] == "Converting"
    end_stage(world, "convert")
    status = settled(world)
    assert status["stage"] == "Building"
    assert condition(status, "EngineReady") == ("False", "Building", "1 rank being built by 1 pod with 1 GPU.")
    status = make_engine(world, 1)
    assert jobs_of(world) == ["fetch", "convert", "build", "publish"]
    assert status["stage"] == "RollingOut"
    assert status["engine"]["path"].startswith("engines/eeee")
    world.roll_out(1, name="llama-serve")
    status = settled(world)
    assert condition(status, "Ready")[:2] == ("True", "Serving")
    assert status["artifact"]["runtime"] == "TensorRT"
    assert (
        condition(status, "EngineReady")[2]
        == f"Engine eeeeeeeeeeee of 1 rank for {H100}, TensorRT-LLM 1.2.1, 135422 MiB."
    )


def test_heads_that_do_not_divide_are_refused_with_numbers_before_any_gpu_is_asked_for(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    settled(world)
    end_stage(world, "fetch", result=fetch_result())
    status = settled(world)
    _, reason, message = condition(status, "Stalled")
    assert condition(status, "PreflightPassed") == ("False", reason, message)
    assert "9 " in message
    assert "8" in message
    assert message.endswith(f" Would fit: another parallelism: TP 1 on 1 x {H100}.")
    assert jobs_of(world) == ["fetch"]


def test_where_no_layout_fits_the_message_names_once_what_would(world: World) -> None:
    nodes(world, product=L4, compute="8.9", mib=23034, gpus=4)
    engine_of_source(world)
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    _, reason, message = condition(settled(world), "Stalled")
    assert reason == "NoLayoutFits"
    assert message.count("ould fit") == 1
    assert message.count(f"on 4 x {L4}") == 1


def test_sixteen_ranks_are_built_by_two_pods_of_an_indexed_job_and_served_by_a_group(world: World) -> None:
    nodes(world, 2)
    engine_of_source(world, parallelism=SIXTEEN, storage={"accessMode": "ReadWriteMany"})
    status = make_engine(world, 16)
    (build,) = [job for job in world.of("Job") if "-build-" in job["metadata"]["name"]]
    assert (build["spec"]["completionMode"], build["spec"]["completions"]) == ("Indexed", 2)
    assert build["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert not world.of("Deployment")
    lws = world.get("LeaderWorkerSet", "llama-servers")
    assert lws["spec"]["leaderWorkerTemplate"]["size"] == 2
    launch = json.loads(
        lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]["metadata"]["annotations"]["trtllm.dev/launch"]
    )
    assert (launch["world"], launch["nodes"], launch["gpusPerNode"]) == (16, 2, 8)
    assert status["plan"]["nodes"] == 2
    groups_ready(world)
    status = settled(world)
    assert condition(status, "Ready")[:2] == ("True", "Serving")
    assert status["serving"]["readyReplicas"] == 1


def test_the_logs_of_all_pods_that_build_are_read_and_the_progress_is_shown_in_words(world: World) -> None:
    nodes(world, 2)
    engine_of_source(world, parallelism=SIXTEEN, storage={"accessMode": "ReadWriteMany"})
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    settled(world)
    end_stage(world, "convert")
    settled(world)
    (build,) = [job for job in world.of("Job") if "-build-" in job["metadata"]["name"]]
    pods = [world.pod(build)["metadata"]["name"] for _ in range(2)]
    world.progress = ProgressLine(stage="Building", done=3, total=16, unit="ranks", eta_seconds=125)
    status = settled(world)
    assert sorted(world.log_pods()) == pods
    assert status["progress"]["summary"] == "Building 18%, 3/16 ranks, 2 min left"


def test_several_nodes_without_leader_worker_sets_are_refused_before_anything_is_built(world: World) -> None:
    nodes(world, 2)
    world.groups_served = False
    engine_of_source(world, parallelism=SIXTEEN)
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    status = settled(world)
    assert condition(status, "Stalled")[1] == "LeaderWorkerSetMissing"
    assert "Install LeaderWorkerSet" in condition(status, "Stalled")[2]
    assert jobs_of(world) == ["fetch"]
    assert Requeue(30.0) in world.steps, "nobody tells the operator of a kind that is installed"
    world.groups_served = True
    assert settled(world)["stage"] == "Converting"


def test_an_engine_that_is_not_served_is_ready_once_it_is_built(world: World) -> None:
    nodes(world)
    engine_of_source(world, serving=None, parallelism={"tensor": 8})
    status = make_engine(world, 8)
    assert status["stage"] == "Built"
    assert condition(status, "Ready")[:2] == ("True", "EngineReady")
    assert not world.of("Deployment") + world.of("Service")


def test_an_identical_engine_build_uses_the_engine_without_a_job(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    engine_of_source(world, "other", parallelism={"tensor": 8}, serving={"replicas": 2})
    status = settled(world, "other")
    assert status["engine"]["reusedFrom"] == "llama"
    assert status["engine"]["digest"] == DIGEST_E
    assert condition(status, "EngineReady")[1] == "EngineReused"
    assert jobs_of(world, "other") == []


def test_two_that_ask_for_the_same_engine_at_once_build_it_once(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    world.later(seconds=1)
    engine_of_source(world, "other", parallelism={"tensor": 8})
    settled(world)
    assert condition(settled(world, "other"), "Reconciling")[1:] == (
        "WaitingForSibling",
        "EngineBuild llama is fetching the same source.",
    )
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    settled(world)
    status = settled(world, "other")
    assert condition(status, "Reconciling")[2] == "EngineBuild llama is building the same engine."
    make_engine(world, 8)
    assert settled(world, "other")["stage"] == "RollingOut"
    assert jobs_of(world, "other") == []


def test_an_equal_spec_that_was_planned_on_gpus_that_are_gone_is_not_waited_for(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    nodes(world, product="NVIDIA-H200", mib=143771)
    world.later(seconds=1)
    engine_of_source(world, "other", parallelism={"tensor": 8})
    assert settled(world, "other")["stage"] == "Converting"


def test_another_gpu_product_is_another_engine_and_the_old_one_serves_until_it_is_ready(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    world.roll_out(1, name="llama-serve")
    before = settled(world)
    nodes(world, product="NVIDIA-H200", mib=143771)
    assert settled(world) == before, "nodes that come and go move nothing"
    world.change(KIND, "llama", gpu={"product": "NVIDIA-H200"})
    status = settled(world)
    assert status["stage"] == "Converting"
    assert condition(status, "Available")[0] == "True"
    assert status["artifact"] == before["artifact"]
    make_engine(world, 8, digest="sha256:" + "f" * 64, product="NVIDIA-H200")
    terms = world.get("Deployment", "llama-serve")["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    assert "NVIDIA-H200" in json.dumps(terms)


def test_a_change_from_one_node_to_two_keeps_the_old_servers_until_the_group_answers(world: World) -> None:
    nodes(world, 2)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    world.roll_out(1, name="llama-serve")
    settled(world)
    world.change(KIND, "llama", parallelism=SIXTEEN)
    status = make_engine(world, 16, digest="sha256:" + "f" * 64)
    assert world.of("Deployment")
    assert (
        condition(status, "Ready")[2]
        == f"0 of 1 servers of engine ffffffffffff of 16 ranks for {H100} ready; 1 old ones keep serving."
    )
    groups_ready(world)
    status = settled(world)
    assert not world.of("Deployment")
    assert condition(status, "Ready")[:2] == ("True", "Serving")


def test_what_serves_can_be_scaled_while_a_new_engine_is_built(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    world.roll_out(1, name="llama-serve")
    settled(world)
    limits = {"maxBatchSize": 16, "maxInputLength": 1024, "maxSequenceLength": 2048}
    world.change(KIND, "llama", limits=limits, serving={"replicas": 4})
    assert settled(world)["stage"] == "Converting"
    assert world.get("Deployment", "llama-serve")["spec"]["replicas"] == 4


def test_a_refused_spec_leaves_the_last_good_engine_serving(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    world.roll_out(1, name="llama-serve")
    good = settled(world)
    world.change(KIND, "llama", parallelism={"tensor": 3})
    status = settled(world)
    assert condition(status, "Stalled")[0] == "True"
    assert condition(status, "Available")[0] == "True"
    assert status["engine"] == good["engine"]
    assert world.deleted == []


def test_serving_more_than_the_engine_was_built_for_is_refused_with_both_numbers(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    world.change(KIND, "llama", serving={"maxBatchSize": 64})
    message = condition(settled(world), "Stalled")[2]
    assert "64" in message
    assert "8" in message


def test_limits_and_serving_raised_together_build_a_new_engine(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    make_engine(world, 8)
    limits = {"maxBatchSize": 64, "maxInputLength": 1024, "maxSequenceLength": 2048}
    world.change(KIND, "llama", limits=limits, serving={"maxBatchSize": 64})
    assert settled(world)["stage"] == "Converting"


def test_a_build_that_failed_says_why_and_what_to_do(world: World) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    settled(world)
    end_stage(world, "convert")
    settled(world)
    result = BuildResult(
        stage=Stage.BUILD,
        exit_code=66 - 1,
        reason=Reason.ENGINE_BUILD_FAILED,
        message="trtllm-build exited with 0 and wrote no rank3.engine.",
        remedy="Set the annotation trtllm.dev/retry.",
    )
    end_stage(world, "build", result=result)
    status = settled(world)
    assert condition(status, "EngineReady")[1] == "EngineBuildFailed"
    assert "wrote no rank3.engine. Set the annotation" in condition(status, "Stalled")[2]


def test_parallelism_is_planned_where_it_is_left_out(world: World) -> None:
    nodes(world, product=L4, compute="8.9", mib=23034, gpus=8)
    engine_of_source(world)
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    status = settled(world)
    assert status["plan"]["tensor"] * status["plan"]["pipeline"] == 8
    assert status["plan"]["product"] == L4
    assert all(line[0].isupper() and line.endswith(".") for line in status["plan"]["why"])
    assert any("GiB" in line for line in status["plan"]["why"])


def test_nodes_that_appear_settle_a_spec_that_had_none(world: World) -> None:
    engine_of_source(world, parallelism={"tensor": 8})
    settled(world)
    end_stage(world, "fetch", result=fetch_result(LLAMA_70B))
    status = settled(world)
    assert condition(status, "Stalled")[1] == "NoMatchingGpu"
    nodes(world)
    assert settled(world)["stage"] == "Converting"


def test_pytorch_serves_a_models_artifact_without_building_anything(world: World) -> None:
    nodes(world)
    unquantized(world)
    world.engine(device="GPU", runtime="PyTorch", image=IMAGE, parallelism={"tensor": 1})
    settled(world, "smollm2")
    world.roll_out(1)
    status = settled(world, "smollm2")
    assert condition(status, "Ready")[:2] == ("True", "Serving")
    launch = json.loads(
        world.get("Deployment", "smollm2-serve")["spec"]["template"]["metadata"]["annotations"]["trtllm.dev/launch"]
    )
    assert launch["modelPath"] == "/store/artifacts/bbbb"
    assert "engine" not in status


def test_a_deleted_model_leaves_its_engine_serving_and_scalable(world: World) -> None:
    nodes(world)
    unquantized(world)
    world.engine(device="GPU", runtime="TensorRT", image=IMAGE, parallelism={"tensor": 1})
    make_engine(world, 1, "smollm2")
    world.roll_out(1)
    settled(world, "smollm2")
    del world.objects[("QuantizedModel", "smollm2")]
    world.change(KIND, serving={"replicas": 3})
    settled(world, "smollm2")
    assert world.get("Deployment", "smollm2-serve")["spec"]["replicas"] == 3


@pytest.mark.parametrize("stage", ["fetch", "convert", "build", "publish"])
def test_suspend_stops_the_work_at_any_stage(world: World, stage: str) -> None:
    nodes(world)
    engine_of_source(world, parallelism={"tensor": 8})
    settled(world)
    for done in ("fetch", "convert", "build", "publish"):
        if done == stage:
            break
        end_stage(world, done, result=fetch_result(LLAMA_70B) if done == "fetch" else None)
        settled(world)
    world.change(KIND, "llama", suspend=True)
    status = settled(world)
    assert status["stage"] == "Suspended"
    assert not [job for job in world.of("Job") if "status" not in job]
