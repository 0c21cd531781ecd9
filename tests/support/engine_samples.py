"""Plans of a small engine's Jobs and servers, for the tests of this directory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trtllm_api.base import Device
from trtllm_api.contract import BuildRequest, ExpectedGpu, LaunchRequest, RanksRequest, Stage
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.enginestatus import ServedArtifact
from trtllm_api.meta import PodTemplate
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.engine_server import DesiredEngineServer
from trtllm_operator.manifests.identity import ChildStage, Owner
from trtllm_operator.manifests.job import CONTAINER, REQUEST_ARGS, DesiredJob
from trtllm_operator.manifests.pod import ClaimMount, DesiredPod, GpuBinding, store_mount
from trtllm_operator.manifests.resources import build_resources

OWNER = Owner("EngineBuild", "default", "llama", "uid-1")
SETTINGS = BuilderSettings(image="registry.example/trtllm-builder:1", pull_policy="Always", pull_secrets=("mirror",))
IMAGE = "registry.example/release:1.2.1"
H100 = GpuBinding("NVIDIA-H100-80GB-HBM3", "9.0")
DIGEST = "sha256:" + "e" * 64
GIB = 1024**3


def user(**template: Any) -> PodTemplate:
    return PodTemplate.model_validate(template)


def pod_plan(**fields: Any) -> DesiredPod:
    plan = DesiredPod(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=Device.GPU,
        resources=build_resources(16 * GIB, 8, 2),
        claims=(store_mount("models", read_only=False),),
        image=IMAGE,
        gpu=H100,
        gpus=8,
    )
    return replace(plan, **fields)


def build_job(completions: int = 2, pod: DesiredPod | None = None, template: PodTemplate | None = None) -> DesiredJob:
    ranks = RanksRequest(arguments=(), world=16, pods=completions, gpus_per_pod=8, workers=8, gpu=ExpectedGpu(count=8))
    request = BuildRequest(stage=Stage.BUILD, namespace="default", name="llama", request_digest=DIGEST, ranks=ranks)
    return DesiredJob(
        OWNER,
        ChildStage.BUILD,
        request,
        pod or pod_plan(),
        SETTINGS,
        template or PodTemplate(),
        completions=completions,
    )


def server_plan(*, nodes: int = 1, name: str = "llama", **serving: Any) -> DesiredEngineServer:
    spec = EngineBuildSpec.model_validate(
        {"source": {"huggingFace": {"repo": "org/model"}}, "runtime": "TensorRT", "image": IMAGE, "serving": serving}
    )
    launch = LaunchRequest(
        runtime=Runtime.TENSORRT,
        model_path="/store/engines/eeee",
        model_manifest="/store/engines/eeee/manifest.json",
        tokenizer_path="/model/checkpoint",
        arguments=("--tp_size", "8"),
        options_flag="--config",
        options={"return_perf_metrics": True},
        served_model_name=name,
        world=8 * nodes,
        nodes=nodes,
        gpus_per_node=8,
        gpu=ExpectedGpu(product=H100.product, count=8),
        drain_seconds=90,
    )
    return DesiredEngineServer(
        owner=replace(OWNER, name=name),
        spec=spec,
        artifact=ServedArtifact(digest=DIGEST, claim_name="models", path="engines/eeee", runtime=Runtime.TENSORRT),
        artifact_bytes=16 * GIB,
        claims=(store_mount("models", read_only=True), ClaimMount("checkpoints", "/model")),
        launch=launch,
        nodes=nodes,
        gpus_per_node=8,
        gpu=H100,
        image=IMAGE,
        settings=SETTINGS,
    )
