"""The pod template of stages in NVIDIA's image, and what users may add: one table, keyed by sentences."""

from __future__ import annotations

from typing import Any

import pytest

from support.engine_samples import IMAGE, SETTINGS, pod_plan, user
from trtllm_api.base import Device
from trtllm_api.meta import PodTemplate
from trtllm_operator.kube.objects import dig, items
from trtllm_operator.manifests.pod import Apart, DesiredPod, pod_template
from trtllm_operator.manifests.resources import fetch_resources

GPU_TERMS = [
    {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-H100-80GB-HBM3"]},
    {"key": "nvidia.com/gpu.compute.major", "operator": "In", "values": ["9"]},
    {"key": "nvidia.com/gpu.compute.minor", "operator": "In", "values": ["0"]},
]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
MINE = {"key": "team", "operator": "In", "values": ["llm"]}
ZONE = {"key": "zone", "operator": "Exists"}
SPOT = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
ANTI = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}
OURS = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "kubernetes.io/hostname", "matchLabelKeys": ["g"]}


def template(plan: DesiredPod | None = None, mine: PodTemplate | None = None) -> dict[str, Any]:
    return pod_template(plan or pod_plan(), SETTINGS, mine or PodTemplate(), {"stage": "build"}, "Never")


def main_of(made: dict[str, Any]) -> dict[str, Any]:
    (container,) = made["spec"]["containers"]
    return dict(container)


def env_of(made: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in main_of(made)["env"]}


AFFINITY: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "the GPU alone is one term": (
        {},
        {},
        {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": GPU_TERMS}]}}},
    ),
    "every one of the user's terms gets the GPU, for any one of them is enough": (
        {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [MINE]}, SPOT]}}},
        {},
        {
            "nodeAffinity": {
                REQUIRED: {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [MINE, *GPU_TERMS]},
                        {**SPOT, "matchExpressions": GPU_TERMS},
                    ]
                }
            }
        },
    ),
    "the user's preferences and pod rules stay as they are": (
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [ZONE]}, "podAffinity": {"x": 1}},
        {},
        {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [ZONE],
                REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": GPU_TERMS}]},
            },
            "podAffinity": {"x": 1},
        },
    ),
    "siblings on nodes of their own, beside the user's own rule": (
        {"podAntiAffinity": {REQUIRED: [ANTI]}},
        {"gpu": None, "apart": Apart({"a": "b"}, ("g",))},
        {"podAntiAffinity": {REQUIRED: [ANTI, OURS]}},
    ),
}


@pytest.mark.parametrize("case", AFFINITY)
def test_affinity(case: str) -> None:
    mine, fields, wanted = AFFINITY[case]
    before = user(affinity=mine)
    assert template(pod_plan(**fields), before)["spec"]["affinity"] == wanted
    assert before == user(affinity=mine)


def test_a_pod_bound_to_nothing_has_no_affinity() -> None:
    assert "affinity" not in template(pod_plan(gpu=None))["spec"]


def test_nvidias_image_gets_the_builders_code_from_an_init_container_of_the_builders_image() -> None:
    made = template()
    container, (init,) = main_of(made), made["spec"]["initContainers"]
    assert (container["image"], container["imagePullPolicy"]) == (IMAGE, "IfNotPresent")
    assert container["command"] == ["python3", "-m", "trtllm_builder"]
    assert {"name": "app", "mountPath": "/opt/trtllm/app", "readOnly": True} in container["volumeMounts"]
    assert {"name": "app", "emptyDir": {}} in made["spec"]["volumes"]
    assert (init["name"], init["image"], init["imagePullPolicy"]) == ("app", SETTINGS.image, "Always")
    assert init["command"] == ["cp", "-R", "/opt/trtllm/app/.", init["volumeMounts"][0]["mountPath"]]
    assert init["volumeMounts"][0]["name"] == "app"
    assert init["securityContext"] == container["securityContext"]
    assert set(init["resources"]) == {"requests", "limits"}
    assert env_of(made)["PYTHONPATH"] == "/opt/trtllm/app"


def test_the_builders_own_image_needs_no_copy() -> None:
    made = template(pod_plan(image=None))
    assert "initContainers" not in made["spec"]
    assert main_of(made)["command"] == ["python", "-m", "trtllm_builder"]
    assert "PYTHONPATH" not in env_of(made)
    assert "app" not in {volume["name"] for volume in made["spec"]["volumes"]}


def test_a_users_python_path_comes_after_the_builders_code() -> None:
    made = template(mine=user(env=[{"name": "PYTHONPATH", "value": "/mine"}]))
    assert env_of(made)["PYTHONPATH"] == "/opt/trtllm/app:/mine"


def test_a_users_variable_may_come_from_a_secret_or_config_map() -> None:
    ref = {"secretKeyRef": {"name": "wandb", "key": "token", "optional": True}}
    made = template(mine=user(env=[{"name": "TOKEN", "valueFrom": ref}, {"name": "EMPTY"}]))
    assert env_of(made)["TOKEN"] == ref
    assert env_of(made)["EMPTY"] == ""


SHARED: dict[str, tuple[dict[str, Any], str | None]] = {
    "one GPU has a gibibyte": ({"gpus": 1}, "1Gi"),
    "without a number it is as for one": ({"gpus": None}, "1Gi"),
    "eight GPUs have two for each": ({"gpus": 8}, "16Gi"),
    "what was planned or asked for is taken": ({"gpus": 8, "shared_memory": "64Gi"}, "64Gi"),
    "a CPU stage has none": ({"device": Device.CPU, "gpus": None}, None),
    "a stage that computes nothing has none": ({"device": None, "gpus": None}, None),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_memory(case: str) -> None:
    fields, wanted = SHARED[case]
    volumes = {volume["name"]: volume for volume in template(pod_plan(**fields))["spec"]["volumes"]}
    assert dig(volumes.get("shm"), "emptyDir", "sizeLimit") == wanted
    assert dig(volumes.get("shm"), "emptyDir", "medium") == (wanted and "Memory")


def test_gpus_are_asked_for_as_many_as_planned() -> None:
    resources = main_of(template())["resources"]
    assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "8"


CLAIM = {"resourceClaims": [{"name": "gpus", "resourceClaimTemplateName": "eight-h100"}]}


def test_a_resource_claim_gives_the_gpus_instead_of_the_device_plugin() -> None:
    made = template(mine=user(**CLAIM))
    assert made["spec"]["resourceClaims"] == CLAIM["resourceClaims"]
    resources = main_of(made)["resources"]
    assert resources["claims"] == [{"name": "gpus"}]
    assert "nvidia.com/gpu" not in resources["requests"] | resources["limits"]


def test_a_stage_without_a_device_takes_no_resource_claim() -> None:
    made = template(pod_plan(device=None, image=None, gpu=None, gpus=None, resources=fetch_resources()), user(**CLAIM))
    assert "resourceClaims" not in made["spec"]
    assert "claims" not in main_of(made)["resources"]


def test_a_users_volumes_are_mounted_after_the_operators() -> None:
    volume = {"name": "lora", "persistentVolumeClaim": {"claimName": "adapters"}}
    mount = {"name": "lora", "mountPath": "/lora", "readOnly": True}
    made = template(mine=user(volumes=[volume], volumeMounts=[mount]))
    assert made["spec"]["volumes"][-1] == volume
    assert main_of(made)["volumeMounts"][-1] == mount
    assert not any(entry["name"] == "lora" for entry in items(made["spec"]["initContainers"][0], "volumeMounts"))
