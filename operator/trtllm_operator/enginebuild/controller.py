"""EngineBuild's part of the seam; main.py hands it to the engine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.enginebuild import EngineBuildStatus
from trtllm_operator.children.objects import Object, name_of
from trtllm_operator.controller import World
from trtllm_operator.enginebuild.observe import model_name, observe
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.enginebuild.plan import plan
from trtllm_operator.enginebuild.state import State, determine_state
from trtllm_operator.enginebuild.status import compute_status
from trtllm_operator.kube.resources import DEPLOYMENTS, ENGINE_BUILDS, PODS, QUANTIZED_MODELS, REPLICA_SETS, SERVICES
from trtllm_operator.steps import Plan
from trtllm_operator.store import Key, Store, key_of


class EngineBuildController:
    """Pure: everything it needs is in the store."""

    resource = ENGINE_BUILDS

    async def observe(self, resource: Object, world: World, now: datetime) -> Observed:
        """The model, and the children of the resource."""
        key = key_of(resource)
        children = world.store.children
        pods = children(key, PODS.kind)
        return observe(
            resource,
            model=world.store.get(QUANTIZED_MODELS.kind, key.namespace, model_name(resource)),
            deployment=next(iter(children(key, DEPLOYMENTS.kind)), None),
            service=next(iter(children(key, SERVICES.kind)), None),
            replica_sets=children(key, REPLICA_SETS.kind),
            pods=pods,
            progress=world.progress_of(pods),
            settings=world.builder,
            now=now,
        )

    def determine_state(self, observed: Observed) -> State:
        """What the snapshot means."""
        return determine_state(observed)

    def plan(self, observed: Observed, state: State) -> Plan:
        """The steps to take."""
        return plan(observed, state)

    def compute_status(self, observed: Observed, state: State, now: datetime) -> EngineBuildStatus:
        """What users see."""
        return compute_status(observed, state, now)

    def dependents(self, before: Object | None, after: Object | None, store: Store) -> Iterable[Key]:
        """EngineBuilds that name the QuantizedModel which changed."""
        changed = after or before
        if changed is None or changed.get("kind") != QUANTIZED_MODELS.kind:
            return
        for build in store.in_namespace(ENGINE_BUILDS.kind, key_of(changed).namespace):
            if model_name(build) == name_of(changed):
                yield key_of(build)
