"""An EngineBuild's life: waiting for its model, rolling out, failing, scaling, suspended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.domain_world import (
    DIGEST_B,
    INT4,
    INT8,
    World,
    condition,
    controlled_by,
    fetch_result,
    has,
    quantize_result,
    refused_result,
)
from trtllm_api.contract import ProgressLine
from trtllm_api.modelstatus import QuantizedModelStatus, Verdict
from trtllm_api.quantization import Method
from trtllm_operator.enginebuild.checkpoint import subject_of_model
from trtllm_operator.enginebuild.observed import Model
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.manifests.server import server_name

DIGEST_C = "sha256:" + "c" * 64
KIND = "EngineBuild"


@pytest.fixture
def serving(world: World) -> World:
    """One replica of the artifact bbbb serves."""
    world.model()
    world.make_ready()
    world.engine()
    world.settle(kind=KIND)
    world.roll_out(1)
    world.settle(kind=KIND)
    return world


def test_what_fallback_mixed_left_in_full_precision_is_known_to_the_engines_plan(world: World) -> None:
    world.model(quality={"fallbacks": ["Mixed"]})
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    mixed = INT4.model_copy(update={"verdict": Verdict.PASSED, "exclude_modules": ("layers.2",)})
    world.finish("quantize", quantize_result(INT4, mixed))
    status = QuantizedModelStatus.model_validate(world.settle())
    subject = subject_of_model(Model("smollm2", True, status))
    assert subject is not None
    assert subject.candidate is not None
    assert subject.candidate.method is Method.INT4_WEIGHT_ONLY
    assert subject.candidate.exclude_modules == ("layers.2",)


def new_artifact(world: World, digest: str = DIGEST_C) -> None:
    world.change("QuantizedModel", quantization={"method": "INT8WeightOnly"}, quality={})
    world.settle()
    job = next(job for job in world.of("Job") if "status" not in job)
    world.end_pod(world.pod(job), 0, quantize_result(INT8, digest=digest).to_termination_message().decode())
    world.end_job(job, "Complete")
    world.settle()


def server(world: World, name: str = "s-new-0", *, template_hash: str = "new", **status: Any) -> dict[str, Any]:
    deployment = world.get("Deployment", "smollm2-serve")
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    labels = deployment["spec"]["template"]["metadata"]["labels"] | {"pod-template-hash": template_hash}
    revision = {"deployment.kubernetes.io/revision": "2" if template_hash == "new" else "1"}
    meta = {"name": f"rs-{template_hash}", "labels": labels, "annotations": revision}
    replicas = world.put("ReplicaSet", {"metadata": {**meta, "ownerReferences": [controlled_by(deployment)]}})
    spec = deployment["spec"]["template"]["spec"]
    owned = {"name": name, "labels": labels, "ownerReferences": [controlled_by(replicas)]}
    return world.put("Pod", {"metadata": owned, "spec": spec, "status": status})


def crashed(code: int, message: str, reason: str = "Error", restarts: int = 1) -> dict[str, Any]:
    end = {"exitCode": code, "message": message, "reason": reason}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": end}
    return {
        "phase": "Running",
        "containerStatuses": [
            {"name": "server", "ready": False, "restartCount": restarts, "state": waiting, "lastState": last}
        ],
    }


def late(world: World) -> None:
    conditions = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    world.get("Deployment", "smollm2-serve")["status"]["conditions"] = conditions


def test_it_waits_for_a_model_that_does_not_exist_and_names_it(world: World) -> None:
    world.engine()
    status = world.settle(kind=KIND)
    assert condition(status, "Reconciling")[1:] == (
        "ModelNotFound",
        "QuantizedModel smollm2 does not exist in namespace default. Create it.",
    )
    assert not has(status, "Stalled")
    assert not world.created


def test_it_waits_for_a_model_that_is_being_made_and_tells_its_stage(world: World) -> None:
    world.model()
    world.settle()
    world.engine()
    status = world.settle(kind=KIND)
    assert status["stage"] == "WaitingForModel"
    assert condition(status, "ModelReady")[:2] == ("False", "ModelNotReady")
    assert condition(status, "Ready")[2] == "QuantizedModel smollm2 has no artifact yet (stage Fetching)."


def test_a_model_that_failed_stalls_it_with_the_models_own_reason(world: World) -> None:
    world.model(quality={"onFailure": "Fail"})
    world.settle()
    world.engine()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", refused_result(INT4))
    world.settle()
    status = world.settle(kind=KIND)
    assert condition(status, "Stalled")[1] == "ModelFailed"
    assert "QuantizedModel smollm2 has failed (QualityRefused): INT4WeightOnly" in condition(status, "Stalled")[2]
    assert condition(status, "Stalled")[2].endswith("(kubectl describe qm/smollm2).")


def test_an_artifact_is_rolled_out_and_ready_when_every_replica_answered(world: World) -> None:
    world.model()
    world.make_ready()
    world.engine(serving={"replicas": 2})
    status = world.settle(kind=KIND)
    assert [kind for kind, _ in world.created[-2:]] == ["Deployment", "Service"]
    assert status["stage"] == "RollingOut"
    assert "artifact" not in status
    world.roll_out(1)
    status = world.settle(kind=KIND)
    assert condition(status, "Ready")[0] == "False"
    assert condition(status, "Available")[0] == "True"
    world.roll_out(2)
    status = world.settle(kind=KIND)
    assert condition(status, "Ready") == (
        "True",
        "Serving",
        "All 2 servers have answered as INT8WeightOnly artifact bbbbbbbbbbbb should.",
    )
    assert status["artifact"]["digest"] == DIGEST_B
    assert status["serving"] == {
        "url": "http://smollm2-serve.default.svc",
        "replicas": 2,
        "readyReplicas": 2,
        "selector": "trtllm.dev/resource-kind=EngineBuild,trtllm.dev/resource=smollm2,"
        "trtllm.dev/stage=serve,trtllm.dev/server=true",
    }


def test_a_new_artifact_rolls_out_while_status_names_the_one_that_serves(serving: World) -> None:
    new_artifact(serving)
    status = serving.settle(kind=KIND)
    assert status["stage"] == "RollingOut"
    assert status["artifact"]["digest"] == DIGEST_B
    args = serving.get("Deployment", "smollm2-serve")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[args.index("--artifact") + 1] == "/store/artifacts/cccccccccccc"
    serving.roll_out(1)
    status = serving.settle(kind=KIND)
    assert status["artifact"]["digest"] == DIGEST_C
    assert [entry["reason"] for entry in status["history"]] == ["Serving", "Serving"]


def test_it_is_not_ready_on_the_word_of_an_older_deployment(serving: World) -> None:
    new_artifact(serving)
    status = serving.reconcile(kind=KIND)
    assert condition(status, "Ready")[0] == "False", "the Deployment still reports its old template as complete"
    status = serving.reconcile(kind=KIND)
    assert condition(status, "Ready")[0] == "False", "its controller has not seen the new template yet"


def test_a_server_that_refuses_its_artifact_fails_the_rollout_in_its_own_words_and_the_old_one_serves_on(
    serving: World,
) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    words = {
        "reason": "ArtifactCorrupt",
        "message": "model.safetensors has 7 bytes, its manifest says 9",
        "remedy": "x",
    }
    server(serving, **crashed(65, json.dumps(words)))
    serving.roll_out(1, complete=False)
    status = serving.settle(kind=KIND)
    assert condition(status, "Stalled") == (
        "True",
        "RolloutFailed",
        (
            "Servers of INT8WeightOnly artifact cccccccccccc are not becoming ready; 1 old ones keep serving: "
            "model.safetensors has 7 bytes, its manifest says 9. X."
        ),
    )
    assert condition(status, "Available")[0] == "True"
    assert status["artifact"]["digest"] == DIGEST_B
    assert status["history"][0]["reason"] == "RolloutFailed"


def test_a_rollout_that_is_late_fails_with_what_holds_it_up(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    said = "0/2 nodes are available: 2 Insufficient memory."
    sentence = "of 2 nodes, 2 have too little free memory. Lower the pod's requests, or add larger nodes."
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}]
    server(serving, phase="Pending", conditions=conditions)
    serving.roll_out(1, complete=False)
    status = serving.settle(kind=KIND)
    assert not has(status, "Stalled")
    assert condition(status, "Reconciling")[2].endswith(f"pod s-new-0: No node takes the pod: {sentence}")
    late(serving)
    status = serving.settle(kind=KIND)
    assert condition(status, "Stalled")[1] == "RolloutFailed"
    assert condition(status, "Stalled")[2].endswith(
        f"not ready in time: pod s-new-0: No node takes the pod: {sentence}"
    )


def test_a_server_killed_for_memory_again_and_again_names_its_limit(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    server(serving, **crashed(137, "", "OOMKilled", restarts=1))
    serving.roll_out(1, complete=False)
    assert "was killed at its memory limit (limit 5632Mi)" in condition(serving.settle(kind=KIND), "Reconciling")[2]
    server(serving, **crashed(137, "", "OOMKilled", restarts=2))
    assert condition(serving.settle(kind=KIND), "Stalled")[2].endswith(
        "(limit 5632Mi). Set spec.serving.podTemplate.resources.limits.memory above 5632Mi."
    )


def test_an_old_servers_crash_is_not_blamed_on_the_new_artifact(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    server(serving, "s-old-0", template_hash="old", **crashed(65, "old"))
    server(serving, phase="Running")
    serving.roll_out(1, complete=False)
    assert not has(serving.settle(kind=KIND), "Stalled")


def test_a_starting_servers_log_is_read_and_its_progress_shown(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    server(serving, phase="Running")
    serving.roll_out(1, complete=False)
    serving.progress = ProgressLine(stage="Loading", done=1, total=4)
    status = serving.settle(kind=KIND)
    assert serving.log_pods() == ["s-new-0"]
    assert status["progress"]["percent"] == 25


def test_a_quota_that_refuses_pods_is_told(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    serving.roll_out(1, complete=False)
    said = 'pods "x" is forbidden: exceeded quota: gpus'
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": said}]
    serving.get("Deployment", "smollm2-serve")["status"]["conditions"] = conditions
    status = serving.settle(kind=KIND)
    assert condition(status, "Reconciling")[1] == "PodRefused"
    assert said in condition(status, "Reconciling")[2]


def test_scaling_changes_the_deployment_and_no_pod_template(serving: World) -> None:
    before = json.dumps(serving.get("Deployment", "smollm2-serve")["spec"]["template"])
    serving.change(KIND, serving={"replicas": 3})
    status = serving.settle(kind=KIND)
    deployment = serving.get("Deployment", "smollm2-serve")
    assert deployment["spec"]["replicas"] == 3
    assert json.dumps(deployment["spec"]["template"]) == before
    serving.roll_out(1)
    status = serving.settle(kind=KIND)
    assert condition(status, "Reconciling")[1] == "ReplicasNotReady"
    assert condition(status, "Available")[2] == "1 of 3 servers answer."


def test_a_deployment_that_somebody_scaled_is_scaled_back(serving: World) -> None:
    serving.get("Deployment", "smollm2-serve")["spec"]["replicas"] = 9
    serving.settle(kind=KIND)
    assert serving.get("Deployment", "smollm2-serve")["spec"]["replicas"] == 1


def test_scaled_to_zero_is_what_was_asked_for(serving: World) -> None:
    serving.change(KIND, serving={"replicas": 0})
    serving.settle(kind=KIND)
    serving.roll_out(0)
    status = serving.settle(kind=KIND)
    assert status["stage"] == "ScaledToZero"
    assert condition(status, "Ready")[:2] == ("True", "ScaledToZero")
    assert condition(status, "Available")[:2] == ("False", "ScaledToZero")


def test_suspend_holds_a_new_artifact_back_and_leaves_what_serves(serving: World) -> None:
    serving.change(KIND, suspend=True)
    assert condition(serving.settle(kind=KIND), "Ready")[0] == "True"
    new_artifact(serving)
    before = json.dumps(serving.get("Deployment", "smollm2-serve"))
    status = serving.settle(kind=KIND)
    assert json.dumps(serving.get("Deployment", "smollm2-serve")) == before
    assert condition(status, "Ready") == (
        "False",
        "Suspended",
        (
            "Rollout paused by spec.suspend: INT8WeightOnly artifact cccccccccccc is not rolled out; "
            "bbbbbbbbbbbb keeps serving."
        ),
    )
    assert not has(status, "Reconciling")
    assert condition(status, "Available")[0] == "True"
    serving.change(KIND, suspend=False)
    assert serving.settle(kind=KIND)["stage"] == "RollingOut"


def test_a_model_that_is_made_anew_or_fails_leaves_its_last_good_artifact_serving(serving: World) -> None:
    serving.change("QuantizedModel", quantization={"method": "INT4WeightOnly", "groupSize": 100})
    assert condition(serving.settle(), "Stalled")[0] == "True"
    status = serving.settle(kind=KIND)
    assert condition(status, "Ready")[0] == "True"
    assert condition(status, "ModelReady")[:2] == ("True", "LastGoodArtifact")
    serving.change("QuantizedModel", quantization={"method": "INT4WeightOnly", "groupSize": 32})
    serving.settle()
    assert condition(serving.settle(kind=KIND), "ModelReady")[:2] == ("True", "ModelUpdating")


def test_a_deleted_model_leaves_its_artifact_serving_and_scalable(serving: World) -> None:
    del serving.objects[("QuantizedModel", "smollm2")]
    status = serving.settle(kind=KIND)
    assert condition(status, "Ready")[0] == "True"
    assert condition(status, "ModelReady")[:2] == ("False", "ModelNotFound")
    serving.change(KIND, serving={"replicas": 2})
    serving.settle(kind=KIND)
    assert serving.get("Deployment", "smollm2-serve")["spec"]["replicas"] == 2


def test_a_server_that_stops_answering_is_not_a_rollout(serving: World) -> None:
    serving.roll_out(0)
    status = serving.settle(kind=KIND)
    assert condition(status, "Ready")[:2] == ("False", "ReplicasNotReady")
    assert condition(status, "Available")[:2] == ("False", "Unavailable")


def test_a_settled_resource_is_not_written_again(serving: World) -> None:
    before = serving.settle(kind=KIND)
    serving.later(days=3)
    assert serving.reconcile(kind=KIND) == before
    assert serving.steps == ()


def test_a_spec_that_does_not_parse_is_a_condition_and_the_servers_stay(serving: World) -> None:
    serving.change(KIND, runtime="Magic")
    status = serving.settle(kind=KIND)
    assert condition(status, "Stalled")[1] == "InvalidSpec"
    assert condition(status, "Available")[0] == "True"


@pytest.mark.parametrize(
    ("name", "service"),
    [("smollm2", "smollm2-serve"), ("3b-chat", "eb-3b-chat-serve-"), ("qwen2.5", "eb-qwen2-5-serve-")],
)
def test_names_that_a_service_may_not_have_are_made_fit(name: str, service: str) -> None:
    made = server_name(Owner(KIND, "default", name, "u"))
    assert made.startswith(service)
    assert len(made) <= 63


def test_two_names_that_differ_by_a_dot_do_not_share_a_service() -> None:
    assert server_name(Owner(KIND, "n", "a.b", "u")) != server_name(Owner(KIND, "n", "a-b", "u"))


def test_a_rollout_that_failed_stays_failed_when_it_is_suspended(serving: World) -> None:
    new_artifact(serving)
    serving.settle(kind=KIND)
    server(serving, **crashed(65, json.dumps({"message": "m", "remedy": "r"})))
    serving.roll_out(1, complete=False)
    failed = serving.settle(kind=KIND)
    assert condition(failed, "Stalled")[1] == "RolloutFailed"
    serving.change(KIND, suspend=True)
    status = serving.settle(kind=KIND)
    assert condition(status, "Stalled")[1] == "RolloutFailed"
    assert condition(status, "Stalled")[2].endswith("rollouts are paused by spec.suspend.")
