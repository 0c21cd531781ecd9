"""The Jobs that make an engine, as plans: convert, build, publish; pure.

They share the request digest, and so a work directory on the store.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.base import Device
from trtllm_api.buildoptions import Build, Convert
from trtllm_api.contract import (
    CALIBRATION_PATH,
    BuildRequest,
    ConvertRequest,
    ExpectedGpu,
    PublishRequest,
    RanksRequest,
    Stage,
)
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.enginestatus import EnginePlan
from trtllm_operator.enginebuild.checkpoint import Subject, adapters_root
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.planning import layout_of
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import CONTAINER, REQUEST_ARGS, DesiredJob
from trtllm_operator.manifests.pod import ClaimMount, DesiredPod, GpuBinding
from trtllm_operator.manifests.resources import Resources, build_resources, convert_resources, publish_resources
from trtllm_planner.commands.build import build_arguments, engine_node_size
from trtllm_planner.commands.buildflags import build_table
from trtllm_planner.commands.convert import convert_arguments
from trtllm_planner.commands.convertflags import convert_script
from trtllm_planner.spec_question import decided_limits
from trtllm_planner.tensorrt_llm.layout import gpus_per_pod, nodes_for
from trtllm_planner.tensorrt_llm.versions import image_info


@dataclass(frozen=True)
class Engine:
    """An engine that is to be made."""

    observed: Observed
    spec: EngineBuildSpec
    subject: Subject
    plan: EnginePlan
    inputs: dict[str, object]
    digest: str

    def jobs(self) -> tuple[DesiredJob, ...]:
        """The Jobs in the order in which they run; a TensorRT-LLM checkpoint needs no conversion."""
        convert = () if self.subject.engine_format else (_convert(self),)
        return (*convert, _build(self), _publish(self))


def image_version(spec: EngineBuildSpec) -> str | None:
    """TensorRT-LLM's version in the image; None where neither tag nor spec says it."""
    version = image_info(spec.image or "", spec.image_version).version
    return None if version is None else str(version)


def gpu_binding(plan: EnginePlan) -> GpuBinding:
    """The nodes of the planned GPU."""
    return GpuBinding(plan.product, plan.compute_capability)


def expected_gpu(plan: EnginePlan, count: int) -> ExpectedGpu:
    """The GPUs that a pod must find on its node."""
    return ExpectedGpu(product=plan.product, compute_capability=plan.compute_capability, count=count)


def _convert(engine: Engine) -> DesiredJob:
    spec, subject, plan = engine.spec, engine.subject, engine.plan
    convert, family = spec.convert or Convert(), convert_script(subject.facts.architecture)
    if family is None:
        raise ValueError(f"preflight let {subject.facts.architecture} pass, which no script converts")
    layout, calibration = layout_of(plan), convert.calibration
    mounted = f"{CALIBRATION_PATH}/{calibration.path}".rstrip("/") if calibration else None
    checkpoint = None if subject.artifact else subject.facts.details.checkpoint
    request = ConvertRequest(
        script=family,
        arguments=convert_arguments(convert, layout, subject.facts, checkpoint, mounted),
        model_path=subject.path,
        model_manifest=subject.manifest,
        tensor=plan.tensor,
        pipeline=plan.pipeline,
        context=plan.context,
        gpu=expected_gpu(plan, 1),
        version=image_version(spec),
    )
    claims = (ClaimMount(calibration.claim_name, CALIBRATION_PATH),) if calibration else ()
    pod = _gpu_pod(engine, convert_resources(subject.bytes), 1, claims)
    return _job(engine, ChildStage.CONVERT, _request(engine, Stage.CONVERT, convert=request), pod)


def _build(engine: Engine) -> DesiredJob:
    spec, subject, plan = engine.spec, engine.subject, engine.plan
    build, world = spec.build or Build(), layout_of(plan).world
    gpus = min(build.gpus or world, world)
    pods, each = nodes_for(gpus, plan.gpus_per_node), gpus_per_pod(gpus, plan.gpus_per_node)
    node_size = engine_node_size(world, plan.gpus_per_node)
    table = build_table(image_info(spec.image or "", spec.image_version).version)
    by_flag = node_size if table.has("--gpus_per_node") else None
    request = RanksRequest(
        checkpoint_path=subject.path if subject.engine_format else None,
        arguments=build_arguments(build, decided_limits(spec, subject.facts), adapters_root(spec), by_flag),
        world=world,
        pods=pods,
        gpus_per_pod=each,
        node_size=node_size,
        workers=min(build.workers or each, each),
        timing_cache=build.timing_cache,
        gpu=expected_gpu(plan, each),
        version=image_version(spec),
    )
    pod = _gpu_pod(engine, build_resources(subject.bytes, each, pods), each)
    wire = _request(engine, Stage.BUILD, ranks=request)
    return _job(engine, ChildStage.BUILD, wire, pod, completions=pods, indexed=True)


def _publish(engine: Engine) -> DesiredJob:
    plan, subject, build = engine.plan, engine.subject, engine.spec.build or Build()
    world = layout_of(plan).world
    request = PublishRequest(
        inputs=engine.inputs,
        world=world,
        pods=nodes_for(min(build.gpus or world, world), plan.gpus_per_node),
        tensor=plan.tensor,
        pipeline=plan.pipeline,
        context=plan.context,
        probe_manifest=subject.manifest,
        tokenizer_path=subject.path,
    )
    pod = DesiredPod(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=None,
        resources=publish_resources(),
        claims=subject.claims(read_only=False),
    )
    return _job(engine, ChildStage.PUBLISH, _request(engine, Stage.PUBLISH, publish=request), pod)


def _request(
    engine: Engine,
    stage: Stage,
    *,
    convert: ConvertRequest | None = None,
    ranks: RanksRequest | None = None,
    publish: PublishRequest | None = None,
) -> BuildRequest:
    return BuildRequest(
        stage=stage,
        namespace=engine.observed.owner.namespace,
        name=engine.observed.owner.name,
        request_digest=engine.digest,
        convert=convert,
        ranks=ranks,
        publish=publish,
    )


def _gpu_pod(engine: Engine, resources: Resources, gpus: int, claims: tuple[ClaimMount, ...] = ()) -> DesiredPod:
    return DesiredPod(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=Device.GPU,
        resources=resources,
        claims=(*engine.subject.claims(read_only=False), *claims),
        image=engine.spec.image,
        gpu=gpu_binding(engine.plan),
        gpus=gpus,
    )


def _job(
    engine: Engine,
    stage: ChildStage,
    request: BuildRequest,
    pod: DesiredPod,
    *,
    completions: int = 1,
    indexed: bool = False,
) -> DesiredJob:
    observed = engine.observed
    return DesiredJob(
        observed.owner,
        stage,
        request,
        pod,
        observed.settings,
        engine.spec.pod_template,
        observed.retry,
        completions=completions,
        indexed=indexed,
    )
