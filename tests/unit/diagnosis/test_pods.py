from __future__ import annotations

from typing import Any

import pytest

from trtllm_api.reasons import Reason
from trtllm_diagnosis import Certainty, Diagnosis, diagnose_end, diagnose_waiting


def pod(
    *, phase: str = "Pending", state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, **status: Any
) -> dict[str, Any]:
    return {
        "spec": {"containers": [{"name": "builder", "resources": {"limits": {"memory": "64Gi"}}}]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {
                    "name": "builder",
                    "image": "acme/builder:1",
                    "state": state or {},
                    "lastState": last or {},
                    "restartCount": 4,
                }
            ],
            **status,
        },
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod(state={"waiting": {"reason": reason, "message": message}})


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return pod(phase="Failed", state={"terminated": {"exitCode": code, "reason": reason, "message": message}})


def unscheduled(message: str) -> dict[str, Any]:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}])


def found(result: Diagnosis | None) -> Diagnosis:
    assert result is not None
    return result


def test_a_healthy_pod_has_no_diagnosis() -> None:
    for healthy in (pod(phase="Running", state={"running": {}}), terminated(0, "Completed"), {}):
        assert diagnose_end(healthy) is None
        assert diagnose_waiting(healthy) is None


def test_out_of_memory_names_limit_and_peak() -> None:
    result = found(diagnose_end(terminated(137, "OOMKilled"), memory_peak=68_505_000_000))
    assert result.reason is Reason.HOST_OUT_OF_MEMORY
    assert result.certainty is Certainty.CERTAIN
    assert result.message == "Container builder was killed at its memory limit (limit 64Gi, peak 63.8 GiB)."
    assert result.remedy == "Set podTemplate.resources.limits.memory above 64Gi."


def test_without_a_limit_the_node_ran_out_of_memory() -> None:
    state = terminated(137, "OOMKilled")
    del state["spec"]
    assert "the node ran out of memory" in found(diagnose_end(state)).message


def test_a_restarted_server_is_judged_by_its_last_words() -> None:
    state = pod(
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
        last={
            "terminated": {
                "exitCode": 1,
                "reason": "Error",
                "message": "ValueError: Only 8 GPUs are available, but 16 are required.",
            }
        },
    )
    assert found(diagnose_end(state)).reason is Reason.TOO_FEW_GPUS


def test_the_previous_containers_log_is_better_than_its_last_words() -> None:
    result = diagnose_end(terminated(1, message="tail"), log=["ValueError: Config name is missing."])
    assert found(result).reason is Reason.DATASET_UNUSABLE


def test_a_crash_loop_without_words_says_how_often() -> None:
    state = pod(
        state={"waiting": {"reason": "CrashLoopBackOff"}}, last={"terminated": {"exitCode": 1, "reason": "Error"}}
    )
    result = found(diagnose_end(state))
    assert result.reason is Reason.CRASH_LOOP
    assert "exit code 1 again and again (4 restarts)" in result.message


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        (
            (
                "The node was low on resource: memory. Threshold quantity: "
                "100Mi, available: 50Mi. Container builder was using 9Gi, "
                "request is 1Gi, has larger consumption of memory."
            ),
            "Evicted",
            "short of memory; it used 9Gi and had asked for 1Gi",
        ),
        (
            "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi.",
            "EphemeralStorageFull",
            "node's disk",
        ),
        ('Usage of EmptyDir volume "cache" exceeds the limit "20Gi".', "EphemeralStorageFull", "20Gi"),
        ("", "Evicted", "short of resources"),
    ],
)
def test_an_eviction_names_the_resource(message: str, reason: str, words: str) -> None:
    result = found(diagnose_end(pod(phase="Failed", reason="Evicted", message=message)))
    assert result.reason == reason
    assert words in result.message


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        (
            "ErrImagePull",
            'failed to pull: rpc error: code = NotFound desc = "acme/builder:1": not found',
            "does not exist",
        ),
        ("ErrImagePull", "manifest for acme/builder:1 not found: manifest unknown", "does not exist"),
        (
            "ErrImagePull",
            "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
            "refuses access",
        ),
        (
            "ErrImagePull",
            "pull access denied for acme/builder, repository does not exist or may require authorization",
            "refuses access",
        ),
        ("ImagePullBackOff", 'Head "https://r/v2": dial tcp: lookup r: no such host', "cannot be reached"),
        ("ErrImagePull", "context deadline exceeded: i/o timeout", "cannot be reached"),
        ("InvalidImageName", 'couldn\'t parse image name "A": invalid reference format', "not the name"),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never", "does not exist"),
        ("ImagePullBackOff", "Back-off pulling image", "cannot be pulled (ImagePullBackOff)"),
    ],
)
def test_an_image_that_cannot_be_pulled_says_why(reason: str, message: str, words: str) -> None:
    result = found(diagnose_waiting(waiting(reason, message)))
    assert result.reason is Reason.IMAGE_PULL_FAILED
    assert words in result.message
    assert result.remedy


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('secret "hf-token" not found', "secret hf-token does not exist"),
        ('configmap "calib" not found', "configmap calib does not exist"),
        ("couldn't find key token in Secret team/hf", "Secret team/hf has no key token"),
        ("container has runAsNonRoot and image will run as root", "runs as root"),
    ],
)
def test_a_missing_reference_is_named(message: str, words: str) -> None:
    result = found(diagnose_waiting(waiting("CreateContainerConfigError", message)))
    assert result.reason is Reason.CONTAINER_CONFIG_INVALID
    assert words in result.message


