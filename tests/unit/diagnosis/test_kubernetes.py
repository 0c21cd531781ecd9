"""Texts of Kubernetes: numbers and names of `kubectl describe` and `kubectl get events` reach the sentence."""

from __future__ import annotations

import pytest

from trtllm_diagnosis import diagnose

CASES = {
    "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: none.": (
        "No node takes the pod: of 2 nodes, 2 Insufficient nvidia.com/gpu."
    ),
    'MountVolume.SetUp failed for volume "t" : secret "hf" not found': (
        'A volume (t) cannot be attached or mounted: secret "hf" not found.'
    ),
    "Error: couldn't find key token in Secret ml/hf": (
        "The container cannot be created: Secret ml/hf has no key token."
    ),
    'Back-off pulling image "a/b:1"': "The image a/b:1 cannot be pulled.",
    "The node was low on resource: memory. Threshold quantity: 9Mi": (
        "The node evicted the pod: it was short of memory."
    ),
}


@pytest.mark.parametrize("line", CASES)
def test_what_an_event_says_is_in_the_sentence(line: str) -> None:
    found = diagnose([f"  Warning  Any  10s (x2 over 1m)  somebody  {line}"])
    assert found is not None
    assert found.message == CASES[line]


def test_a_disk_that_is_full_keeps_its_own_reason() -> None:
    found = diagnose(["  Warning  Evicted  2s  kubelet  The node was low on resource: ephemeral-storage."])
    assert found is not None
    assert found.reason == "EphemeralStorageFull"


def test_a_pod_in_good_health_has_no_diagnosis() -> None:
    events = [
        "  Normal  Pulled  4m  kubelet  Container image already present",
        "  Normal  Started  4m  kubelet  Started",
    ]
    assert diagnose(events) is None
