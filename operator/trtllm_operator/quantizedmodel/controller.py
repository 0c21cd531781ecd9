"""QuantizedModel's part of the seam; main.py hands it to the engine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_operator.kube.objects import Object, dig, is_deleting, is_true, name_of
from trtllm_operator.kube.resources import JOBS, NODES, PODS, QUANTIZED_MODELS
from trtllm_operator.loop.cache import Cache, Key, key_of
from trtllm_operator.loop.controller import World
from trtllm_operator.quantizedmodel.determine import determine_state
from trtllm_operator.quantizedmodel.observe import observe
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.planning import gpus_of, wants_ladder
from trtllm_operator.quantizedmodel.state import State
from trtllm_operator.quantizedmodel.status import compute_status
from trtllm_operator.quantizedmodel.steps import steps
from trtllm_operator.shared.steps import Steps

_DATASETS = (("calibration", "dataset", "configMap"), ("quality", "evaluation", "dataset", "configMap"))


class QuantizedModelController:
    """Pure but for `observe`, which reads the users' ConfigMaps and what pods say beside their status."""

    resource = QUANTIZED_MODELS

    async def observe(self, resource: Object, world: World, now: datetime) -> Observed:
        """Jobs, pods, claim, data sets and siblings of the resource."""
        key = key_of(resource)
        pods = world.cache.children(key, PODS.kind)
        named = {str(dig(resource, "spec", *path, "name") or "") for path in _DATASETS} - {""}
        claim = str(dig(resource, "spec", "storage", "claimName") or "")
        return observe(
            resource,
            jobs=world.cache.children(key, JOBS.kind),
            pods=pods,
            store_exists=await world.claim(key.namespace, claim) is not None,
            config_maps={name: await world.config_map(key.namespace, name) for name in sorted(named)},
            others=world.cache.alike(resource),
            nodes=() if dig(resource, "spec", "quantization", "method") else world.cache.all(NODES.kind),
            progress=world.progress_of(pods),
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

    def compute_status(self, observed: Observed, state: State, now: datetime) -> QuantizedModelStatus:
        """What users see."""
        return compute_status(observed, state, now)

    def dependents(self, before: Object | None, after: Object | None, cache: Cache) -> Iterable[Key]:
        """Siblings with the same source that could use or wait for what has changed; those that wait for a GPU."""
        changed = after or before
        if changed is not None and changed.get("kind") == NODES.kind:
            if gpus_of(before) != gpus_of(after):
                yield from (key_of(model) for model in cache.all(QUANTIZED_MODELS.kind) if wants_ladder(model))
            return
        if changed is None or changed.get("kind") != QUANTIZED_MODELS.kind or _use(before) == _use(after):
            return
        for other in cache.alike(changed):
            if name_of(other) != name_of(changed):
                yield key_of(other)


def _use(resource: Object | None) -> object:
    if resource is None:
        return None
    return (
        dig(resource, "status", "source"),
        dig(resource, "status", "artifact"),
        is_true(resource, "Stalled"),
        dig(resource, "spec"),
        is_deleting(resource),
    )
