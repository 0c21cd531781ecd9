"""EngineBuild, runtime TensorRT: drained nodes, queues, killed servers, engines spoilt behind the operator's back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.cluster_engines import SMALL, answer, build, engine, released, running
from support.cluster_world import NAMESPACE, World, eventually, path_of

ONE = {"tensor": 1}
QUEUE = "kueue.x-k8s.io/queue-name"


MANNERS: dict[str, Any] = {
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "priorityClassName": "serving",
    "runtimeClassName": "gpu",
    "imagePullSecrets": [{"name": "registry"}],
    "resourceClaims": [{"name": "network", "resourceClaimName": "network"}],
    "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
    "volumes": [{"name": "profiles", "emptyDir": {}}],
    "volumeMounts": [{"name": "profiles", "mountPath": "/profiles"}],
}


@pytest.fixture(scope="module")
def created(engines: World, double: str) -> World:
    """All at once: each waits for its stages, and they wait side by side."""
    # half a second for each token
    slow = {"resources": SMALL, "env": [{"name": "TRTLLM_DOUBLE_GENERATE_SECONDS", "value": "0.5"}]}
    kept: dict[str, Any] = {"build": {"gatherGenerationLogits": True}, "serving": {"podTemplate": slow}}
    build(engines, "kept", double, parallelism=ONE, **kept)
    other = {"resources": SMALL, "env": [{"name": "TRTLLM_DOUBLE_VERSION", "value": "1.0.0"}]}
    build(engines, "moved-tag", double, parallelism=ONE, serving={"podTemplate": other})
    # a claim without requests is allocated by the scheduler and prepared by the kubelet without any driver
    claim = {"name": "network", "namespace": NAMESPACE}
    engines.client.apply(
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "serving"}, "value": 1000},
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gpu"}, "handler": "runc"},
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceClaim",
            "metadata": claim,
            "spec": {"devices": {}},
        },
    )
    # the claim brings no GPU: what replaces the plugin's is asked for beside it
    limits = {**SMALL["limits"], "nvidia.com/gpu": "1"}
    template = {**MANNERS, "resources": {**SMALL, "limits": limits}}
    manners: dict[str, Any] = {
        "podTemplate": template,
        "serving": {"podTemplate": template},
        "build": {"fastBuild": True},
    }
    build(engines, "manners", double, parallelism=ONE, **manners)
    return engines


def test_a_drained_node_costs_a_build_neither_its_job_nor_an_attempt(created: World, double: str) -> None:
    with engine(created, "drained", double, seconds=8, parallelism={"tensor": 2}, build={"fastBuild": True}):
        eventually(lambda: running(created, "drained", "build"), "a pod that builds", 180)
        [pod] = running(created, "drained", "build")
        node = pod["spec"]["nodeName"]
        only = ("--pod-selector=trtllm.dev/resource=drained", "--ignore-daemonsets", "--delete-emptydir-data")
        try:
            created.client.kubectl("drain", node, *only, "--timeout=60s")
            created.wait_for("eb", "drained", "Ready", 240)
        finally:
            created.client.kubectl("uncordon", node)
        [job] = [job for job in created.jobs("drained", "EngineBuild") if "-build-" in job["metadata"]["name"]]
        nodes = {pod["spec"]["nodeName"] for pod in created.pods("drained", "build")}
    assert not job["status"].get("failed"), "an eviction is nobody's failure"
    assert nodes - {node}, "built on another node"


@pytest.fixture
def queue(engines: World) -> Iterator[None]:
    """What Kueue's webhook does: a Job with its label is created suspended."""
    name = "queue-double"
    expression = "Object{spec: Object.spec{suspend: true}}"
    rules = [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}]
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [{"name": "queued", "expression": f"'{QUEUE}' in object.metadata.?labels.orValue({{}})"}],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
    }
    api = {"apiVersion": "admissionregistration.k8s.io/v1"}
    engines.client.apply(
        {**api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {**api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name}},
    )
    eventually(lambda: _suspends(engines), "the policy in effect, some time after it exists")
    yield
    engines.client.kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name)


