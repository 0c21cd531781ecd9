"""The LeaderWorkerSet, held to its documented schema (leaderworkerset.x-k8s.io/v1) and to what its controller checks.

The schema is stated here in our own words: which fields there are, their types and values, what must be there.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.engine_samples import DIGEST, GIB, OWNER, server_plan
from trtllm_api.digest import digest_of
from trtllm_operator.manifests.engine_server import DesiredEngineServer
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.manifests.leader_worker_set import group_name, leader_worker_set
from trtllm_operator.manifests.server import server_name

POD_TEMPLATE = {"metadata": dict, "spec": dict}
SPEC: dict[str, Any] = {
    "replicas": range(1_000_001),
    "startupPolicy": {"LeaderCreated", "LeaderReady"},
    "networkConfig": {"subdomainPolicy": {"Shared", "UniquePerReplica"}},
    "rolloutStrategy": {
        "type": {"RollingUpdate"},
        "rollingUpdateConfiguration": {"maxSurge": int, "maxUnavailable": int, "partition": int},
    },
    "leaderWorkerTemplate": {
        "size": range(1, 1 << 31),
        "restartPolicy": {"RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None"},
        "leaderTemplate": POD_TEMPLATE,
        "workerTemplate": POD_TEMPLATE,
        "subGroupPolicy": dict,
        "volumeClaimTemplates": list,
        "persistentVolumeClaimRetentionPolicy": dict,
    },
}


def complaints(value: Any, schema: Any, path: str) -> list[str]:
    """What the schema does not allow."""
    if isinstance(schema, dict):
        unknown = [f"{path}.{key} is unknown" for key in value if key not in schema]
        known = [c for key in value if key in schema for c in complaints(value[key], schema[key], f"{path}.{key}")]
        return unknown + known
    if isinstance(schema, type):
        return [] if isinstance(value, schema) and not isinstance(value, bool) else [f"{path} is {value!r}"]
    return [] if value in schema else [f"{path} is {value!r}"]


def spec_of(plan: DesiredEngineServer | None = None) -> dict[str, Any]:
    return dict(leader_worker_set(plan or server_plan(nodes=2))["spec"])


def templates() -> tuple[dict[str, Any], dict[str, Any]]:
    group = spec_of()["leaderWorkerTemplate"]
    return group["leaderTemplate"], group["workerTemplate"]


@pytest.mark.parametrize("nodes", [2, 3, 64])
def test_it_keeps_to_the_documented_schema(nodes: int) -> None:
    made = leader_worker_set(server_plan(nodes=nodes, replicas=2))
    assert (made["apiVersion"], made["kind"]) == ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")
    assert made.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert complaints(made["spec"], SPEC, "spec") == []
    assert made["spec"]["replicas"] == 2
    assert made["spec"]["leaderWorkerTemplate"]["size"] == nodes
    assert "workerTemplate" in made["spec"]["leaderWorkerTemplate"]


def test_the_schema_of_this_test_can_complain() -> None:
    wrong = {"replicas": -1, "startupPolicy": "Soon", "leaderWorkerTemplate": {"size": 0, "template": {}}}
    assert len(complaints(wrong, SPEC, "spec")) == 4


def test_a_rollout_may_surge_for_otherwise_it_could_not_move() -> None:
    strategy = spec_of()["rolloutStrategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_a_group_is_made_anew_as_a_whole_and_its_workers_start_beside_the_leader() -> None:
    assert spec_of()["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"
    assert spec_of()["startupPolicy"] == "LeaderCreated"


def test_pods_of_a_stateful_set_restart_always() -> None:
    assert {template["spec"]["restartPolicy"] for template in templates()} == {"Always"}


def test_leader_and_workers_differ_in_what_clients_see_and_nothing_else() -> None:
    leader, worker = templates()
    (leads,), (works,) = leader["spec"]["containers"], worker["spec"]["containers"]
    only = {"ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"}
    assert leads.keys() - works.keys() == only
    assert {key: value for key, value in leads.items() if key not in only} == works
    assert {k: v for k, v in leader["spec"].items() if k != "containers"} == {
        k: v for k, v in worker["spec"].items() if k != "containers"
    }
    assert leader["metadata"]["labels"] == {**worker["metadata"]["labels"], "trtllm.dev/server": "true"}


def test_each_pod_of_a_group_has_a_node_of_its_own_and_other_groups_may_share_it() -> None:
    for template in templates():
        (term,) = template["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["matchLabelKeys"] == ["leaderworkerset.sigs.k8s.io/group-key"]
        assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_it_leaves_the_controllers_labels_and_variables_to_the_controller() -> None:
    for template in templates():
        keys = [*template["metadata"]["labels"], *template["metadata"]["annotations"]]
        assert not any(key.startswith("leaderworkerset.sigs.k8s.io/") for key in keys)
        assert not any(env["name"].startswith("LWS_") for env in template["spec"]["containers"][0]["env"])


def test_it_says_what_it_was_made_from_as_the_deployment_does() -> None:
    made = leader_worker_set(server_plan(nodes=2))
    notes = made["metadata"]["annotations"]
    assert notes["trtllm.dev/artifact-bytes"] == str(16 * GIB)
    assert notes["trtllm.dev/desired-digest"] == digest_of(made["spec"])
    for template in templates():
        assert template["metadata"]["annotations"]["trtllm.dev/template"] == notes["trtllm.dev/template"]
        assert template["metadata"]["annotations"]["trtllm.dev/artifact"] == DIGEST


def test_scaling_makes_no_new_pods_template() -> None:
    one, three = (leader_worker_set(server_plan(nodes=2, replicas=n)) for n in (1, 3))
    assert one["spec"]["leaderWorkerTemplate"] == three["spec"]["leaderWorkerTemplate"]
    assert (
        one["metadata"]["annotations"]["trtllm.dev/template"] == three["metadata"]["annotations"]["trtllm.dev/template"]
    )
    assert one["metadata"]["annotations"] != three["metadata"]["annotations"]


def test_its_pods_hold_their_part_of_the_artifact_and_not_all_of_it() -> None:
    requests = {}
    for nodes in (2, 4):
        (container,) = spec_of(server_plan(nodes=nodes))["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
        requests[nodes] = int(container["resources"]["requests"]["memory"].removesuffix("Mi"))
    assert requests[4] < requests[2]


NAMES = {
    "an ordinary name stays": ("llama", "llama-servers"),
    "a long one is cut": ("a" * 60, None),
    "dots are no part of a Service's name": ("llama-3.1-8b", None),
    "nor is a leading digit": ("70b", None),
    "a cut at a dash leaves no double one": ("llama-3.1-nemotron-x-" + "y" * 40, None),
}


@pytest.mark.parametrize("case", NAMES)
def test_its_name_is_a_dns_label_with_room_for_what_the_controller_appends(case: str) -> None:
    name, wanted = NAMES[case]
    owner = Owner("EngineBuild", "default", name, "uid")
    made = group_name(owner)
    assert made == (wanted or made)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made)
    assert len(made) <= 39
    assert "--" not in made
    assert made != server_name(owner), "the controller makes a headless Service of that name"


def test_names_that_are_cut_alike_stay_apart() -> None:
    names = {group_name(Owner("EngineBuild", "default", "a" * 50 + end, "uid")) for end in ("x", "y")}
    assert len(names) == 2
    assert OWNER.name == "llama"


def test_a_queues_labels_are_on_the_leader_worker_set_and_not_on_its_pods() -> None:
    queue = {"kueue.x-k8s.io/queue-name": "gpus", "team": "llm"}
    found = leader_worker_set(server_plan(nodes=2, podTemplate={"labels": queue}))
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    for template in ("leaderTemplate", "workerTemplate"):
        labels = found["spec"]["leaderWorkerTemplate"][template]["metadata"]["labels"]
        assert "kueue.x-k8s.io/queue-name" not in labels
        assert labels["team"] == "llm"
