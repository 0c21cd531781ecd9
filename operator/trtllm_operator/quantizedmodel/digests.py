"""Identity of what is asked for: two resources with the same digest share a source or an artifact.

Called by quantizedmodel.observe. The builder image is no part of it: a new release does not rebuild the world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtllm_api.digest import digest_of
from trtllm_api.meta import ConfigMapKeyRef
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.children.objects import Object, dig


def source_request_digest(namespace: str, spec: QuantizedModelSpec) -> str:
    """Of the source as asked for, in this namespace, on this claim."""
    return digest_of(
        {
            "namespace": namespace,
            "claim": spec.storage.claim_name,
            "source": spec.source.to_wire(),
            "trustRemoteCode": spec.trust_remote_code,
        }
    )


def dataset_refs(spec: QuantizedModelSpec) -> Iterator[ConfigMapKeyRef]:
    """The ConfigMap keys that hold the user's texts."""
    for dataset in (spec.calibration.dataset, spec.quality.evaluation.dataset):
        if dataset is not None and dataset.config_map is not None:
            yield dataset.config_map


def missing_dataset(spec: QuantizedModelSpec, config_maps: Mapping[str, Object | None]) -> str:
    """What of the user's texts is not there, as a sentence; empty when nothing is missing."""
    for ref in dataset_refs(spec):
        found = config_maps.get(ref.name)
        if found is None:
            return f"ConfigMap {ref.name} with the data set's key {ref.key} does not exist"
        if _content(found, ref.key) is None:
            keys = sorted([*(dig(found, "data") or {}), *(dig(found, "binaryData") or {})])
            return f"ConfigMap {ref.name} has no key {ref.key}; it has {', '.join(keys) or 'no keys'}"
    return ""


def request_digest(namespace: str, spec: QuantizedModelSpec, config_maps: Mapping[str, Object | None]) -> str | None:
    """Of the whole request, the user's texts included; None while some of those are missing."""
    if missing_dataset(spec, config_maps):
        return None
    texts = [_content(config_maps[ref.name] or {}, ref.key) for ref in dataset_refs(spec)]
    return digest_of(
        {
            "source": source_request_digest(namespace, spec),
            "quantization": spec.quantization.to_wire(),
            "calibration": spec.calibration.to_wire(),
            "quality": spec.quality.to_wire(),
            "device": str(spec.device),
            "texts": [digest_of(text) for text in texts],
        }
    )


def _content(config_map: Object, key: str) -> str | None:
    found = dig(config_map, "data", key)
    if found is None:
        found = dig(config_map, "binaryData", key)
    return None if found is None else str(found)
