"""The other resources of the namespace that matter to one EngineBuild; called by enginebuild.observe.

Only raw values are compared until one is known to matter: a namespace may hold hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable

from trtllm_api.digest import canonical_json
from trtllm_api.enginestatus import EngineBuildStatus
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import SourceStatus
from trtllm_api.source import Storage
from trtllm_operator.enginebuild.observed import FetchedBy, Sibling
from trtllm_operator.enginebuild.stage import Stage
from trtllm_operator.kube.objects import Object, creation_order, dig, is_deleting, is_true, name_of
from trtllm_operator.shared.parse import generation_of, parse_status

_HAS_ITS_ENGINE = frozenset({Stage.BUILT, Stage.ROLLING_OUT, Stage.SERVING, Stage.SCALED_TO_ZERO})
_DEFAULT_CLAIM = Storage().claim_name
_BUILD_PARTS = ("modelRef", "runtime", "image", "imageVersion", "gpu", "parallelism", "limits", "convert", "build")


def siblings(resource: Object, others: Iterable[Object]) -> tuple[Sibling, ...]:
    """Those with an engine, and those that are at work on the same source or engine."""
    me, build, source = creation_order(resource), build_part(resource), source_part(resource)
    found: list[Sibling] = []
    for other in sorted((other for other in others if name_of(other) != name_of(resource)), key=creation_order):
        same_source = source is not None and source_part(other) == source
        same_build = build_part(other) == build
        if not (same_source or same_build or dig(other, "status", "engine")):
            continue
        found.append(
            Sibling(
                name=name_of(other),
                leads=creation_order(other) < me,
                working=_works(other),
                building=_works(other) and dig(other, "status", "stage") not in _HAS_ITS_ENGINE,
                same_source=same_source,
                same_build=same_build,
                status=parse_status(EngineBuildStatus, other.get("status")),
            )
        )
    return tuple(found)


def fetched_by(resource: Object, digest: str | None, others: Iterable[Object]) -> FetchedBy | None:
    """`others` are resources of both kinds; `digest` is the source's as asked for."""
    for other in others:
        if dig(other, "metadata", "uid") == dig(resource, "metadata", "uid"):
            continue
        if digest is not None and dig(other, "status", "source", "requestDigest") == digest:
            source, facts = dig(other, "status", "source"), dig(other, "status", "modelFacts")
            if source and facts:
                what = f"{other.get('kind')} {name_of(other)}"
                return FetchedBy(what, SourceStatus.model_validate(source), ModelFacts.model_validate(facts))
    return None


def source_part(resource: Object) -> str | None:
    """What two resources with the same spec.source have alike, raw; None without one."""
    spec = resource.get("spec") or {}
    if not spec.get("source"):
        return None
    claim = dig(spec, "storage", "claimName") or _DEFAULT_CLAIM
    return canonical_json([spec.get("source"), bool(spec.get("trustRemoteCode")), claim])


def build_part(resource: Object) -> str:
    """All that decides about the engine, raw."""
    spec = resource.get("spec") or {}
    return canonical_json([source_part(resource), *(spec.get(part) for part in _BUILD_PARTS)])


def _works(resource: Object) -> bool:
    """Neither suspended, failed at its present spec, nor on its way out."""
    if is_deleting(resource) or dig(resource, "spec", "suspend"):
        return False
    current = dig(resource, "status", "observedGeneration") == generation_of(resource)
    return not (current and is_true(resource, "Stalled"))
