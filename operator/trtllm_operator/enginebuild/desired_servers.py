"""Target: the servers and the Service that should exist; pure.

One replica is one pod of a Deployment, or a group of a LeaderWorkerSet where its GPUs are on several nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.buildoptions import Limits
from trtllm_api.contract import STORE_PATH, LaunchRequest
from trtllm_api.enginebuild import EngineBuildSpec, Runtime, Serving
from trtllm_api.enginestatus import EngineArtifact, EngineLimits, EnginePlan, ServedArtifact
from trtllm_api.manifest import MANIFEST
from trtllm_operator.enginebuild.checkpoint import Subject
from trtllm_operator.enginebuild.desired_jobs import expected_gpu, gpu_binding, image_version
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.planning import layout_of
from trtllm_operator.kube.objects import Manifest, Object, dig
from trtllm_operator.manifests.engine_server import DesiredEngineServer, engine_deployment
from trtllm_operator.manifests.leader_worker_set import leader_worker_set
from trtllm_operator.manifests.pod import ClaimMount, store_mount
from trtllm_operator.manifests.server import (
    BYTES_ANNOTATION,
    DIGEST_ANNOTATION,
    DesiredServer,
    deployment,
    served_model_name,
    service,
    serving_of,
)
from trtllm_planner.commands.serve import serve_arguments, serve_options, serving_limits
from trtllm_planner.commands.serveflags import options_flag
from trtllm_planner.spec_question import decided_limits
from trtllm_planner.tensorrt_llm.versions import Version, image_info

TOKENIZER = "tokenizer"
"""Directory in an engine: the model's files without the weights."""
_ADAPTERS_PATH = "/adapters"


@dataclass(frozen=True)
class Target:
    """The servers and the Service that should exist."""

    title: str
    """Name of the served artifact, for messages."""
    artifact: ServedArtifact
    servers: Manifest
    """A Deployment or a LeaderWorkerSet."""
    service: Manifest


@dataclass(frozen=True)
class _Served:
    """The input of trtllm-serve, with paths inside the pod."""

    artifact: ServedArtifact
    title: str
    bytes: int
    path: str
    manifest: str
    tokenizer: str
    claims: tuple[ClaimMount, ...]
    limits: Limits | EngineLimits
    version: str | None


def transformers_target(observed: Observed, spec: EngineBuildSpec, subject: Subject) -> Target:
    """The builder's own server on the model's artifact."""
    artifact = ServedArtifact(
        digest=subject.digest, claim_name=subject.claim_name, path=subject.relative, method=subject.method
    )
    return _transformers(observed, spec, artifact, subject.bytes)


def pytorch_target(observed: Observed, spec: EngineBuildSpec, subject: Subject, plan: EnginePlan) -> Target:
    """trtllm-serve on a Hugging Face checkpoint."""
    artifact = ServedArtifact(
        digest=subject.digest,
        claim_name=subject.claim_name,
        path=subject.relative,
        method=subject.method,
        runtime=Runtime.PYTORCH,
    )
    served = _Served(
        artifact=artifact,
        title=subject.title,
        bytes=subject.bytes,
        path=subject.path,
        manifest=subject.manifest,
        tokenizer=subject.path,
        claims=subject.claims(read_only=True),
        limits=decided_limits(spec, subject.facts),
        version=image_version(spec),
    )
    return _engine_servers(observed, spec, served, plan)


def tensorrt_target(
    observed: Observed, spec: EngineBuildSpec, engine: EngineArtifact, title: str, plan: EnginePlan
) -> Target:
    """trtllm-serve on an engine: it has all that it needs, the tokenizer and the known prompt too."""
    path = f"{STORE_PATH}/{engine.path}"
    served = _Served(
        artifact=ServedArtifact(
            digest=engine.digest, claim_name=engine.claim_name, path=engine.path, runtime=Runtime.TENSORRT
        ),
        title=title,
        bytes=engine.bytes,
        path=path,
        manifest=f"{path}/{MANIFEST}",
        tokenizer=f"{path}/{TOKENIZER}",
        claims=(store_mount(engine.claim_name, read_only=True),),
        limits=engine.limits,
        version=engine.version,
    )
    return _engine_servers(observed, spec, served, plan)


