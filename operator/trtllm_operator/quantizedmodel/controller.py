"""QuantizedModelController: how the reconcile loop handles a QuantizedModel."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.source import Storage
from trtllm_operator.kube.objects import Object, dig, is_deleting, is_true, name_of
from trtllm_operator.kube.resources import NODES, QUANTIZED_MODELS
from trtllm_operator.loop.cache import Cache, Key, key_of
from trtllm_operator.loop.world import World
from trtllm_operator.quantizedmodel.determine import determine_state
from trtllm_operator.quantizedmodel.observe import Gathered, observe
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.quantizedmodel.planning import gpus_of, wants_ladder
from trtllm_operator.quantizedmodel.state import State
from trtllm_operator.quantizedmodel.status import compute_status
from trtllm_operator.quantizedmodel.steps import steps
from trtllm_operator.shared.siblings import ARTIFACT, SOURCE, SOURCE_DIGEST, source_digest, source_part
from trtllm_operator.shared.steps import Steps

INDEXES = {
    SOURCE: source_part,
    ARTIFACT: lambda resource: dig(resource, "status", "artifact", "requestDigest"),
    SOURCE_DIGEST: source_digest,
}
"""Values by which the cache finds QuantizedModels."""
_DATASETS = (("calibration", "dataset", "configMap"), ("quality", "evaluation", "dataset", "configMap"))


class QuantizedModelController:
    """Pure but for `gather`, which reads the users' ConfigMaps and the claim."""

    resource = QUANTIZED_MODELS

    async def gather(self, resource: Object, world: World, now: datetime) -> Gathered:
        """The children, claim, data sets and siblings of the resource."""
        key = key_of(resource)
        named = {str(dig(resource, "spec", *path, "name") or "") for path in _DATASETS} - {""}
        claim = str(dig(resource, "spec", "storage", "claimName") or Storage().claim_name)
        return Gathered(
            resource=resource,
            children=await world.children(resource, now),
            store_exists=await world.claim(key.namespace, claim) is not None,
            config_maps={name: await world.config_map(key.namespace, name) for name in sorted(named)},
            same_source=tuple(world.cache.alike(resource, SOURCE)),
            artifacts=world.cache.holders(QUANTIZED_MODELS.kind, key.namespace, ARTIFACT),
            nodes=() if dig(resource, "spec", "quantization", "method") else tuple(world.cache.all(NODES.kind)),
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

    def compute_status(self, observed: Observed, state: State, now: datetime) -> QuantizedModelStatus:
        """Write the status."""
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
        for other in cache.alike(changed, SOURCE):
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
