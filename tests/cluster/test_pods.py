"""What only Kubernetes sees of a pod: memory, volumes, Secrets, nodes; told with numbers, and mended without ado."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.cluster_models import Hub
from support.cluster_world import NAMESPACE, World, eventually

REQUESTS = {"cpu": "50m", "memory": "100Mi"}


@pytest.fixture(scope="module")
def created(world: World, hub: Hub) -> World:
    """All at once: what each says takes a while, and they say it side by side."""
    volume = {"name": "extra", "secret": {"secretName": "later"}}
    templates: dict[str, dict[str, Any]] = {
        "no-memory": {"resources": {"requests": REQUESTS, "limits": {"memory": "400Mi"}}},
        "no-volume": {
            "resources": {"requests": REQUESTS},
            "volumes": [volume],
            "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        },
        "no-node": {"resources": {"requests": {"memory": "999Gi"}}},
    }
    for name, template in templates.items():
        world.quantized_model(name, podTemplate=template)
    world.secret("no-key", "password", "hf_right")
    world.quantized_model("no-key", **hub.holds("acme/gated", secret="no-key"))
    return world


def says(world: World, name: str, reason: str, timeout: float = 90) -> str:
    """The message of Reconciling, once it has this reason."""

    def told() -> bool:
        return bool(world.condition("qm", name, "Reconciling").get("reason") == reason)

    eventually(told, f"{name} says {reason}", timeout)
    return str(world.condition("qm", name, "Reconciling")["message"])


def test_no_node_takes_the_pod_is_told_with_what_how_many_nodes_lack(created: World) -> None:
    says(created, "no-node", "Unschedulable")

    def told() -> bool:
        message = created.condition("qm", "no-node", "Reconciling")["message"]
        return re.search(r"of 2 nodes, (.*, )?2 have too little free memory", message) is not None

    # tests beside this one take processors and drain a node, which the message counts by themselves
    eventually(told, "a message that counts both nodes", 240)


def test_a_secret_without_the_key_is_named_with_the_key(created: World) -> None:
    assert f"Secret {NAMESPACE}/no-key has no key token" in says(created, "no-key", "ContainerConfigInvalid")
    created.secret("no-key", "token", "hf_right")
    eventually(lambda: created.get("qm", "no-key").get("status", {}).get("source"), "the source, once it has it", 150)


def test_a_volume_that_cannot_be_mounted_is_told_from_events_and_is_no_matter_once_it_can(created: World) -> None:
    message = says(created, "no-volume", "VolumeNotMounted")
    assert "Volume extra cannot be mounted: the secret later does not exist" in message
    created.secret("later", "anything", "hf_right")
    # the kubelet tries again after two minutes at most
    created.ready("no-volume", 300)


def test_a_container_killed_for_memory_is_told_with_its_limit_its_peak_and_what_it_was_at(created: World) -> None:
    reason, message = created.stalled("no-memory", 240)
    assert reason == "HostOutOfMemory"
    told = re.search(r"killed at its memory limit \(limit 400Mi, peak (\d+) MiB\)\. It was at: (\w[\w ]+)", message)
    assert told, message
    assert 200 <= int(told[1]) <= 400
    assert "Set spec.podTemplate.resources.limits.memory above 400Mi" in message
