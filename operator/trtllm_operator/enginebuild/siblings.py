"""Siblings: the other resources of the namespace that matter to one EngineBuild; pure.

Only raw values are compared until one is known to matter: a namespace may hold hundreds.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping

from trtllm_api.digest import digest_of
from trtllm_api.enginestatus import EngineArtifact, EngineBuildStatus
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import SourceStatus
from trtllm_operator.enginebuild.observed import BuiltBy, FetchedBy, Sibling
from trtllm_operator.enginebuild.stage import Stage
from trtllm_operator.kube.objects import Object, creation_order, dig, name_of, uid_of
from trtllm_operator.shared.parse import parse_status
from trtllm_operator.shared.siblings import others, source_part, works

_HAS_ITS_ENGINE = frozenset({Stage.BUILT, Stage.ROLLING_OUT, Stage.SERVING, Stage.SCALED_TO_ZERO})
_BUILD_PARTS = ("modelRef", "runtime", "image", "imageVersion", "gpu", "parallelism", "limits", "convert", "build")


class Engines(Mapping[str, BuiltBy]):
    """Engines that other EngineBuilds have built, by request digest; one is parsed when it is looked up."""

    def __init__(self, resource: Object, holders: Mapping[Hashable, tuple[Object, ...]]) -> None:
        self._resource = resource
        self._holders = holders

    def __getitem__(self, digest: str) -> BuiltBy:
        """The engine. Raises KeyError where no other resource has it."""
        for other in others(self._resource, self._holders.get(digest, ())):
            engine: EngineArtifact | None = parse_status(EngineBuildStatus, other.get("status")).engine
            if engine is not None and engine.request_digest == digest:
                return BuiltBy(name_of(other), engine)
        raise KeyError(digest)

    def __iter__(self) -> Iterator[str]:
        """All request digests."""
        return iter(str(digest) for digest in self._holders)

    def __len__(self) -> int:
        """The number of request digests."""
        return len(self._holders)


def leaders(resource: Object, same_source: Iterable[Object], same_build: Iterable[Object]) -> tuple[Sibling, ...]:
    """Older resources that are at work on the same source or engine."""
    me = creation_order(resource)
    of_source = {name_of(other): other for other in others(resource, same_source)}
    of_build = {name_of(other): other for other in others(resource, same_build)}
    found = sorted({**of_source, **of_build}.values(), key=creation_order)
    return tuple(
        Sibling(
            name=name_of(other),
            same_source=name_of(other) in of_source,
            same_build=name_of(other) in of_build,
            building=dig(other, "status", "stage") not in _HAS_ITS_ENGINE,
        )
        for other in found
        if creation_order(other) < me and works(other)
    )


def fetched_by(
    resource: Object, digest: str | None, sources: Iterable[Mapping[Hashable, tuple[Object, ...]]]
) -> FetchedBy | None:
    """The source of that request digest, as another resource has fetched it."""
    for holders in sources:
        for other in holders.get(digest, ()):
            if uid_of(other) == uid_of(resource):
                continue
            source, facts = dig(other, "status", "source"), dig(other, "status", "modelFacts")
            if source and facts:
                what = f"{other.get('kind')} {name_of(other)}"
                return FetchedBy(what, SourceStatus.model_validate(source), ModelFacts.model_validate(facts))
    return None


def build_part(resource: Object) -> str:
    """Digest of everything that decides about the engine, as it is written."""
    spec = resource.get("spec") or {}
    return digest_of([source_part(resource), *(spec.get(part) for part in _BUILD_PARTS)])
