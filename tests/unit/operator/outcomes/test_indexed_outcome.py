"""What an Indexed Job, a queue and a drained node mean: tables, keyed by sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trtllm_api.contract import BuildResult, Stage
from trtllm_api.reasons import Reason
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.outcomes.job import JobFailed, JobLost, JobRunning, JobSucceeded, job_outcome

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BUILT = BuildResult(stage=Stage.BUILD, exit_code=0)
TRANSIENT = BuildResult(stage=Stage.BUILD, exit_code=75, reason=Reason.ENGINE_BUILD_FAILED, message="it stopped")
MISMATCH = BuildResult(
    stage=Stage.BUILD,
    exit_code=67,
    reason=Reason.GPU_MISMATCH,
    message="the pod sees 4 GPUs and needs 8",
    remedy="ask for 8",
)
MOVED = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempted"}]
Object = dict[str, Any]


def job(kind: str | None = None, *, indexes: int | None = 2, ended: str = "11:59:00", **fields: Any) -> Object:
    condition = {
        "type": kind,
        "status": "True",
        "lastTransitionTime": f"2026-11-25T{ended}Z",
        "message": "the Job failed",
    }
    spec: Object = {} if indexes is None else {"completionMode": "Indexed", "completions": indexes}
    status = {"conditions": [condition] if kind else [], **fields.pop("status", {})}
    return {"metadata": {"name": "j"}, "spec": {**spec, **fields}, "status": status}


def pod(index: int, attempt: int = 0, phase: str = "Running", **status: Any) -> Object:
    meta = {
        "name": f"p{index}-{attempt}",
        "creationTimestamp": f"2026-11-25T11:{attempt}{index}:00Z",
        "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
    }
    return {"metadata": meta, "spec": {}, "status": {"phase": phase, **status}}


def ended(index: int, result: BuildResult | None, attempt: int = 0, code: int = 0, **status: Any) -> Object:
    message = result.to_termination_message().decode() if result else ""
    end = {"exitCode": result.exit_code if result else code, "message": message, "reason": "Error"}
    phase = "Failed" if end["exitCode"] else "Succeeded"
    return pod(index, attempt, phase, containerStatuses=[{"name": "builder", "state": {"terminated": end}}], **status)


def unschedulable(index: int) -> Object:
    said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    return pod(index, phase="Pending", conditions=[condition])


FITS_NOT = (
    "pod p1-0: No node takes the pod: of 2 nodes, 2 have too few free nvidia.com/gpu. "
    "Ask for fewer GPUs per pod, wait for GPUs to become free, or add nodes."
)
GATED = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
RUNNING: dict[str, tuple[Object, list[Object], JobRunning]] = {
    "all pods run": (job(), [pod(0), pod(1)], JobRunning(Reason.POD_RUNNING, "2 of 2 pods run", "p1-0", "", ("p0-0",))),
    "one is done": (
        job(),
        [ended(0, BUILT), pod(1)],
        JobRunning(Reason.POD_RUNNING, "1 of 2 pods run, 1 done", "p1-0"),
    ),
    "the pod whose log is read is one that runs, and the other's trouble is told": (
        job(),
        [pod(0), unschedulable(1)],
        JobRunning(Reason.POD_RUNNING, f"1 of 2 pods run; index 1: {FITS_NOT}", "p0-0"),
    ),
    "the trouble names its index": (
        job(),
        [ended(0, BUILT), unschedulable(1)],
        JobRunning(Reason.UNSCHEDULABLE, f"index 1: {FITS_NOT}"),
    ),
    "an index that died is tried again beside the other": (
        job(),
        [pod(0), ended(1, TRANSIENT), pod(1, 1)],
        JobRunning(Reason.POD_RUNNING, "2 of 2 pods run", "p1-1", "index 1: it stopped", ("p0-0",)),
    ),
    "a death that was made good is forgotten": (
        job(),
        [pod(0), ended(1, TRANSIENT), ended(1, BUILT, 1)],
        JobRunning(Reason.POD_RUNNING, "1 of 2 pods run, 1 done", "p0-0"),
    ),
    "nothing is alive between two attempts": (
        job(),
        [ended(1, TRANSIENT)],
        JobRunning(Reason.POD_RETRYING, "index 1: it stopped; trying again"),
    ),
    "a queue that took the Job back has it wait, whatever became of its pods": (
        job(suspend=True),
        [ended(1, None, code=143, conditions=MOVED)],
        JobRunning(
            Reason.QUEUED,
            "Job j is suspended: a queue has not admitted it yet",
            earlier="index 1: pod p1-0 was taken from its node: preempted",
        ),
    ),
    "a Job that a queue has not admitted yet waits": (
        job(suspend=True, indexes=None),
        [],
        JobRunning(Reason.QUEUED, "Job j is suspended: a queue has not admitted it yet"),
    ),
    "a pod that a queue gates waits for it": (
        job(indexes=None),
        [pod(0, phase="Pending", conditions=GATED)],
        JobRunning(Reason.QUEUED, "pod p0-0 is held back by a scheduling gate: a queue has not admitted it yet"),
    ),
    "a preempted pod goes on as another": (
        job(indexes=None),
        [ended(0, None, code=143, conditions=MOVED)],
        JobRunning(Reason.POD_RETRYING, "pod p0-0 was taken from its node: preempted; trying again"),
    ),
    "the Job itself says when it is complete": (
        job(),
        [ended(0, BUILT), ended(1, BUILT)],
        JobRunning(Reason.POD_RUNNING, "every pod has ended; waiting for the Job to say so"),
    ),
    "a Job that ended a moment ago may still get its pods' last words": (
        job("Complete", ended="11:59:50"),
        [ended(0, BUILT), pod(1)],
        JobRunning(Reason.POD_RUNNING, "the Job has ended; waiting for its pod's result"),
    ),
}


@pytest.mark.parametrize("case", RUNNING)
def test_running(case: str) -> None:
    given, pods, wanted = RUNNING[case]
    assert job_outcome(given, pods, NOW, Evidence()) == wanted


FAILED: dict[str, tuple[Object, list[Object], tuple[str, str, str]]] = {
    "a permanent failure names its index": (
        job("Failed"),
        [pod(0), ended(1, MISMATCH)],
        ("GpuMismatch", "index 1: the pod sees 4 GPUs and needs 8", "ask for 8"),
    ),
    "of the index that failed for good the first death is the cause, and its attempts are counted": (
        job("Failed", status={"failedIndexes": "1"}),
        [ended(0, None, code=9), ended(1, TRANSIENT), ended(1, None, 1, code=9)],
        ("EngineBuildFailed", "index 1: it stopped (2 attempts)", ""),
    ),
    "ranges of failed indexes are read": (
        job("Failed", indexes=8, status={"failedIndexes": "1,3-5"}),
        [ended(0, TRANSIENT), ended(4, TRANSIENT)],
        ("EngineBuildFailed", "index 4: it stopped", ""),
    ),
    "a pod that was taken from its node is not the cause": (
        job("Failed", indexes=None),
        [ended(0, None, code=143, conditions=MOVED), ended(0, TRANSIENT, 1)],
        ("EngineBuildFailed", "it stopped", ""),
    ),
    "a builder's code that could not be copied is told": (
        job("Failed", indexes=None),
        [
            pod(
                0,
                phase="Failed",
                initContainerStatuses=[
                    {"name": "app", "state": {"terminated": {"exitCode": 1, "message": "cp: no space left"}}}
                ],
            )
        ],
        (
            "BadTermination",
            "pod p0-0: its init container app ended with exit code 1: cp: no space left",
            "see the pod's log; set the annotation trtllm.dev/retry to a new value to try again",
        ),
    ),
}


@pytest.mark.parametrize("case", FAILED)
def test_failed(case: str) -> None:
    given, pods, wanted = FAILED[case]
    outcome = job_outcome(given, pods, NOW, Evidence())
    assert isinstance(outcome, JobFailed)
    assert (outcome.reason, outcome.message, outcome.remedy) == wanted


def test_a_complete_job_has_the_result_of_its_lowest_index() -> None:
    other = BuildResult(stage=Stage.BUILD, exit_code=0, message="ranks 8 to 15")
    pods = [ended(1, other), ended(0, TRANSIENT), ended(0, BUILT, 1)]
    assert job_outcome(job("Complete"), pods, NOW, Evidence()) == JobSucceeded(BUILT)


def test_a_job_without_indexes_has_one_result() -> None:
    assert job_outcome(job("Complete", indexes=None), [ended(0, BUILT)], NOW, Evidence()) == JobSucceeded(BUILT)


def test_pods_that_are_gone_have_left_their_files_so_the_other_results_will_do() -> None:
    assert job_outcome(job("Complete"), [ended(1, BUILT)], NOW, Evidence()) == JobSucceeded(BUILT)


def test_a_complete_job_without_any_pod_is_lost() -> None:
    assert job_outcome(job("Complete"), [], NOW, Evidence()) == JobLost("Job j ended and its pods are gone")


def test_an_index_whose_result_cannot_be_read_is_named() -> None:
    outcome = job_outcome(job("Complete"), [ended(0, BUILT), ended(1, None)], NOW, Evidence())
    assert isinstance(outcome, JobFailed)
    assert outcome.message == "index 1: pod p1-0 exited with 0 and left no result that can be read: its log is empty"
