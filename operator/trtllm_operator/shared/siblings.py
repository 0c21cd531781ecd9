"""Siblings: other resources of the namespace that share work with one of them; the parts that both kinds use alike.

The cache keeps an index for each of these values, so that a pass does not look at every resource of a namespace.
"""

from __future__ import annotations

from collections.abc import Iterable

from trtllm_api.digest import digest_of
from trtllm_api.source import Storage
from trtllm_operator.kube.objects import Object, creation_order, dig, is_deleting, is_true, name_of
from trtllm_operator.shared.parse import generation_of

SOURCE, SOURCE_DIGEST, ARTIFACT, BUILD, ENGINE, MODEL = "source", "sourceDigest", "artifact", "build", "engine", "model"
"""Names of the cache's indexes."""
_DEFAULT_CLAIM = Storage().claim_name


def source_part(resource: Object) -> str | None:
    """Digest of what two resources with the same spec.source write alike; None without a source."""
    spec = resource.get("spec") or {}
    if not spec.get("source"):
        return None
    claim = dig(spec, "storage", "claimName") or _DEFAULT_CLAIM
    return digest_of([spec.get("source"), bool(spec.get("trustRemoteCode")), claim])


def source_digest(resource: Object) -> str | None:
    """Identity of the source that the resource has fetched."""
    found = dig(resource, "status", "source", "requestDigest")
    return str(found) if found and dig(resource, "status", "modelFacts") else None


def works(resource: Object) -> bool:
    """The resource is neither suspended, nor failed at its present spec, nor being deleted."""
    if is_deleting(resource) or dig(resource, "spec", "suspend"):
        return False
    current = dig(resource, "status", "observedGeneration") == generation_of(resource)
    return not (current and is_true(resource, "Stalled"))


def others(resource: Object, found: Iterable[Object]) -> list[Object]:
    """The objects without the resource itself, the oldest first."""
    return sorted((other for other in found if name_of(other) != name_of(resource)), key=creation_order)
