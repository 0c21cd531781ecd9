"""The other QuantizedModels of the namespace that matter to one of them; called by quantizedmodel.observe.

A namespace may hold hundreds that ask for the same, so only raw values are compared until one is known to matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from trtllm_api.digest import canonical_json
from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import KIND, QuantizedModelSpec
from trtllm_api.source import Storage
from trtllm_operator.kube.objects import Object, creation_order, dig, is_deleting, is_true, name_of
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.quantizedmodel.digests import request_digest, wanted_source
from trtllm_operator.quantizedmodel.observed import Sibling
from trtllm_operator.quantizedmodel.planning import decided_ladder
from trtllm_operator.shared.parse import generation_of, parse_spec, parse_status

_DEFAULT_CLAIM = Storage().claim_name


def siblings(
    resource: Object,
    others: Iterable[Object],
    source_digest: str,
    digest: str | None,
    config_maps: Mapping[str, Object | None],
    nodes: tuple[Object, ...],
) -> tuple[Sibling, ...]:
    """At most one sibling for each way of mattering: its artifact, its source, its work on either."""
    rivals = sorted((other for other in others if name_of(other) != name_of(resource)), key=creation_order)
    me = creation_order(resource)
    same_source = [other for other in rivals if source_part(other) == source_part(resource)]
    leading = [other for other in same_source if creation_order(other) < me and _works(other)]
    found = (
        _first(
            rivals, lambda other: digest is not None and dig(other, "status", "artifact", "requestDigest") == digest
        ),
        _first(rivals, lambda other: dig(other, "status", "source", "requestDigest") == source_digest),
        _first(leading, lambda other: _same_request(other, resource, digest, config_maps, nodes)),
        _first(leading, lambda _: True),
    )
    chosen = {name_of(other): other for other in found if other is not None}
    return tuple(
        Sibling(
            name=name,
            leads=creation_order(other) < me,
            working=_works(other),
            same_source=source_part(other) == source_part(resource),
            same_request=other in same_source and _same_request(other, resource, digest, config_maps, nodes),
            status=parse_status(QuantizedModelStatus, other.get("status")),
        )
        for name, other in chosen.items()
    )


def _first(others: Iterable[Object], matters: Callable[[Object], bool]) -> Object | None:
    return next((other for other in others if matters(other)), None)


def source_part(resource: Object) -> str:
    """What two resources with the same source have alike, raw: the store finds siblings by it."""
    spec = resource.get("spec") or {}
    return canonical_json(
        [
            spec.get("source"),
            bool(spec.get("trustRemoteCode")),
            dig(spec, "storage", "claimName") or _DEFAULT_CLAIM,
        ]
    )


def _same_request(
    other: Object,
    resource: Object,
    digest: str | None,
    config_maps: Mapping[str, Object | None],
    nodes: tuple[Object, ...],
) -> bool:
    if dig(resource, "spec", "quantization", "method") and list(_request_part(other)) == list(_request_part(resource)):
        return True
    spec, _ = parse_spec(QuantizedModelSpec, other.get("spec"))
    if digest is None or spec is None:
        return False
    source = wanted_source(Owner.of(KIND, other), spec).digest
    ladder = decided_ladder(spec, source, parse_status(QuantizedModelStatus, other.get("status")), nodes)
    return request_digest(source, spec, config_maps, ladder) == digest


def _request_part(resource: Object) -> Iterator[object]:
    spec = resource.get("spec") or {}
    yield from (spec.get(part) for part in ("quantization", "calibration", "quality", "checkpoint", "device"))


def _works(resource: Object) -> bool:
    """Neither suspended, failed at its present spec, nor on its way out."""
    if is_deleting(resource) or dig(resource, "spec", "suspend"):
        return False
    current = dig(resource, "status", "observedGeneration") == generation_of(resource)
    return not (current and is_true(resource, "Stalled"))
