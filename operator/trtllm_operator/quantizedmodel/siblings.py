"""Siblings: the other QuantizedModels of the namespace that matter to one of them; pure.

A namespace may hold hundreds of the same source, so only raw values are compared until one is known to matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from trtllm_api.modelstatus import QuantizedModelStatus
from trtllm_api.quantizedmodel import KIND, QuantizedModelSpec
from trtllm_operator.kube.objects import Object, creation_order, dig, name_of
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.quantizedmodel.digests import request_digest, wanted_source
from trtllm_operator.quantizedmodel.observed import Sibling
from trtllm_operator.quantizedmodel.planning import decided_ladder
from trtllm_operator.shared.parse import parse_spec, parse_status
from trtllm_operator.shared.siblings import others, source_digest, works

if TYPE_CHECKING:
    from trtllm_operator.quantizedmodel.observe import Gathered


def siblings(gathered: Gathered, source: str, digest: str | None) -> tuple[Sibling, ...]:
    """Siblings that matter, at most one for each way: its artifact, its source, its work on either."""
    resource, me = gathered.resource, creation_order(gathered.resource)
    same_source = others(resource, gathered.same_source)
    having = others(resource, gathered.artifacts.get(digest, ()) if digest is not None else ())
    leading = [other for other in same_source if creation_order(other) < me and works(other)]

    def same_request(other: Object) -> bool:
        return _same_request(other, resource, digest, gathered.config_maps, gathered.nodes)

    found = (
        next(iter(having), None),
        _first(same_source, lambda other: source_digest(other) == source),
        _first(leading, same_request),
        next(iter(leading), None),
    )
    chosen = {name_of(other): other for other in found if other is not None}
    alike = {name_of(other) for other in same_source}
    return tuple(
        Sibling(
            name=name,
            leads=creation_order(other) < me,
            working=works(other),
            same_source=name in alike,
            same_request=name in alike and same_request(other),
            status=parse_status(QuantizedModelStatus, other.get("status")),
        )
        for name, other in chosen.items()
    )


def _first(others: Iterable[Object], matters: Callable[[Object], bool]) -> Object | None:
    return next((other for other in others if matters(other)), None)


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
