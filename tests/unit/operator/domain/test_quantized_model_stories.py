"""A QuantizedModel's life, pass by pass: what is created, what status says, and that nothing is done twice."""

from __future__ import annotations

import json

from support.domain_world import (
    DIGEST_A,
    INT4,
    INT8,
    SMOLLM2,
    World,
    condition,
    fetch_result,
    has,
    quantize_result,
    refused_result,
)
from trtllm_api.contract import BuildResult, ProgressLine
from trtllm_api.contract import Stage as JobStage
from trtllm_api.modelstatus import Verdict
from trtllm_api.reasons import Reason
from trtllm_operator.shared.steps import Delete, Requeue


def kinds(world: World) -> list[str]:
    return [kind for kind, _ in world.created]


def test_the_demo_int4_is_planned_with_64_refused_with_its_numbers_and_int8_ships(world: World) -> None:
    world.model()
    status = world.reconcile()
    assert kinds(world) == ["PersistentVolumeClaim", "ConfigMap", "Job"]
    assert status["stage"] == "Fetching"
    assert condition(status, "Ready") == ("False", "Fetching", "The source is being fetched and verified.")

    world.finish("fetch", fetch_result())
    status = world.settle()
    assert status["stage"] == "Quantizing"
    assert status["plan"]["why"] == [
        "INT4WeightOnly: group size 64, because 128 does not divide 576 (model.layers.*.self_attn.q_proj)."
    ]
    request = json.loads(world.get("ConfigMap", world.job("quantize")["metadata"]["name"])["data"]["request.json"])
    assert request["quantize"]["sourcePath"] == "/source/smollm2-135m-instruct"
    assert request["quantize"]["sourceManifest"] == "/store/sources/aaaa/manifest.json"
    assert [(c["method"], c.get("groupSize")) for c in request["quantize"]["candidates"]] == [
        ("INT4WeightOnly", 64),
        ("INT8WeightOnly", None),
    ]

    world.finish("quantize", quantize_result(INT4, INT8))
    status = world.settle()
    assert status["stage"] == "Ready"
    assert condition(status, "QualityPassed") == (
        "True",
        "PassedByFallback",
        (
            "INT4WeightOnly (group size 64): perplexity 39.15 against 25.98 of the source (+50.7%, limit +10%): "
            "refused; INT8WeightOnly: 26.08 (+0.4%): passed."
        ),
    )
    assert status["artifact"]["method"] == "INT8WeightOnly"
    assert status["history"][0]["reason"] == "ArtifactReady"
    assert "progress" not in status
    assert kinds(world) == ["PersistentVolumeClaim", "ConfigMap", "Job", "ConfigMap", "Job"]


def test_warn_ships_and_says_so(world: World) -> None:
    warned = INT4.model_copy(update={"verdict": Verdict.WARNED})
    world.model(quality={"onFailure": "Warn"})
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", quantize_result(warned))
    status = world.settle()
    assert condition(status, "Ready")[0] == "True"
    assert condition(status, "QualityPassed")[:2] == ("False", "Warned")


def test_a_changed_spec_replaces_the_running_job(world: World) -> None:
    world.model()
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    old = world.job("quantize")["metadata"]["name"]
    world.change("QuantizedModel", quantization={"method": "INT8WeightOnly"}, quality={})
    world.settle()
    assert world.job("quantize")["metadata"]["name"] != old
    assert {("Job", old), ("ConfigMap", old)} <= set(world.deleted)


def test_a_ready_artifact_stays_in_status_until_the_new_one_is_ready(world: World) -> None:
    world.model()
    first = world.make_ready()["artifact"]
    world.change("QuantizedModel", quantization={"method": "INT8WeightOnly"}, quality={})
    status = world.settle()
    assert status["stage"] == "Quantizing"
    assert status["artifact"] == first
    assert condition(status, "Ready")[0] == "False"


def test_going_back_to_the_first_spec_finds_its_artifact_without_a_job(world: World) -> None:
    world.model()
    world.make_ready()
    before = dict(world.get("QuantizedModel", "smollm2")["spec"])
    world.change("QuantizedModel", quantization={"method": "INT8WeightOnly"}, quality={})
    world.settle()
    world.change("QuantizedModel", **before)
    made = len(world.created)
    status = world.settle()
    assert condition(status, "Ready")[0] == "True"
    assert len(world.created) == made
    assert not [job for job in world.of("Job") if "status" not in job], "the abandoned Job runs on"


