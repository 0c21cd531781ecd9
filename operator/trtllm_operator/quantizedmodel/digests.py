"""Identity of what is asked for: two resources with the same digest share a source or an artifact.

Called by quantizedmodel.observe. The builder image is no part of it: a new release does not rebuild the world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtllm_api.digest import digest_of
from trtllm_api.meta import ConfigMapKeyRef
from trtllm_api.modelstatus import MethodLadder
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.kube.objects import Object, dig
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.shared.fetch import Wanted


def wanted_source(owner: Owner, spec: QuantizedModelSpec) -> Wanted:
    """The source as asked for."""
    return Wanted(owner, spec.source, spec.trust_remote_code, spec.storage)


def dataset_refs(spec: QuantizedModelSpec) -> Iterator[ConfigMapKeyRef]:
    """The ConfigMap keys that hold the user's texts."""
    for dataset in (spec.calibration.dataset, spec.quality.evaluation.dataset):
        if dataset is not None and dataset.config_map is not None:
            yield dataset.config_map


def missing_dataset(spec: QuantizedModelSpec, config_maps: Mapping[str, Object | None]) -> str:
    """The missing part of the user's texts as a sentence; empty when nothing is missing."""
    for ref in dataset_refs(spec):
        found = config_maps.get(ref.name)
        if found is None:
            return f"ConfigMap {ref.name} with the data set's key {ref.key} does not exist"
        if _content(found, ref.key) is None:
            keys = sorted([*(dig(found, "data") or {}), *(dig(found, "binaryData") or {})])
            return f"ConfigMap {ref.name} has no key {ref.key}; it has {', '.join(keys) or 'no keys'}"
    return ""


def request_digest(
    source_digest: str,
    spec: QuantizedModelSpec,
    config_maps: Mapping[str, Object | None],
    ladder: MethodLadder | None,
) -> str | None:
    """Identity of the request with the user's texts and the planned methods; None while some of those are missing."""
    planned = spec.quantization.method is None
    if missing_dataset(spec, config_maps) or (planned and ladder is None):
        return None
    methods = {"methods": list(ladder.methods)} if planned and ladder is not None else {}
    texts = [_content(config_maps[ref.name] or {}, ref.key) for ref in dataset_refs(spec)]
    return digest_of(
        {
            "source": source_digest,
            "quantization": {**spec.quantization.to_wire(), **methods},
            "calibration": spec.calibration.to_wire(),
            "quality": spec.quality.to_wire(),
            "checkpoint": spec.checkpoint.to_wire(),
            "device": str(spec.device),
            "texts": [digest_of(text) for text in texts],
        }
    )


def _content(config_map: Object, key: str) -> str | None:
    found = dig(config_map, "data", key)
    if found is None:
        found = dig(config_map, "binaryData", key)
    return None if found is None else str(found)