def _suspends(world: World) -> bool:
    """Whether a Job with the queue's label would be created suspended."""
    container = {"name": "main", "image": "none"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "probe", "namespace": NAMESPACE, "labels": {QUEUE: "gpus"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    made = world.api.send("POST", path_of("job"), job, dryRun="All").succeeded()
    return bool(made["spec"].get("suspend"))


def test_jobs_that_a_queue_holds_back_are_waited_for_and_not_failed(created: World, double: str, queue: None) -> None:
    template = {"labels": {QUEUE: "gpus"}, "resources": SMALL}
    admitted: set[str] = set()
    # a checkpoint that no other test converts: each stage has a Job of its own
    with engine(created, "queued", double, parallelism=ONE, convert={"weightOnly": "INT8"}, podTemplate=template):

        def held() -> bool:
            return created.condition("eb", "queued", "Ready").get("reason") == "Queued"

        def step() -> bool:
            """Admit one Job after the other, as a queue with room would."""
            for job in created.jobs("queued", "EngineBuild"):
                name = job["metadata"]["name"]
                if job["spec"].get("suspend") and name not in admitted:
                    eventually(held, f"the word that {name} is held back", 20)
                    assert "has not admitted it yet" in created.condition("eb", "queued", "Ready")["message"]
                    assert not created.condition("eb", "queued", "Stalled")
                    created.patch("job", name, {"spec": {"suspend": False}})
                    admitted.add(name)
            return created.condition("eb", "queued", "Ready").get("status") == "True"

        eventually(step, "an engine", 240)
        stages = {name.split("-")[1] for name in admitted}
    assert {"convert", "build", "publish"} <= stages


@pytest.fixture(scope="module")
def served(created: World) -> Iterator[World]:
    """One rank, answering slowly."""
    with released(created, "kept"):
        created.wait_for("eb", "kept", "Ready", 400)
        yield created


def test_a_request_that_runs_is_answered_though_its_pod_is_told_to_stop(served: World) -> None:
    said: list[dict[str, Any]] = []
    body = {"model": "kept", "prompt": "The licence", "max_tokens": 24, "temperature": 0, "ignore_eos": True}
    client = threading.Thread(target=lambda: said.append(json.loads(served.ask("kept-serve", "/v1/completions", body))))
    client.start()
    [pod] = running(served, "kept", "serve")
    name = pod["metadata"]["name"]
    eventually(lambda: '"POST /v1/completions' in served.logs(name) or client.is_alive(), "the request", 10)
    served.api.send("DELETE", path_of("pod", name)).succeeded()
    client.join(60)
    assert said, "the connection was cut"
    assert said[0]["usage"]["completion_tokens"] == 24
    served.wait_for("eb", "kept", "Ready", 120)


def test_a_killed_server_is_replaced_and_the_resource_says_so_meanwhile(served: World) -> None:
    [pod] = running(served, "kept", "serve")
    served.kill_pod(pod["metadata"]["name"])
    eventually(lambda: served.condition("eb", "kept", "Ready").get("status") != "True", "the word that it is gone", 30)
    served.wait_for("eb", "kept", "Ready", 120)
    assert answer(served, "kept")


def test_a_truncated_engine_is_never_loaded(served: World) -> None:
    status = served.get("eb", "kept")["status"]
    engine_path = f"/claim/{status['artifact']['path']}/rank0.engine"
    claim = status["artifact"]["claimName"]
    served.on_claim(claim, "truncate", "-s", "-1", engine_path)
    [pod] = running(served, "kept", "serve")
    served.kill_pod(pod["metadata"]["name"])

    def told() -> str:
        message: str = served.condition("eb", "kept", "Ready").get("message", "")
        return message if "rank0.engine" in message else ""

    eventually(told, "the name of the file in the condition", 90)
    assert "bytes" in told()


def test_a_server_of_another_version_than_its_engine_says_both(created: World) -> None:
    with released(created, "moved-tag"):

        def told() -> str:
            message: str = created.condition("eb", "moved-tag", "Ready").get("message", "")
            return message if "1.0.0" in message else ""

        eventually(told, "both versions in the condition", 400)
        assert "1.2.1" in told()
        assert created.condition("eb", "moved-tag", "Stalled").get("status") == "True"


def test_a_pods_manners_of_scheduling_reach_every_job_and_server(created: World) -> None:
    with released(created, "manners"):
        created.wait_for("eb", "manners", "Ready", 400)
        [builder], [server] = created.pods("manners", "build"), created.pods("manners", "serve")
    for spec in (builder["spec"], server["spec"]):
        for field in ("priorityClassName", "runtimeClassName", "imagePullSecrets", "resourceClaims"):
            assert spec[field] == MANNERS[field], field
        assert MANNERS["tolerations"][0] in spec["tolerations"]
        assert MANNERS["nodeSelector"].items() <= spec["nodeSelector"].items()
        assert MANNERS["volumes"][0] in spec["volumes"]
        for field in ("env", "volumeMounts"):
            assert MANNERS[field][0] in spec["containers"][0][field], field
