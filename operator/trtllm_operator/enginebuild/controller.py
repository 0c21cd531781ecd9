"""EngineBuildController: how the reconcile loop handles an EngineBuild."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.enginebuild import Runtime
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_operator.enginebuild.determine import determine_state
from trtllm_operator.enginebuild.observe import Gathered, claim_name, model_name, observe
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.siblings import build_part
from trtllm_operator.enginebuild.state import State
from trtllm_operator.enginebuild.status import compute_status
from trtllm_operator.enginebuild.steps import steps
from trtllm_operator.kube.objects import Object, dig, is_deleting, is_true, name_of
from trtllm_operator.kube.resources import (
    ENGINE_BUILDS,
    NODES,
    QUANTIZED_MODELS,
)
from trtllm_operator.loop.cache import Cache, Key, key_of
from trtllm_operator.loop.world import World
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.manifests.leader_worker_set import group_name
from trtllm_operator.shared.siblings import BUILD, ENGINE, MODEL, SOURCE, SOURCE_DIGEST, source_digest, source_part
from trtllm_operator.shared.steps import Steps
from trtllm_planner.inventory import gpu_inventory

INDEXES = {
    SOURCE: source_part,
    SOURCE_DIGEST: source_digest,
    BUILD: build_part,
    ENGINE: lambda resource: dig(resource, "status", "engine", "requestDigest"),
    MODEL: lambda resource: model_name(resource) or None,
}
"""Values by which the cache finds EngineBuilds."""


class EngineBuildController:
    """Pure but for `gather`, which reads the claim and the LeaderWorkerSet."""

    resource = ENGINE_BUILDS

    async def gather(self, resource: Object, world: World, now: datetime) -> Gathered:
        """The model, the nodes, siblings, and the children of the resource."""
        key, cache = key_of(resource), world.cache
        model = cache.get(QUANTIZED_MODELS.kind, key.namespace, model_name(resource))
        planned = _has_gpus(resource)
        claim = claim_name(resource, model) if planned else ""
        group = group_name(Owner.of(key.kind, resource)) if planned else ""
        kinds = (QUANTIZED_MODELS.kind, ENGINE_BUILDS.kind) if planned else ()
        return Gathered(
            resource=resource,
            children=await world.children(resource, now, group),
            model=model,
            claim=await world.claim(key.namespace, claim) if claim else None,
            nodes=tuple(cache.all(NODES.kind)) if planned else (),
            same_source=tuple(cache.alike(resource, SOURCE)) if planned else (),
            same_build=tuple(cache.alike(resource, BUILD)) if planned else (),
            engines=cache.holders(ENGINE_BUILDS.kind, key.namespace, ENGINE) if planned else {},
            sources=tuple(cache.holders(kind, key.namespace, SOURCE_DIGEST) for kind in kinds),
            settings=world.builder,
            now=now,
        )

    def observe(self, gathered: Gathered) -> Observed:
        """Turn them into a snapshot."""
        return observe(gathered)

    def determine_state(self, observed: Observed) -> State:
        """Judge the snapshot."""
        return determine_state(observed)

    def steps(self, observed: Observed, state: State) -> Steps:
        """The steps to take."""
        return steps(observed, state)

    def compute_status(self, observed: Observed, state: State, now: datetime) -> EngineBuildStatus:
        """Write the status."""
        return compute_status(observed, state, now)

    def dependents(self, before: Object | None, after: Object | None, cache: Cache) -> Iterable[Key]:
        """EngineBuilds that name the QuantizedModel, share source or engine with the EngineBuild, or want GPUs."""
        changed = after or before
        kind = changed.get("kind") if changed else None
        if changed is None:
            return
        if kind == NODES.kind:
            if _gpus(before) != _gpus(after):
                yield from (key_of(build) for build in cache.all(ENGINE_BUILDS.kind) if _wants_gpus(build))
        elif kind == QUANTIZED_MODELS.kind:
            for build in cache.having(ENGINE_BUILDS.kind, key_of(changed).namespace, MODEL, name_of(changed)):
                yield key_of(build)
        elif kind == ENGINE_BUILDS.kind and _has_gpus(changed) and _use(before) != _use(after):
            alike = (*cache.alike(changed, SOURCE), *cache.alike(changed, BUILD))
            for name, build in {name_of(build): build for build in alike}.items():
                if name != name_of(changed):
                    yield key_of(build)


def _has_gpus(resource: Object) -> bool:
    """Its runtime is planned for GPUs."""
    return dig(resource, "spec", "runtime") in {Runtime.PYTORCH, Runtime.TENSORRT}


def _wants_gpus(build: Object) -> bool:
    return _has_gpus(build) and not dig(build, "status", "plan")


def _gpus(node: Object | None) -> object:
    return gpu_inventory((node,)) if node is not None else None


def _use(resource: Object | None) -> object:
    """The parts that siblings could use or wait for."""
    if resource is None:
        return None
    return (
        dig(resource, "status", "source"),
        dig(resource, "status", "engine"),
        is_true(resource, "Stalled"),
        dig(resource, "spec"),
        is_deleting(resource),
    )