def test_after_a_refused_change_the_first_artifact_is_not_shown_with_foreign_measurements(world: World) -> None:
    world.model()
    world.make_ready()
    before = dict(world.get("QuantizedModel", "smollm2")["spec"])
    world.change("QuantizedModel", quantization={"method": "INT4WeightOnly", "groupSize": 32}, quality={})
    world.settle()
    refused = INT4.model_validate({**INT4.to_wire(), "groupSize": 32})
    newest = next(job for job in world.of("Job") if "status" not in job)
    world.end_pod(world.pod(newest), 66, refused_result(refused).to_termination_message().decode())
    world.end_job(newest, "Failed")
    status = world.settle()
    assert condition(status, "QualityPassed")[1] == "QualityRefused"
    assert status["artifact"]["method"] == "INT8WeightOnly"
    world.change("QuantizedModel", **before)
    status = world.settle()
    assert condition(status, "QualityPassed")[1] in {"PassedByFallback", "NotReached"}
    assert "group size 32" not in json.dumps(status["conditions"])


def test_suspend_stops_the_running_job_and_resume_makes_the_same_again(world: World) -> None:
    world.model()
    world.settle()
    name = world.job("fetch")["metadata"]["name"]
    world.change("QuantizedModel", suspend=True)
    status = world.settle()
    assert status["stage"] == "Suspended"
    assert condition(status, "Ready")[:2] == ("False", "Suspended")
    assert not has(status, "Reconciling")
    assert not has(status, "Stalled")
    assert not world.of("Job")
    world.change("QuantizedModel", suspend=False)
    world.settle()
    assert world.job("fetch")["metadata"]["name"] == name


def test_suspend_does_not_touch_what_is_ready(world: World) -> None:
    world.model()
    world.make_ready()
    world.change("QuantizedModel", suspend=True)
    assert condition(world.settle(), "Ready")[0] == "True"


def test_a_job_that_vanished_is_made_anew(world: World) -> None:
    world.model()
    world.settle()
    name = world.job("fetch")["metadata"]["name"]
    del world.objects[("Job", name)]
    world.settle()
    assert world.job("fetch")["metadata"]["name"] == name


def test_jobs_that_vanish_after_their_result_is_in_status_are_not_made_again(world: World) -> None:
    world.model()
    world.make_ready()
    made = len(world.created)
    for kind in ("Job", "Pod"):
        for obj in world.of(kind):
            del world.objects[(kind, obj["metadata"]["name"])]
    assert condition(world.settle(), "Ready")[0] == "True"
    assert len(world.created) == made


def test_a_restarted_operator_changes_nothing(world: World) -> None:
    world.model()
    before = world.make_ready()
    world.later(hours=3)
    assert world.reconcile() == before
    assert all(isinstance(step, Requeue) for step in world.steps)


def test_finished_jobs_go_a_day_after_their_end_and_not_before(world: World) -> None:
    world.model()
    world.make_ready()
    world.later(hours=23)
    world.reconcile()
    assert len(world.of("Job")) == 2
    assert {type(step) for step in world.steps} == {Requeue}
    world.later(hours=2)
    world.reconcile()
    assert not world.of("Job")
    assert condition(world.settle(), "Ready")[0] == "True"


def test_a_result_that_status_does_not_hold_yet_is_never_collected(world: World) -> None:
    world.model()
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", quantize_result(INT4, INT8))
    world.later(days=9)  # the operator was away
    world.reconcile()
    quantize = world.job("quantize")["metadata"]["name"]
    assert Delete("Job", quantize) not in world.steps
    assert world.get("QuantizedModel", "smollm2")["status"]["stage"] == "Ready"


def test_a_job_whose_pods_are_gone_before_their_result_was_read_runs_again(world: World) -> None:
    world.model()
    world.settle()
    job = world.job("fetch")
    world.end_job(job, "Complete")
    world.reconcile()
    assert world.of("Job"), "the pod's end may still arrive"
    world.later(minutes=5)
    status = world.reconcile()
    assert condition(status, "Ready")[1] == "ResultLost"
    assert not world.of("Job")
    world.reconcile()
    assert world.job("fetch")


def test_the_retry_annotation_makes_another_job_of_the_same_request(world: World) -> None:
    world.model()
    world.settle()
    old = world.job("fetch")
    failure = BuildResult(stage=JobStage.FETCH, exit_code=69, reason=Reason.SOURCE_NOT_FOUND, message="gone")
    world.finish("fetch", failure)
    assert world.settle()["stage"] == "Failed"
    world.get("QuantizedModel", "smollm2")["metadata"]["annotations"] = {"trtllm.dev/retry": "1"}
    assert world.settle()["stage"] == "Fetching"
    new = next(job for job in world.of("Job") if "status" not in job)
    assert new["metadata"]["name"] != old["metadata"]["name"]


def test_a_new_builder_image_does_not_quantize_ready_models_again(world: World) -> None:
    world.model()
    before = world.make_ready()
    world.settings = type(world.settings)(image="registry.example/trtllm-builder:2")
    assert world.settle() == before
    assert not [step for step in world.steps if not isinstance(step, Requeue)]


