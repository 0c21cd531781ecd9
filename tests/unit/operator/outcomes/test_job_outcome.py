"""What a Job and its pods mean: one table, keyed by sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.domain_world import World, fetch_result
from trtllm_api.contract import BuildResult, Stage
from trtllm_api.reasons import Reason
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.job import JobFailed, JobLost, JobRunning, JobSucceeded, job_outcome
from trtllm_operator.shared.jobs import pods_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOT_FOUND = BuildResult(
    stage=Stage.FETCH,
    exit_code=69,
    reason=Reason.SOURCE_NOT_FOUND,
    message="repository org/model does not exist",
    remedy="check spec.source.huggingFace.repo",
)
UNREACHABLE = BuildResult(
    stage=Stage.FETCH, exit_code=75, reason=Reason.SOURCE_UNREACHABLE, message="the hub does not answer"
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
            "pod p0: No node takes the pod: of 2 nodes, 2 have too few free nvidia.com/gpu. "
            "Ask for fewer GPUs per pod, wait for GPUs to become free, or add nodes."
        ),
        None,
    ),
    "an image that cannot be pulled is named": (
        job(),
        [waiting("ImagePullBackOff", "not found")],
        "ImagePullFailed",
        (
            "pod p0: The image cannot be pulled: registry.example/b:1 does not exist in its registry or on the node. "
            "Check the name and the tag."
        ),
        None,
    ),
    "a missing Secret is named": (
        job(),
        [waiting("CreateContainerConfigError", 'secret "hf" not found')],
        "ContainerConfigInvalid",
        "pod p0: The secret hf does not exist in the pod's namespace. Create it there, or name one that exists.",
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
        "PodRetrying",
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
    assert job_outcome(given, pods, now, Evidence()) == JobRunning(reason, message, reads)  # type: ignore[arg-type]


def test_a_second_attempt_remembers_why_the_first_one_died() -> None:
    outcome = job_outcome(job(), [ended(75, text(UNREACHABLE), "p0"), pod("p1")], NOW, Evidence())
    assert isinstance(outcome, JobRunning)
    assert (outcome.pod, outcome.earlier) == ("p1", "the hub does not answer")


KILLED = [ended(137, "", name, "OOMKilled") for name in ("p0", "p1")]
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
        "HostOutOfMemory",
        "pod p0: Container builder was killed at its memory limit (limit 4Gi).",
        "Set spec.podTemplate.resources.limits.memory above 4Gi.",
    ),
    "several attempts are counted within the sentence": (
        KILLED,
        "HostOutOfMemory",
        "pod p0: Container builder was killed at its memory limit (limit 4Gi) (2 attempts).",
        "Set spec.podTemplate.resources.limits.memory above 4Gi.",
    ),
    "a pod killed from outside is not called out of memory": (
        [ended(137)],
        "Terminated",
        (
            "pod p0: Likely cause: container builder was killed from outside (exit code 137); "
            "Kubernetes does not report that its memory ran out."
        ),
        "See the pod's events: a probe that failed, a node that stopped, or somebody who deleted it.",
    ),
    "an evicted pod says what the node was short of": (
        [pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")],
        "Evicted",
        "pod p0: The node evicted the pod: it was short of memory.",
        "Raise spec.podTemplate.resources.requests to what the pod really uses, or give the node more room.",
    ),
    "a builder that left no result is quoted with its last line": (
        [ended(1, "starting\nthat went wrong\n")],
        "BadTermination",
        "pod p0 ended with exit code 1 and left no result: that went wrong",
        "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again",
    ),
    "a log that the catalogue knows is diagnosed": (
        [ended(1, "Traceback\n  ...\nModuleNotFoundError: No module named 'torch'\n")],
        "ImageMismatch",
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
    outcome = job_outcome(job("Failed", "Pod failed with exit code 65"), pods, NOW, Evidence())
    assert isinstance(outcome, JobFailed)
    assert (outcome.reason, outcome.message, outcome.remedy) == (reason, message, remedy)


LAST_WORDS = (
    '{"progress": {"stage": "Quantizing", "done": 12, "total": 30, "unit": "layers", "etaSeconds": 60.0, '
    '"memoryPeak": 4187593114}}\n'
)


def test_out_of_memory_tells_the_peak_and_what_it_was_at_from_the_log_of_the_dead_pod() -> None:
    evidence = Evidence(logs={"p0": f"loading\n{LAST_WORDS}"})
    outcome = job_outcome(job("Failed"), [ended(137, "", reason="OOMKilled")], NOW, evidence)
    assert isinstance(outcome, JobFailed)
    assert outcome.message == (
        "pod p0: Container builder was killed at its memory limit (limit 4Gi, peak 3.9 GiB). "
        "It was at: Quantizing 40%, 12/30 layers."
    )


def test_the_end_of_the_log_that_the_kubelet_keeps_will_do_where_the_log_is_gone() -> None:
    outcome = job_outcome(job("Failed"), [ended(137, LAST_WORDS, reason="OOMKilled")], NOW, Evidence())
    assert isinstance(outcome, JobFailed)
    assert "peak 3.9 GiB" in outcome.message


def test_a_cause_that_the_end_of_the_log_does_not_reach_is_found_in_the_whole_log() -> None:
    log = "ModuleNotFoundError: No module named 'torch'\n" + LAST_WORDS * 40
    outcome = job_outcome(job("Failed"), [ended(1, LAST_WORDS)], NOW, Evidence(logs={"p0": log}))
    assert isinstance(outcome, JobFailed)
    assert (outcome.reason, outcome.message) == ("ImageMismatch", "pod p0: The image lacks torch.")


EVENTS = {
    "a volume that cannot be mounted is told from the pod's Events": (
        "FailedMount",
        'MountVolume.SetUp failed for volume "x" : configmap "texts" not found',
        "VolumeNotMounted",
        (
            "pod p0: Volume x cannot be mounted: the configmap texts does not exist. "
            "Create it in the pod's namespace, or name one that exists."
        ),
    ),
    "a large image that is downloaded is no mystery": (
        "Pulling",
        'Pulling image "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"',
        "PullingImage",
        'pod p0: the node downloads image "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"',
    ),
}


@pytest.mark.parametrize("case", EVENTS)
def test_what_only_events_tell(case: str) -> None:
    kind, said, reason, message = EVENTS[case]
    evidence = Evidence(events={"p0": ({"reason": kind, "message": said, "lastTimestamp": "2026-11-24T11:59:00Z"},)})
    outcome = job_outcome(job(), [waiting("ContainerCreating")], NOW, evidence)
    assert outcome == JobRunning(reason, message)


def test_a_complete_job_with_a_result_has_succeeded() -> None:
    assert job_outcome(job("Complete"), [ended(0, text(fetch_result()))], NOW, Evidence()) == JobSucceeded(
        fetch_result()
    )


def test_a_complete_job_with_an_unreadable_result_has_failed_and_names_the_images() -> None:
    outcome = job_outcome(job("Complete"), [ended(0, "hello")], NOW, Evidence())
    assert isinstance(outcome, JobFailed)
    assert outcome.message == "pod p0 exited with 0 and left no result that can be read: hello"


def test_a_complete_job_whose_pods_are_gone_is_lost() -> None:
    assert job_outcome(job("Complete"), [], NOW, Evidence()) == JobLost("Job j ended and its pods are gone")


def test_a_pod_of_another_job_does_not_count(world: World) -> None:
    world.model()
    world.settle()
    first = world.job("fetch")
    world.pod(first)
    assert len(pods_of(first, world.of("Pod"))) == 1
    other = {**first, "metadata": {**first["metadata"], "uid": "of a Job that had the same name"}}
    assert not pods_of(other, world.of("Pod"))
