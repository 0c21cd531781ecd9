"""Deployment of runtime Transformers, and the Service of every runtime; called by enginebuild's target."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trtllm_api.base import Device
from trtllm_api.contract import SERVE_PORT, STORE_PATH
from trtllm_api.digest import digest_of, short
from trtllm_api.enginebuild import EngineBuildSpec, Serving
from trtllm_api.enginestatus import ServedArtifact
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import ChildStage, Owner, metadata, selector, server_labels, server_selector
from trtllm_operator.manifests.pod import DesiredPod, pod_template, store_mount
from trtllm_operator.manifests.resources import MIB, serve_resources

CONTAINER = "server"
ARTIFACT_ANNOTATION = "trtllm.dev/artifact"
"""Annotation of the pods: digest of the artifact that they serve."""
BYTES_ANNOTATION = "trtllm.dev/artifact-bytes"
"""Annotation of the Deployment: bytes of the artifact, for planning when its QuantizedModel is gone."""
DIGEST_ANNOTATION = "trtllm.dev/desired-digest"
"""Annotation of Deployment and Service: digest of the spec that they were made from."""
PORT_NAME = "http"
_START_PROBE_SECONDS = 2
_SLOWEST_READ = 20 * MIB
"""Bytes a second that a network volume under load may give: what a start may take is planned with it."""
PRE_STOP_SECONDS = 5
"""Endpoints take a moment to forget a pod; it must not refuse connections before they have."""
DEADLINE_MARGIN_SECONDS = 120
"""Seconds for scheduling and pulling, beyond what a server may take to start."""
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class DesiredServer:
    """A server before it is a manifest."""

    owner: Owner
    spec: EngineBuildSpec
    artifact: ServedArtifact
    artifact_bytes: int
    settings: BuilderSettings


def server_name(owner: Owner) -> str:
    """Name of the Deployment and the Service. A Service's name has no dots and no leading digit."""
    name = f"{owner.name}-{ChildStage.SERVE}"
    if _SERVICE_NAME.fullmatch(name):
        return name
    return f"eb-{name.replace('.', '-')}-{short(digest_of(owner.name), 6)}"


def served_model_name(owner: Owner, spec: EngineBuildSpec) -> str:
    """The `model` that clients ask for."""
    return serving_of(spec).served_model_name or owner.name


def serving_of(spec: EngineBuildSpec) -> Serving:
    """spec.serving; the defaults where the spec leaves it out."""
    return spec.serving or Serving()


def start_seconds(artifact_bytes: int) -> int:
    """Seconds in which one server must read its artifact and answer its first prompt: half an hour and more."""
    return 1800 + artifact_bytes // _SLOWEST_READ


def deployment(plan: DesiredServer) -> Manifest:
    """The servers: a new artifact is a new ReplicaSet, and no old pod goes before a new one is ready."""
    spec, serving, budget = plan.spec, serving_of(plan.spec), start_seconds(plan.artifact_bytes)
    pod = DesiredPod(
        container=CONTAINER,
        args=_arguments(plan),
        device=spec.device,
        resources=serve_resources(plan.artifact_bytes, spec.device),
        claims=(store_mount(plan.artifact.claim_name, read_only=True),),
        container_extra={"ports": [port(PORT_NAME, SERVE_PORT)], **probes(PORT_NAME, budget)},
    )
    template = pod_template(pod, plan.settings, serving.pod_template, server_labels(plan.owner), "Always")
    finish_template(template, plan.artifact, plan.settings.drain_seconds + PRE_STOP_SECONDS + 5)
    return deployment_of(plan.owner, serving, template, plan.artifact_bytes)


def deployment_of(owner: Owner, serving: Serving, template: Manifest, artifact_bytes: int) -> Manifest:
    """The Deployment around a pod template: no old pod goes before a new one is ready."""
    desired: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(owner, ChildStage.SERVE, server_name(owner), serving.pod_template),
        "spec": {
            "replicas": serving.replicas,
            # cannot be changed later: pods of every runtime have these labels
            "selector": {"matchLabels": selector(owner, ChildStage.SERVE)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": start_seconds(artifact_bytes) + DEADLINE_MARGIN_SECONDS,
            "revisionHistoryLimit": 3,
            "template": template,
        },
    }
    return stamped(desired, {BYTES_ANNOTATION: str(artifact_bytes)})


def finish_template(template: Manifest, artifact: ServedArtifact, grace_seconds: int) -> None:
    """The parts of every server's pod template: the artifact's name, and time to finish running requests."""
    template["metadata"]["annotations"] = {
        **template["metadata"].get("annotations", {}),
        ARTIFACT_ANNOTATION: artifact.digest,
    }
    template["spec"]["terminationGracePeriodSeconds"] = grace_seconds


def port(name: str, number: int) -> Manifest:
    """A port of the container."""
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def probes(port_name: str, budget_seconds: int) -> Manifest:
    """Ready once a known prompt was answered, with the whole budget to get there; and a pause before the end."""
    return {
        "startupProbe": _probe(
            port_name, "/health/ready", _START_PROBE_SECONDS, failures=budget_seconds // _START_PROBE_SECONDS
        ),
        "readinessProbe": _probe(port_name, "/health/ready", 5, failures=2),
        "livenessProbe": _probe(port_name, "/health/live", 10, failures=6),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_SECONDS)]}}},
    }


def stamped(desired: Manifest, annotations: dict[str, str]) -> Manifest:
    """The manifest with the digest of its spec, which tells whether it must be applied again."""
    desired["metadata"]["annotations"] = {**annotations, DIGEST_ANNOTATION: digest_of(desired["spec"])}
    return desired


def _arguments(plan: DesiredServer) -> tuple[str, ...]:
    return (
        "serve",
        "--artifact", f"{STORE_PATH}/{plan.artifact.path}",
        "--served-model-name", served_model_name(plan.owner, plan.spec),
        "--port", str(SERVE_PORT),
        "--max-concurrent-requests", str(serving_of(plan.spec).max_concurrent_requests),
        "--device", "cpu" if plan.spec.device is Device.CPU else "cuda",
    )  # fmt: skip


def _probe(port_name: str, path: str, period: int, *, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": port_name},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def service(owner: Owner, spec: EngineBuildSpec) -> Manifest:
    """One address for all replicas, whichever runtime each of them has: old and new ones answer side by side."""
    wanted = serving_of(spec).service
    desired: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(owner, ChildStage.SERVE, server_name(owner)),
        "spec": {
            "type": str(wanted.type),
            "selector": server_selector(owner),
            "ports": [{"name": PORT_NAME, "port": wanted.port, "targetPort": PORT_NAME, "protocol": "TCP"}],
        },
    }
    return stamped(desired, {})


def service_url(owner: Owner, spec: EngineBuildSpec) -> str:
    """The URL at which clients inside the cluster reach the servers."""
    number = serving_of(spec).service.port
    return f"http://{server_name(owner)}.{owner.namespace}.svc" + ("" if number == 80 else f":{number}")