def test_a_missing_program_and_an_old_driver_are_told_apart_from_configuration() -> None:
    program = 'exec: "trtllm-build": executable file not found in $PATH: unknown'
    driver = "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver"
    assert found(diagnose_waiting(waiting("RunContainerError", program))).reason is Reason.IMAGE_MISMATCH
    assert found(diagnose_waiting(waiting("RunContainerError", driver))).reason is Reason.DRIVER_TOO_OLD


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            (
                "0/8 nodes are available: 2 Insufficient nvidia.com/gpu, "
                "1 node(s) didn't match Pod's node affinity/selector, "
                "5 node(s) had untolerated taint {nvidia.com/gpu: present}. "
                "preemption: 0/8 nodes are available: 3 No preemption "
                "victims found for incoming pod, 5 Preemption is not helpful "
                "for scheduling."
            ),
            (
                "No node takes the pod: of 8 nodes, 5 have a taint that "
                "the pod does not tolerate {nvidia.com/gpu: present}, "
                "2 have too few free nvidia.com/gpu, 1 does not match "
                "its node selector or affinity."
            ),
        ),
        (
            (
                "0/1 nodes are available: 1 Insufficient memory. preemption: "
                "0/1 nodes are available: 1 No preemption victims found."
            ),
            "No node takes the pod: of 1 node, 1 has too little free memory.",
        ),
        (
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict.",
            "No node takes the pod: of 3 nodes, 2 cannot reach its volume, 1 is cordoned.",
        ),
        (
            "0/4 nodes are available: 1 node(s) had taints {a: b}, that the pod didn't tolerate, 3 Insufficient cpu.",
            "No node takes the pod: of 4 nodes, 3 have too little free cpu, 1 node(s) had taints {a: b}.",
        ),
        ('persistentvolumeclaim "models" not found', "No node takes the pod: its claim models does not exist."),
        (
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "No node takes the pod: its volume claim is not bound.",
        ),
        ("0/0 nodes are available", "No node takes the pod: the cluster has no nodes."),
        ("no nodes available to schedule pods", "No node takes the pod: no nodes available to schedule pods"),
    ],
)
def test_the_schedulers_sentence_is_taken_apart(message: str, expected: str) -> None:
    result = found(diagnose_waiting(unscheduled(message)))
    assert result.reason is Reason.UNSCHEDULABLE
    assert result.message == expected
    assert result.remedy


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'MountVolume.SetUp failed for volume "token" : secret "hf-token" not found',
            "the secret hf-token does not exist",
        ),
        ('Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other', "attached to another node"),
        (
            "Unable to attach or mount volumes: unmounted volumes=[store]: timed out waiting for the condition",
            "Volume store could not be attached or mounted in time",
        ),
    ],
)
def test_a_volume_that_cannot_be_mounted_is_named(message: str, words: str) -> None:
    result = found(diagnose_waiting(waiting("ContainerCreating"), [event("FailedMount", message, 1)]))
    assert result.reason is Reason.VOLUME_NOT_MOUNTED
    assert words in result.message


