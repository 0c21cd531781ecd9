"""The Job whose pods share an engine's ranks, and what queues read of every Job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.engine_samples import IMAGE, OWNER, build_job, pod_plan, server_plan, user
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.engine_server import engine_deployment
from trtllm_operator.manifests.job import BACKOFF_LIMIT, DesiredJob, builder_job
from trtllm_operator.manifests.leader_worker_set import leader_worker_set
from trtllm_operator.manifests.placement import GpuBinding

QUEUE = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high", "team": "llm"}


def test_several_pods_are_an_indexed_job_that_retries_each_index_alone() -> None:
    spec = builder_job(build_job(2))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert spec["backoffLimitPerIndex"] == BACKOFF_LIMIT
    assert "backoffLimit" not in spec
    assert spec["maxFailedIndexes"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]


def test_each_of_several_pods_has_a_node_of_its_own() -> None:
    (term,) = builder_job(build_job(2))["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    made = builder_job(build_job(2))["spec"]["template"]["metadata"]["labels"]
    assert term["labelSelector"]["matchLabels"].items() <= made.items()
    assert term["labelSelector"]["matchLabels"]["trtllm.dev/stage"] == "build"


def test_one_pod_shares_its_node_and_is_a_plain_job_unless_it_asks_for_an_index() -> None:
    plain = builder_job(build_job(1))["spec"]
    assert plain["backoffLimit"] == BACKOFF_LIMIT
    assert not {"completionMode", "backoffLimitPerIndex", "parallelism"} & plain.keys()
    assert "podAntiAffinity" not in plain["template"]["spec"]["affinity"]
    indexed = builder_job(replace(build_job(1), indexed=True))["spec"]
    assert (indexed["completionMode"], indexed["completions"]) == ("Indexed", 1)


CHANGES: dict[str, DesiredJob] = {
    "another image": build_job(pod=pod_plan(image=IMAGE + "-other")),
    "another GPU": build_job(pod=pod_plan(gpu=GpuBinding("NVIDIA-L4", "8.9"))),
    "another number of GPUs": build_job(pod=pod_plan(gpus=4)),
    "more shared memory": build_job(pod=pod_plan(shared_memory="64Gi")),
    "more pods": build_job(4),
    "another pod template": build_job(template=user(labels={"a": "b"})),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_pods_depend_on_is_in_the_jobs_name(change: str) -> None:
    assert CHANGES[change].name != build_job().name
    assert build_job().name == build_job().name
    assert build_job().name.startswith(f"{OWNER.name}-build-")


WORKLOADS: dict[str, Manifest] = {
    "a Job": builder_job(build_job(template=user(labels=QUEUE))),
    "a Deployment": engine_deployment(server_plan(podTemplate={"labels": QUEUE})),
    "a LeaderWorkerSet": leader_worker_set(server_plan(nodes=2, podTemplate={"labels": QUEUE})),
}


@pytest.mark.parametrize("kind", WORKLOADS)
def test_kueue_finds_its_labels_on_the_workload_itself(kind: str) -> None:
    made = WORKLOADS[kind]["metadata"]["labels"]
    assert made["kueue.x-k8s.io/queue-name"] == "gpus"
    assert made["kueue.x-k8s.io/priority-class"] == "high"
    assert "team" not in made


def test_whether_a_job_is_suspended_is_the_queues_to_say() -> None:
    for plan in (build_job(1), build_job(2, template=user(labels=QUEUE))):
        assert "suspend" not in builder_job(plan)["spec"]
