"""Deployment and Service of an EngineBuild; called by enginebuild.desired."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trtllm_api.base import Device
from trtllm_api.contract import SERVE_PORT, STORE_PATH
from trtllm_api.digest import digest_of, short
from trtllm_api.enginebuild import EngineBuildSpec, ServedArtifact
from trtllm_operator.children.identity import ChildStage, Owner, labels, metadata, selector
from trtllm_operator.children.objects import Manifest
from trtllm_operator.children.pod import PodPlan, pod_template, store_mount
from trtllm_operator.children.resources import MIB, serve_resources
from trtllm_operator.children.settings import BuilderSettings

CONTAINER = "server"
ARTIFACT_ANNOTATION = "trtllm.dev/artifact"
"""On the pods: digest of the artifact that they serve."""
BYTES_ANNOTATION = "trtllm.dev/artifact-bytes"
"""On the Deployment: size of the artifact, so that it can be planned again when its QuantizedModel is gone."""
DIGEST_ANNOTATION = "trtllm.dev/desired-digest"
"""On Deployment and Service: digest of the spec that they were made from."""
PORT_NAME = "http"
_START_PROBE_SECONDS = 2
_SLOWEST_READ = 20 * MIB
"""Bytes a second that a network volume under load may give: what a start may take is planned with it."""
_PRE_STOP_SECONDS = 5
"""Endpoints take a moment to forget a pod; it must not refuse connections before they have."""
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ServerPlan:
    """What to serve for whom."""

    owner: Owner
    spec: EngineBuildSpec
    artifact: ServedArtifact
    artifact_bytes: int
    settings: BuilderSettings


def server_name(owner: Owner) -> str:
    """Of the Deployment and the Service. Service names are stricter than resource names: no dots, no leading digit."""
    name = f"{owner.name}-{ChildStage.SERVE}"
    if _SERVICE_NAME.fullmatch(name):
        return name
    return f"eb-{name.replace('.', '-')}-{short(digest_of(owner.name), 6)}"


def served_model_name(owner: Owner, spec: EngineBuildSpec) -> str:
    """The `model` that clients ask for."""
    return spec.serving.served_model_name or owner.name


def start_seconds(artifact_bytes: int) -> int:
    """How long one server may take to read its artifact and answer its first prompt: half an hour and more."""
    return 1800 + artifact_bytes // _SLOWEST_READ


def deployment(plan: ServerPlan) -> Manifest:
    """The servers: a new artifact is a new ReplicaSet, and no old pod goes before a new one is ready."""
    spec, budget = plan.spec, start_seconds(plan.artifact_bytes)
    probes = {
        "ports": [{"name": PORT_NAME, "containerPort": SERVE_PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/health/ready", _START_PROBE_SECONDS, failures=budget // _START_PROBE_SECONDS),
        "readinessProbe": _probe("/health/ready", 5, failures=2),
        "livenessProbe": _probe("/health/live", 10, failures=6),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_PRE_STOP_SECONDS)]}}},
    }
    pod = PodPlan(
        container=CONTAINER,
        args=_arguments(plan),
        device=spec.device,
        resources=serve_resources(plan.artifact_bytes, spec.device),
        claims=(store_mount(plan.artifact.claim_name, read_only=True),),
        container_extra=probes,
    )
    chosen = selector(plan.owner, ChildStage.SERVE)
    template = pod_template(
        pod, plan.settings, spec.serving.pod_template, labels(plan.owner, ChildStage.SERVE), "Always"
    )
    template["metadata"]["annotations"] = {
        **template["metadata"].get("annotations", {}),
        ARTIFACT_ANNOTATION: plan.artifact.digest,
    }
    template["spec"]["terminationGracePeriodSeconds"] = plan.settings.drain_seconds + _PRE_STOP_SECONDS + 5
    desired: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(plan.owner, ChildStage.SERVE, server_name(plan.owner)),
        "spec": {
            "replicas": spec.serving.replicas,
            "selector": {"matchLabels": chosen},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": budget + 120,
            "revisionHistoryLimit": 3,
            "template": template,
        },
    }
    return _stamped(desired, {BYTES_ANNOTATION: str(plan.artifact_bytes)})


def _stamped(desired: Manifest, annotations: dict[str, str]) -> Manifest:
    desired["metadata"]["annotations"] = {**annotations, DIGEST_ANNOTATION: digest_of(desired["spec"])}
    return desired


def _arguments(plan: ServerPlan) -> tuple[str, ...]:
    return (
        "serve",
        "--artifact", f"{STORE_PATH}/{plan.artifact.path}",
        "--served-model-name", served_model_name(plan.owner, plan.spec),
        "--port", str(SERVE_PORT),
        "--max-concurrent-requests", str(plan.spec.serving.max_concurrent_requests),
        "--device", "cpu" if plan.spec.device is Device.CPU else "cuda",
    )  # fmt: skip


def _probe(path: str, period: int, *, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def service(owner: Owner, spec: EngineBuildSpec) -> Manifest:
    """One address for all replicas."""
    desired: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(owner, ChildStage.SERVE, server_name(owner)),
        "spec": {
            "type": str(spec.serving.service.type),
            "selector": selector(owner, ChildStage.SERVE),
            "ports": [
                {"name": PORT_NAME, "port": spec.serving.service.port, "targetPort": PORT_NAME, "protocol": "TCP"}
            ],
        },
    }
    return _stamped(desired, {})


def service_url(owner: Owner, spec: EngineBuildSpec) -> str:
    """Where clients inside the cluster reach the servers."""
    port = spec.serving.service.port
    return f"http://{server_name(owner)}.{owner.namespace}.svc" + ("" if port == 80 else f":{port}")
