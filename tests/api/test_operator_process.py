"""The operator as a process on a real API server and controller manager: restarts, hand-over, refusals."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from control_plane import NAMESPACE, QUANTIZED_MODEL, ApiServer, Cluster
from operator_process import eventually, operator

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/trtllm-operator"


def model(api: ApiServer, name: str) -> dict[str, Any]:
    source = {"persistentVolumeClaim": {"claimName": "models", "path": name}}
    return api.create(QUANTIZED_MODEL, {"source": source, "quantization": {"method": "FP8"}}, name)


def jobs(api: ApiServer, name: str) -> list[dict[str, Any]]:
    found = api.get(f"{JOBS}?labelSelector=trtllm.dev/resource={name}")["items"]
    return [job for job in found if "deletionTimestamp" not in job["metadata"]]


def ready(api: ApiServer, name: str) -> dict[str, Any]:
    status = api.get(QUANTIZED_MODEL.at(name)).get("status") or {}
    return next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> Iterator[None]:
    """Of other tests, nor for them."""
    everything = "qm,eb,jobs,leases,resourcequotas"
    cluster.kubectl("delete", everything, "--all", "--wait=true", "--timeout=30s")
    yield
    cluster.kubectl("delete", everything, "--all", "--wait=true", "--timeout=30s")


def test_a_resource_gets_its_claim_its_request_and_a_job_that_it_owns(api: ApiServer) -> None:
    with operator() as running:
        resource = model(api, "first")
        eventually(lambda: jobs(api, "first"), "the Job")
        job = jobs(api, "first")[0]
        assert job["metadata"]["ownerReferences"][0]["uid"] == resource["metadata"]["uid"]
        assert {entry["manager"] for entry in job["metadata"]["managedFields"]} >= {"trtllm-operator"}
        assert api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{job['metadata']['name']}")["immutable"] is True
        assert api.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/trtllm-store")
        eventually(lambda: ready(api, "first"), "the status")
        events = f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=involvedObject.name=first"
        eventually(lambda: [e for e in api.get(events)["items"] if e["reason"] == "Fetching"], "the Event")
        assert 'trtllm_operator_resources{kind="QuantizedModel",stage="Fetching"} 1.0' in running.numbers()
        assert running.answers("/healthz")


def test_a_restart_writes_nothing(api: ApiServer) -> None:
    def versions() -> list[str]:
        found = [api.get(QUANTIZED_MODEL.at(f"settled-{number}")) for number in range(5)] + api.get(JOBS)["items"]
        return [item["metadata"]["resourceVersion"] for item in found]

    with operator():
        for number in range(5):
            model(api, f"settled-{number}")
        eventually(lambda: all(ready(api, f"settled-{number}") for number in range(5)), "the statuses")
        time.sleep(3)
        before = versions()
    with operator():
        time.sleep(3)
        assert versions() == before


def test_a_job_that_a_person_deletes_is_made_again(api: ApiServer) -> None:
    with operator():
        model(api, "deleted-job")
        eventually(lambda: jobs(api, "deleted-job"), "the Job")
        first = jobs(api, "deleted-job")[0]["metadata"]
        api.send("DELETE", f"{JOBS}/{first['name']}", {"propagationPolicy": "Background"})
        eventually(
            lambda: [job for job in jobs(api, "deleted-job") if job["metadata"]["uid"] != first["uid"]], "a new Job"
        )


def test_a_resource_made_while_the_operator_does_not_run_is_worked_on_when_it_does(api: ApiServer) -> None:
    with operator() as running:
        running.process.send_signal(signal.SIGSTOP)
        model(api, "meanwhile")
        time.sleep(1)
        assert not jobs(api, "meanwhile")
        running.process.send_signal(signal.SIGCONT)
        eventually(lambda: jobs(api, "meanwhile"), "the Job")


def test_a_quota_that_forbids_jobs_is_told_in_the_api_servers_words(api: ApiServer, cluster: Cluster) -> None:
    cluster.kubectl("create", "quota", "no-jobs", "--hard=count/jobs.batch=0")
    eventually(
        lambda: api.get(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/no-jobs").get("status", {}).get("hard"), "quota"
    )
    with operator():
        model(api, "no-quota")
        eventually(lambda: ready(api, "no-quota").get("reason") == "ApplyRefused", "the condition")
        assert "exceeded quota: no-jobs" in ready(api, "no-quota")["message"]
        cluster.kubectl("delete", "quota", "no-jobs")
        eventually(lambda: jobs(api, "no-quota"), "the Job", 40)


def test_of_two_replicas_one_works_and_the_other_takes_over_at_once_when_it_is_told_to_stop(api: ApiServer) -> None:
    with operator("one", f"--lease-namespace={NAMESPACE}") as first:
        eventually(lambda: api.send("GET", LEASE).code == 200, "the Lease")
        with operator("two", f"--lease-namespace={NAMESPACE}") as second:
            assert api.get(LEASE)["spec"]["holderIdentity"] == "one"
            assert "trtllm_operator_leader 0.0" in second.numbers()
            first.process.terminate()
            first.process.wait(20)
            eventually(lambda: api.get(LEASE)["spec"]["holderIdentity"] == "two", "the hand-over", 5)
            model(api, "after-hand-over")
            eventually(lambda: jobs(api, "after-hand-over"), "the Job")


def test_a_replica_that_is_killed_is_replaced_when_its_lease_runs_out(api: ApiServer) -> None:
    with operator("one", f"--lease-namespace={NAMESPACE}") as first:
        eventually(lambda: api.send("GET", LEASE).code == 200, "the Lease")
        with operator("two", f"--lease-namespace={NAMESPACE}"):
            first.process.kill()
            first.process.wait(20)
            eventually(lambda: api.get(LEASE)["spec"]["holderIdentity"] == "two", "the hand-over", 25)
            model(api, "after-kill")
            eventually(lambda: jobs(api, "after-kill"), "the Job")


def test_a_namespace_that_is_not_watched_is_left_alone(api: ApiServer) -> None:
    with operator("one", "--namespace=elsewhere"):
        model(api, "not-watched")
        time.sleep(2)
        assert not jobs(api, "not-watched")