def event(reason: str, message: str, minute: int) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": f"2026-11-25T12:{minute:02}:00Z"}


LATE = event("FailedMount", 'MountVolume.SetUp failed for volume "store": timed out', 7)


def test_of_several_events_the_newest_tells_whatever_their_order() -> None:
    early = event("FailedMount", 'MountVolume.SetUp failed for volume "x": secret "hf" not found', 1)
    for events in ([early, LATE], [LATE, early]):
        assert "store could not be" in found(diagnose_waiting(waiting("ContainerCreating"), events)).message


@pytest.mark.parametrize("reason", ["Pulling", "Pulled", "Created", "Started"])
def test_a_pod_that_goes_on_after_a_failed_mount_is_in_no_trouble(reason: str) -> None:
    assert diagnose_waiting(waiting("ContainerCreating"), [LATE, event(reason, "on it goes", 8)]) is None
    assert diagnose_waiting(waiting("ContainerCreating"), [LATE, event(reason, "earlier", 6)]) is not None


def test_a_missing_key_of_a_mounted_configmap_is_named() -> None:
    said = 'MountVolume.SetUp failed for volume "calibration" : references non-existent config key: texts.jsonl'
    result = found(diagnose_waiting(waiting("ContainerCreating"), [event("FailedMount", said, 1)]))
    assert result.message == "Volume calibration cannot be mounted: its ConfigMap has no key texts.jsonl."


def test_a_network_that_cannot_be_set_up_quotes_the_plugin() -> None:
    said = "Failed to create pod sandbox: plugin type=bridge failed: no IP addresses available in range set"
    result = found(diagnose_waiting(waiting("ContainerCreating"), [event("FailedCreatePodSandBox", said, 1)]))
    assert result.reason is Reason.POD_NETWORK_FAILED
    assert "no IP addresses available" in result.message


def test_the_scheduler_writes_its_events_times_in_another_field() -> None:
    newer = {"reason": "Pulling", "note": "image", "eventTime": "2026-11-25T12:09:00.000001Z"}
    assert diagnose_waiting(waiting("ContainerCreating"), [newer, LATE]) is None


def test_an_unknown_reason_of_the_registry_is_quoted() -> None:
    result = found(diagnose_waiting(waiting("ErrImagePull", "the frob is closed")))
    assert "cannot be pulled (ErrImagePull): the frob is closed" in result.message


def test_a_restart_by_a_probe_is_told_from_events() -> None:
    probe = {"reason": "Killing", "message": "Container server failed startup probe, will be restarted"}
    result = found(diagnose_end(terminated(137), events=[probe]))
    assert result.reason is Reason.PROBE_FAILED


def test_a_container_that_was_killed_without_a_probe_or_memory_says_just_that() -> None:
    result = found(
        diagnose_end(terminated(137), events=[{"reason": "Killing", "message": "Stopping container builder"}])
    )
    assert (result.reason, result.certainty) == (Reason.TERMINATED, Certainty.LIKELY)
    assert result.message == (
        "Likely cause: container builder was killed from outside (exit code 137); "
        "Kubernetes does not report that its memory ran out."
    )


def test_another_containers_trouble_is_left_out_when_one_is_named() -> None:
    assert diagnose_end(terminated(1, message="ValueError: Config name is missing."), container="server") is None


@pytest.mark.parametrize(
    "said", ["load library failed: libfrob-ml.so: no such file or directory", "insufficient rights"]
)
def test_a_container_that_the_gpu_runtime_refuses_lacks_a_gpu_and_not_a_command(said: str) -> None:
    message = f"runc create failed: error running hook #0: nvidia-container-cli: initialization error: {said}: unknown"
    result = found(diagnose_waiting(waiting("RunContainerError", message)))
    assert result.reason is Reason.NO_GPU
