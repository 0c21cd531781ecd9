"""EngineBuild's part of the seam; main.py hands it to the engine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.enginebuild import Runtime
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_operator.enginebuild.determine import determine_state
from trtllm_operator.enginebuild.observe import claim_name, model_name, observe
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.siblings import build_part, source_part
from trtllm_operator.enginebuild.state import State
from trtllm_operator.enginebuild.status import compute_status
from trtllm_operator.enginebuild.steps import steps
from trtllm_operator.kube.objects import Object, dig, is_deleting, is_true, labels_of, name_of
from trtllm_operator.kube.resources import (
    DEPLOYMENTS,
    ENGINE_BUILDS,
    JOBS,
    NODES,
    PODS,
    QUANTIZED_MODELS,
    REPLICA_SETS,
    SERVICES,
)
from trtllm_operator.loop.cache import Cache, Key, key_of
from trtllm_operator.loop.controller import World
from trtllm_operator.manifests.identity import STAGE_LABEL, ChildStage, Owner
from trtllm_operator.manifests.leader_worker_set import group_name
from trtllm_operator.shared.steps import Steps
from trtllm_planner.inventory import gpu_inventory


class EngineBuildController:
    """Pure but for `observe`, which reads the claim, the LeaderWorkerSet and what pods say beside their status."""

    resource = ENGINE_BUILDS

    async def observe(self, resource: Object, world: World, now: datetime) -> Observed:
        """The model, the nodes, siblings, and the children of the resource."""
        key, children = key_of(resource), world.cache.children
        model = world.cache.get(QUANTIZED_MODELS.kind, key.namespace, model_name(resource))
        pods = children(key, PODS.kind)
        workers = [pod for pod in pods if labels_of(pod).get(STAGE_LABEL) != ChildStage.SERVE]
        engine = _has_gpus(resource)
        claim = claim_name(resource, model) if engine else ""
        served, groups = True, None
        if engine and _several_nodes(resource):
            served, groups = await world.leader_worker_sets(key.namespace, group_name(Owner.of(key.kind, resource)))
        return observe(
            resource,
            model=model,
            models=world.cache.in_namespace(QUANTIZED_MODELS.kind, key.namespace) if engine else (),
            others=world.cache.in_namespace(ENGINE_BUILDS.kind, key.namespace) if engine else (),
            claim=await world.claim(key.namespace, claim) if claim else None,
            nodes=world.cache.all(NODES.kind) if engine else (),
            jobs=children(key, JOBS.kind),
            deployment=next(iter(children(key, DEPLOYMENTS.kind)), None),
            groups=groups,
            groups_served=served,
            service=next(iter(children(key, SERVICES.kind)), None),
            replica_sets=children(key, REPLICA_SETS.kind),
            pods=pods,
            progress=world.progress_of([*workers, *(pod for pod in pods if not is_true(pod, "Ready"))]),
            evidence=await world.evidence.of(pods, now),
            settings=world.builder,
            now=now,
        )

    def determine_state(self, observed: Observed) -> State:
        """What the snapshot means."""
        return determine_state(observed)

    def steps(self, observed: Observed, state: State) -> Steps:
        """The steps to take."""
        return steps(observed, state)

    def compute_status(self, observed: Observed, state: State, now: datetime) -> EngineBuildStatus:
        """What users see."""
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
            for build in cache.in_namespace(ENGINE_BUILDS.kind, key_of(changed).namespace):
                if model_name(build) == name_of(changed):
                    yield key_of(build)
        elif kind == ENGINE_BUILDS.kind and _has_gpus(changed) and _use(before) != _use(after):
            for build in cache.in_namespace(ENGINE_BUILDS.kind, key_of(changed).namespace):
                if name_of(build) != name_of(changed) and _alike(build, changed):
                    yield key_of(build)


def _has_gpus(resource: Object) -> bool:
    """Its runtime is planned for GPUs."""
    return dig(resource, "spec", "runtime") in {Runtime.PYTORCH, Runtime.TENSORRT}


def _several_nodes(resource: Object) -> bool:
    """It may have, or may get, servers of several nodes: not known before it is planned."""
    return int(dig(resource, "status", "plan", "nodes") or 2) > 1 or not is_true(resource, "Ready")


def _wants_gpus(build: Object) -> bool:
    return _has_gpus(build) and not dig(build, "status", "plan")


def _gpus(node: Object | None) -> object:
    return gpu_inventory((node,)) if node is not None else None


def _alike(one: Object, other: Object) -> bool:
    shared = source_part(one) is not None and source_part(one) == source_part(other)
    return shared or build_part(one) == build_part(other)


def _use(resource: Object | None) -> object:
    """What siblings could use or wait for."""
    if resource is None:
        return None
    return (
        dig(resource, "status", "source"),
        dig(resource, "status", "engine"),
        is_true(resource, "Stalled"),
        dig(resource, "spec"),
        is_deleting(resource),
    )