def last_good_target(observed: Observed, spec: EngineBuildSpec, title: str) -> Target | None:
    """The last complete rollout, for scaling when the model is gone; None if status does not hold it."""
    artifact, status = observed.status.artifact, observed.status
    if artifact is None or artifact.runtime is not spec.runtime:
        return None
    if artifact.runtime is Runtime.TENSORRT:
        engine, plan = status.engine, status.plan
        if engine is None or plan is None or engine.digest != artifact.digest:
            return None
        if (engine.world, engine.product) != (layout_of(plan).world, plan.product):
            # planned anew since, for an engine that was never built
            return None
        return tensorrt_target(observed, spec, engine, title, plan)
    size = dig(observed.children.deployment, "metadata", "annotations", BYTES_ANNOTATION)
    if artifact.runtime is Runtime.PYTORCH or size is None:
        # its limits come from the model's facts: what serves is left as it is
        return None
    return _transformers(observed, spec, artifact, int(size))


def is_applied(desired: Manifest, found: Object | None) -> bool:
    """The object in the cluster was made from this manifest, and nobody has scaled it since."""
    digest = ("metadata", "annotations", DIGEST_ANNOTATION)
    scale = ("spec", "replicas")
    return all(dig(desired, *path) == dig(found, *path) for path in (digest, scale))


def _transformers(observed: Observed, spec: EngineBuildSpec, artifact: ServedArtifact, size: int) -> Target:
    plan = DesiredServer(observed.owner, spec, artifact, size, observed.settings)
    title = f"{artifact.method} artifact {artifact.digest[7:19]}"
    return Target(title, artifact, deployment(plan), service(observed.owner, spec))


def _engine_servers(observed: Observed, spec: EngineBuildSpec, served: _Served, plan: EnginePlan) -> Target:
    serving = serving_of(spec)
    adapters, mounts = _adapters(serving)
    server = DesiredEngineServer(
        owner=observed.owner,
        spec=spec,
        artifact=served.artifact,
        artifact_bytes=served.bytes,
        claims=(*served.claims, *mounts),
        launch=_launch(observed, spec, served, plan, adapters),
        nodes=plan.nodes,
        gpus_per_node=plan.gpus_per_node,
        gpu=gpu_binding(plan),
        image=spec.image or "",
        settings=observed.settings,
    )
    servers = engine_deployment(server) if plan.nodes == 1 else leader_worker_set(server)
    return Target(served.title, served.artifact, servers, service(observed.owner, spec))


def _launch(
    observed: Observed, spec: EngineBuildSpec, served: _Served, plan: EnginePlan, adapters: dict[str, str]
) -> LaunchRequest:
    serving, layout, name = serving_of(spec), layout_of(plan), served_model_name(observed.owner, spec)
    version: Version | None = image_info(spec.image or "", served.version).version
    return LaunchRequest(
        runtime=spec.runtime,
        model_path=served.path,
        model_manifest=served.manifest,
        tokenizer_path=served.tokenizer,
        arguments=serve_arguments(
            serving,
            layout,
            serving_limits(serving, served.limits),
            spec.runtime,
            version,
            served_model_name=name,
            trust_remote_code=spec.trust_remote_code,
            gpus_per_node=plan.gpus_per_node if plan.nodes > 1 else None,
        ),
        options_flag=options_flag(version),
        options=serve_options(
            serving, layout, spec.runtime, version, adapters, generation_logits=_returns_logits(spec)
        ),
        served_model_name=name,
        world=layout.world,
        nodes=plan.nodes,
        gpus_per_node=plan.gpus_per_node,
        gpu=expected_gpu(plan, plan.gpus_per_node),
        version=served.version,
        drain_seconds=observed.settings.drain_seconds,
    )


def _returns_logits(spec: EngineBuildSpec) -> bool:
    return spec.runtime is Runtime.TENSORRT and spec.build is not None and spec.build.gather_generation_logits


def _adapters(serving: Serving) -> tuple[dict[str, str], tuple[ClaimMount, ...]]:
    """Directory of each LoRA adapter by name, and the mounts that bring them."""
    wanted = serving.lora.adapters if serving.lora else ()
    paths = {a.name: f"{_ADAPTERS_PATH}/{a.claim_name}/{a.path}".rstrip("/") for a in wanted}
    claims = dict.fromkeys(adapter.claim_name for adapter in wanted)
    return paths, tuple(ClaimMount(claim, f"{_ADAPTERS_PATH}/{claim}") for claim in claims)
