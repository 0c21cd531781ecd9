"""Servers of the runtimes PyTorch and TensorRT: their pod, and the Deployment where one pod is a replica.

Called by enginebuild's target; children.leaderworkerset makes the servers of several pods from the same templates.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.base import Device
from trtllm_api.contract import CONTROL_PORT, LAUNCH_PATH, SERVE_PORT, LaunchRequest
from trtllm_api.digest import canonical_json
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import ServedArtifact
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import ChildStage, Owner, labels, server_labels
from trtllm_operator.manifests.pod import (
    AnnotationMount,
    Apart,
    ClaimMount,
    DesiredPod,
    GpuBinding,
    pod_template,
)
from trtllm_operator.manifests.resources import engine_serve_resources, shared_memory_for
from trtllm_operator.manifests.server import (
    CONTAINER,
    PORT_NAME,
    PRE_STOP_SECONDS,
    deployment_of,
    finish_template,
    port,
    probes,
    serving_of,
    start_seconds,
)

CONTROL_PORT_NAME = "control"
LAUNCH_ANNOTATION = "trtllm.dev/launch"
"""Annotation of the pods: the LaunchRequest, which they read as a file."""
LAUNCH_ARGS = ("launch", "--request", LAUNCH_PATH)
_STOP_SECONDS = 30
"""Seconds after the drain, in which trtllm-serve and its ranks release their GPUs."""


@dataclass(frozen=True)
class DesiredEngineServer:
    """A server on GPUs before it is a manifest."""

    owner: Owner
    spec: EngineBuildSpec
    artifact: ServedArtifact
    artifact_bytes: int
    """Bytes of the whole artifact."""
    claims: tuple[ClaimMount, ...]
    """Claims with the artifact, its manifest and LoRA adapters."""
    launch: LaunchRequest
    nodes: int
    """Pods of a replica."""
    gpus_per_node: int
    gpu: GpuBinding
    image: str
    """NVIDIA's."""
    settings: BuilderSettings

    @property
    def shared_memory(self) -> str:
        """Size of each pod's /dev/shm."""
        return serving_of(self.spec).shared_memory or shared_memory_for(self.gpus_per_node)


def engine_deployment(plan: DesiredEngineServer) -> Manifest:
    """The servers where a replica is one pod."""
    return deployment_of(plan.owner, serving_of(plan.spec), server_template(plan), plan.artifact_bytes)


def server_template(plan: DesiredEngineServer, apart: Apart | None = None) -> Manifest:
    """The pod that answers clients; the leader where a replica is several pods."""
    extra = {
        "ports": [port(PORT_NAME, SERVE_PORT), port(CONTROL_PORT_NAME, CONTROL_PORT)],
        **probes(CONTROL_PORT_NAME, start_seconds(plan.artifact_bytes)),
    }
    return _template(plan, server_labels(plan.owner), extra, apart)


def worker_template(plan: DesiredEngineServer, apart: Apart | None = None) -> Manifest:
    """A pod that only computes: it listens on nothing, and the leader's readiness speaks for it."""
    return _template(plan, labels(plan.owner, ChildStage.SERVE), {}, apart)


def _template(plan: DesiredEngineServer, its_labels: dict[str, str], extra: Manifest, apart: Apart | None) -> Manifest:
    shared = plan.shared_memory
    pod = DesiredPod(
        container=CONTAINER,
        args=LAUNCH_ARGS,
        device=Device.GPU,
        resources=engine_serve_resources(-(-plan.artifact_bytes // plan.nodes), plan.gpus_per_node, shared),
        claims=plan.claims,
        files=(AnnotationMount(LAUNCH_ANNOTATION, LAUNCH_PATH),),
        container_extra=extra,
        image=plan.image,
        gpu=plan.gpu,
        gpus=plan.gpus_per_node,
        shared_memory=shared,
        apart=apart,
    )
    template = pod_template(pod, plan.settings, serving_of(plan.spec).pod_template, its_labels, "Always")
    finish_template(template, plan.artifact, plan.launch.drain_seconds + PRE_STOP_SECONDS + _STOP_SECONDS)
    template["metadata"]["annotations"][LAUNCH_ANNOTATION] = canonical_json(plan.launch.to_wire())
    return template