def test_a_running_pods_log_is_read_and_its_progress_shown(world: World) -> None:
    world.model()
    world.settle()
    pod = world.pod(world.job("fetch"))
    world.progress = ProgressLine(stage="Downloading", done=3, total=12, unit="MiB", eta_seconds=9.7)
    status = world.settle()
    assert world.log_pods() == [pod["metadata"]["name"]]
    assert status["progress"] == {
        "stage": "Downloading",
        "percent": 25,
        "summary": "Downloading 25%, 3/12 MiB, 10 s left",
        "detail": "3 of 12 MiB",
        "etaSeconds": 9,
        "job": world.job("fetch")["metadata"]["name"],
    }


def test_a_missing_dataset_is_waited_for_by_name_while_the_source_is_fetched(world: World) -> None:
    world.model(calibration={"dataset": {"configMap": {"name": "texts", "key": "ours.txt"}}})
    assert world.settle()["stage"] == "Fetching"
    world.finish("fetch", fetch_result())
    status = world.settle()
    assert condition(status, "Reconciling")[1:] == (
        "DatasetMissing",
        "ConfigMap texts with the data set's key ours.txt does not exist.",
    )
    assert any(isinstance(step, Requeue) for step in world.steps)
    world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"other.txt": "x"}})
    assert condition(world.settle(), "Ready")[2] == "ConfigMap texts has no key ours.txt; it has other.txt."
    world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"ours.txt": "x"}})
    assert world.settle()["stage"] == "Quantizing"


def test_other_texts_in_the_same_config_map_are_another_request(world: World) -> None:
    world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"ours.txt": "x"}})
    world.model(calibration={"dataset": {"configMap": {"name": "texts", "key": "ours.txt"}}})
    world.make_ready()
    world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"ours.txt": "y"}})
    assert world.settle()["stage"] == "Quantizing"


def test_an_explicit_group_size_that_does_not_divide_is_refused_before_any_quantize_job(world: World) -> None:
    world.model(quantization={"method": "INT4WeightOnly", "groupSize": 128})
    world.settle()
    world.finish("fetch", fetch_result())
    status = world.settle()
    assert condition(status, "Stalled") == (
        "True",
        "GroupSizeNotDivisible",
        (
            "INT4WeightOnly: groupSize 128 does not divide 576, the input width of model.layers.*.self_attn.q_proj "
            "(nor that of 5 more layers). Sizes that fit this model: 192, 96, 64, 48, 32, 16; "
            "without groupSize the best one is planned."
        ),
    )
    assert condition(status, "PreflightPassed")[0] == "False"
    assert condition(status, "SourceReady")[0] == "True"
    assert len(world.of("Job")) == 1


def test_a_spec_that_does_not_parse_is_a_condition_and_leaves_children_alone(world: World) -> None:
    world.model()
    world.settle()
    world.change("QuantizedModel", quantization={"method": "INT3"})
    status = world.settle()
    assert condition(status, "Stalled")[1] == "InvalidSpec"
    assert "spec.quantization.method: Input should be 'FP8'" in condition(status, "Stalled")[2]
    assert world.of("Job")


def test_a_resource_on_its_way_out_is_left_alone(world: World) -> None:
    world.model()["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    world.settle()
    assert not world.created


def test_a_source_from_the_hub_pins_its_revision_and_takes_the_token_from_the_secret(world: World) -> None:
    hub = {"repo": "org/model", "revision": "main", "tokenSecretRef": {"name": "hf", "key": "token"}}
    world.model(source={"huggingFace": hub})
    world.settle()
    container = world.job("fetch")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}} in container["env"]
    result = fetch_result()
    assert result.fetch is not None
    pinned = result.model_copy(update={"fetch": result.fetch.model_copy(update={"revision": "0123abc"})})
    world.finish("fetch", pinned)
    status = world.settle()
    assert status["source"]["revision"] == "0123abc"
    assert status["source"]["claimName"] == "trtllm-store"
    assert condition(status, "SourceReady")[2] == "LlamaForCausalLM, 135M parameters, bfloat16, revision 0123abc."
    request = json.loads(world.get("ConfigMap", world.job("quantize")["metadata"]["name"])["data"]["request.json"])
    assert request["quantize"]["sourcePath"] == "/store/smollm2-135m-instruct"
    assert request["quantize"]["sourceDigest"] == DIGEST_A


def test_the_memory_that_a_cpu_needs_grows_with_the_model(world: World) -> None:
    world.model()
    world.settle()
    world.finish("fetch", fetch_result(SMOLLM2.model_copy(update={"parameters": 1_500_000_000})))
    world.settle()
    resources = world.job("quantize")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["memory"] == "16640Mi"
    assert resources["limits"]["memory"] == "33024Mi"


def test_a_success_that_lacks_its_result_names_both_images(world: World) -> None:
    world.model()
    world.settle()
    world.finish("fetch", BuildResult(stage=JobStage.FETCH, exit_code=0))
    status = world.settle()
    assert condition(status, "Stalled")[1] == "BadTermination"
    assert "check both images' tags" in condition(status, "Stalled")[2]
