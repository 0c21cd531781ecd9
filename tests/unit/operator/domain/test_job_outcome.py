"""What a Job and its pods mean: one table, keyed by sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from domain_world import World, fetch_result

from trtllm_api.contract import BuildResult, FailureReason, Stage
from trtllm_operator.children.joboutcome import JobFailed, JobLost, JobRunning, JobSucceeded, job_outcome
from trtllm_operator.jobs import pods_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOT_FOUND = BuildResult(
    stage=Stage.FETCH,
    exit_code=69,
    reason=FailureReason.SOURCE_NOT_FOUND,
    message="repository org/model does not exist",
    remedy="check spec.source.huggingFace.repo",
)
UNREACHABLE = BuildResult(
    stage=Stage.FETCH, exit_code=75, reason=FailureReason.SOURCE_UNREACHABLE, message="the hub does not answer"
)


def text(result: BuildResult) -> str:
    return result.to_termination_message().decode()


def job(kind: str | None = None, message: str = "", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": "2026-11-24T11:59:00Z", "message": message}]
    return {"metadata": {"name": "j"}, "spec": spec, "status": {"conditions": conditions if kind else []}}


def pod(name: str = "p0", phase: str = "Running", **status: Any) -> dict[str, Any]:
    limits = {"resources": {"limits": {"memory": "4Gi"}}}
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-11-24T11:0{name[-1]}:00Z"},
        "spec": {"containers": [{"name": "builder", **limits}]},
        "status": {"phase": phase, **status},
    }


def ended(code: int, message: str = "", name: str = "p0", reason: str = "Error") -> dict[str, Any]:
    end = {"exitCode": code, "message": message, "reason": reason}
    statuses = [{"name": "builder", "state": {"terminated": end}}]
    return pod(name, "Succeeded" if code == 0 else "Failed", containerStatuses=statuses)


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {
        "name": "builder",
        "image": "registry.example/b:1",
        "state": {"waiting": {"reason": reason, "message": message}},
    }
    return pod(phase="Pending", containerStatuses=[state])


UNSCHEDULABLE = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
RUNNING: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str, str, str | None]] = {
    "a Job without a pod is pending": (job(), [], "PodPending", "Job j has no pod yet", None),
    "a Job that a queue holds back says so": (
        job(suspend=True),
        [],
        "Queued",
        "Job j is suspended: a queue has not admitted it yet",
        None,
    ),
    "a running pod is named, so that its log can be read": (job(), [pod()], "PodRunning", "pod p0 runs", "p0"),
    "an unschedulable pod tells what how many nodes lack": (
        job(),
        [
            pod(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULABLE}
                ],
            )
        ],
        "Unschedulable",
        (
            "pod p0 fits no node: of 2 nodes, 2 have too few free nvidia.com/gpu. "
            "Ask for fewer GPUs per pod, wait for GPUs to become free, or add nodes."
        ),
        None,
    ),
    "an image that cannot be pulled is named": (
        job(),
        [waiting("ImagePullBackOff", "not found")],
        "ImagePull",
        "image registry.example/b:1 cannot be pulled (ImagePullBackOff): not found",
        None,
    ),
    "a missing Secret is told in the kubelet's words": (
        job(),
        [waiting("CreateContainerConfigError", 'secret "hf" not found')],
        "PodConfiguration",
        'pod p0 cannot start (CreateContainerConfigError): secret "hf" not found',
        None,
    ),
    "a pod that is being created is starting": (
        job(),
        [waiting("ContainerCreating")],
        "PodStarting",
        "pod p0 starts",
        None,
    ),
    "after a transient failure the next attempt is awaited": (
        job(),
        [ended(75, text(UNREACHABLE))],
        "Retrying",
        "the hub does not answer; trying again",
        None,
    ),
    "a Job that ended a moment ago may still get its pod's last words": (
        job("Complete"),
        [pod()],
        "PodRunning",
        "the Job has ended; waiting for its pod's result",
        None,
    ),
}


@pytest.mark.parametrize("case", RUNNING)
def test_running(case: str) -> None:
    given, pods, reason, message, reads = RUNNING[case]
    now = NOW - timedelta(seconds=50)
    assert job_outcome(given, pods, now) == JobRunning(reason, message, reads)  # type: ignore[arg-type]


def test_a_second_attempt_remembers_why_the_first_one_died() -> None:
    outcome = job_outcome(job(), [ended(75, text(UNREACHABLE), "p0"), pod("p1")], NOW)
    assert isinstance(outcome, JobRunning)
    assert (outcome.pod, outcome.earlier) == ("p1", "the hub does not answer")


FAILED: dict[str, tuple[list[dict[str, Any]], str, str, str]] = {
    "the builder's own words are believed": (
        [ended(69, text(NOT_FOUND))],
        "SourceNotFound",
        "repository org/model does not exist",
        "check spec.source.huggingFace.repo",
    ),
    "a permanent failure wins over the transient ones before it": (
        [ended(75, text(UNREACHABLE), "p0"), ended(69, text(NOT_FOUND), "p1")],
        "SourceNotFound",
        "repository org/model does not exist",
        "check spec.source.huggingFace.repo",
    ),
    "of several deaths without a permanent reason the first is the cause": (
        [ended(75, text(UNREACHABLE), "p0"), ended(137, "", "p1", "OOMKilled")],
        "SourceUnreachable",
        "the hub does not answer (2 attempts)",
        "",
    ),
    "out of memory names the limit": (
        [ended(137, "", reason="OOMKilled")],
        "OutOfMemory",
        "pod p0 was killed for memory at its limit of 4Gi",
        "set podTemplate.resources.limits.memory to more than 4Gi, or calibrate on shorter sequences",
    ),
    "a pod killed from outside is not called out of memory": (
        [ended(137)],
        "BadTermination",
        "pod p0 was killed from outside (exit code 137)",
        "likely the node stopped or somebody killed it; a new value of the annotation trtllm.dev/retry runs it again",
    ),
    "an evicted pod says what the node was short of": (
        [pod(phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage.")],
        "Evicted",
        "pod p0 was evicted: The node was low on resource: ephemeral-storage.",
        "raise podTemplate.resources.requests to what the pod really uses, or give the node more room",
    ),
    "a builder that left no result is quoted with its last line": (
        [ended(1, "starting\nthat went wrong\n")],
        "BadTermination",
        "pod p0 ended with exit code 1 and left no result: that went wrong",
        "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again",
    ),
    "a log that the catalogue knows is diagnosed": (
        [ended(1, "Traceback\n  ...\nModuleNotFoundError: No module named 'torch'\n")],
        "WrongImage",
        "pod p0: The image lacks torch.",
        "Use an image that has it.",
    ),
    "a builder that left nothing at all": (
        [ended(1)],
        "BadTermination",
        "pod p0 ended with exit code 1 and left no result: its log is empty",
        "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again",
    ),
    "a failed Job without pods tells what the Job says": (
        [],
        "BadTermination",
        "Job j failed and its pods are gone: Pod failed with exit code 65",
        "set the annotation trtllm.dev/retry to a new value to run it again",
    ),
}


@pytest.mark.parametrize("case", FAILED)
def test_failed(case: str) -> None:
    pods, reason, message, remedy = FAILED[case]
    outcome = job_outcome(job("Failed", "Pod failed with exit code 65"), pods, NOW)
    assert isinstance(outcome, JobFailed)
    assert (outcome.reason, outcome.message, outcome.remedy) == (reason, message, remedy)


def test_a_complete_job_with_a_result_has_succeeded() -> None:
    assert job_outcome(job("Complete"), [ended(0, text(fetch_result()))], NOW) == JobSucceeded(fetch_result())


def test_a_complete_job_with_an_unreadable_result_has_failed_and_names_the_images() -> None:
    outcome = job_outcome(job("Complete"), [ended(0, "hello")], NOW)
    assert isinstance(outcome, JobFailed)
    assert outcome.message == "pod p0 exited with 0 and left no result that can be read: hello"


def test_a_complete_job_whose_pods_are_gone_is_lost() -> None:
    assert job_outcome(job("Complete"), [], NOW) == JobLost("Job j ended and its pods are gone")


def test_a_pod_of_another_job_does_not_count(world: World) -> None:
    world.model()
    world.settle()
    first = world.job("fetch")
    world.pod(first)
    assert len(pods_of(first["metadata"]["name"], world.of("Pod"))) == 1
    assert not pods_of("smollm2-fetch-0000000000", world.of("Pod"))
