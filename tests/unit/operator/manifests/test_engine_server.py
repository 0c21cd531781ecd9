"""The servers of an engine whose replica is one pod, their launch request and the Service of every runtime."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from support.engine_samples import DIGEST, GIB, IMAGE, OWNER, SETTINGS, server_plan
from trtllm_api.base import Device
from trtllm_api.contract import LaunchRequest
from trtllm_api.digest import digest_of
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import ServedArtifact
from trtllm_operator.manifests.engine_server import DesiredEngineServer, engine_deployment
from trtllm_operator.manifests.leader_worker_set import leader_worker_set
from trtllm_operator.manifests.server import DesiredServer, deployment, server_name, service, start_seconds

TRANSFORMERS = EngineBuildSpec.model_validate({"modelRef": {"name": "m"}, "device": "CPU"})


def container(plan: DesiredEngineServer | None = None) -> dict[str, Any]:
    (found,) = engine_deployment(plan or server_plan())["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_launch_request_is_an_annotation_that_the_pods_read_as_a_file() -> None:
    plan = server_plan()
    template = engine_deployment(plan)["spec"]["template"]
    said = template["metadata"]["annotations"]["trtllm.dev/launch"]
    assert LaunchRequest.model_validate(json.loads(said)) == plan.launch
    item = {"path": "launch.json", "fieldRef": {"fieldPath": "metadata.annotations['trtllm.dev/launch']"}}
    assert {"name": "file-0", "downwardAPI": {"items": [item]}} in template["spec"]["volumes"]
    assert {"name": "file-0", "mountPath": "/etc/trtllm", "readOnly": True} in container(plan)["volumeMounts"]
    assert container(plan)["args"] == ["launch", "--request", "/etc/trtllm/launch.json"]


def test_another_launch_request_is_another_rollout() -> None:
    plan = server_plan()
    other = replace(plan, launch=plan.launch.model_copy(update={"arguments": ("--max_batch_size", "4")}))
    assert engine_deployment(plan)["spec"]["template"] != engine_deployment(other)["spec"]["template"]


def test_clients_and_probes_have_ports_of_their_own() -> None:
    made = container()
    assert [(port["name"], port["containerPort"]) for port in made["ports"]] == [("http", 8000), ("control", 8001)]
    probes = {kind: made[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert probes == {
        "startupProbe": {"path": "/health/ready", "port": "control"},
        "readinessProbe": {"path": "/health/ready", "port": "control"},
        "livenessProbe": {"path": "/health/live", "port": "control"},
    }


def test_a_server_may_take_as_long_to_start_as_its_artifact_takes_to_read() -> None:
    for size in (GIB, 700 * GIB):
        plan = replace(server_plan(), artifact_bytes=size)
        probe = container(plan)["startupProbe"]
        assert abs(probe["periodSeconds"] * probe["failureThreshold"] - start_seconds(size)) < probe["periodSeconds"]
        assert engine_deployment(plan)["spec"]["progressDeadlineSeconds"] > start_seconds(size)
    assert start_seconds(700 * GIB) > 10 * 3600


def test_running_requests_have_their_time_before_the_pod_is_killed() -> None:
    made = engine_deployment(server_plan())["spec"]
    assert container()["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    assert made["template"]["spec"]["terminationGracePeriodSeconds"] > 90 + 5
    assert made["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_pod_holds_every_gpu_of_its_node_that_the_plan_gives_it() -> None:
    made = container(server_plan(sharedMemory="48Gi"))
    assert made["image"] == IMAGE
    assert made["resources"]["limits"]["nvidia.com/gpu"] == "8"
    volumes = engine_deployment(server_plan(sharedMemory="48Gi"))["spec"]["template"]["spec"]["volumes"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "48Gi"}} in volumes
    assert {"name": "claim-0", "mountPath": "/store", "readOnly": True} in made["volumeMounts"]
    assert {"name": "claim-1", "mountPath": "/model", "readOnly": True} in made["volumeMounts"]


def test_the_deployment_says_what_it_was_made_from() -> None:
    made = engine_deployment(server_plan(replicas=3))
    assert made["metadata"]["annotations"] == {
        "trtllm.dev/artifact-bytes": str(16 * GIB),
        "trtllm.dev/desired-digest": digest_of(made["spec"]),
    }
    assert made["spec"]["template"]["metadata"]["annotations"]["trtllm.dev/artifact"] == DIGEST
    assert made["spec"]["replicas"] == 3


def test_every_runtimes_servers_answer_behind_one_service_and_workers_do_not() -> None:
    artifact = ServedArtifact(digest=DIGEST, claim_name="models", path="artifacts/a")
    group = leader_worker_set(server_plan(nodes=2))["spec"]["leaderWorkerTemplate"]
    chosen = service(OWNER, TRANSFORMERS)["spec"]["selector"]
    old = deployment(DesiredServer(OWNER, TRANSFORMERS, artifact, GIB, SETTINGS))
    for template in (
        old["spec"]["template"],
        engine_deployment(server_plan())["spec"]["template"],
        group["leaderTemplate"],
    ):
        assert chosen.items() <= template["metadata"]["labels"].items()
    assert not chosen.items() <= group["workerTemplate"]["metadata"]["labels"].items()
    assert chosen["trtllm.dev/server"] == "true"


def test_a_change_of_runtime_is_a_rollout_of_the_same_deployment() -> None:
    artifact = ServedArtifact(digest=DIGEST, claim_name="models", path="artifacts/a")
    old = deployment(DesiredServer(OWNER, TRANSFORMERS, artifact, GIB, SETTINGS))
    new = engine_deployment(server_plan())
    assert old["metadata"]["name"] == new["metadata"]["name"] == server_name(OWNER)
    assert old["spec"]["selector"] == new["spec"]["selector"], "Kubernetes refuses a changed selector"
    assert TRANSFORMERS.device is Device.CPU
