"""Which artifact should be served: the model's, or the last good one when the model is gone; called by .state."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.enginebuild import EngineBuildSpec, ServedArtifact
from trtllm_operator.children.objects import Manifest, Object, dig
from trtllm_operator.children.server import BYTES_ANNOTATION, DIGEST_ANNOTATION, ServerPlan, deployment, service
from trtllm_operator.enginebuild.observed import Observed


@dataclass(frozen=True)
class Target:
    """What the cluster should hold."""

    artifact: ServedArtifact
    deployment: Manifest
    service: Manifest


def target(observed: Observed, spec: EngineBuildSpec) -> Target | None:
    """None while there is nothing to serve."""
    found = _artifact(observed)
    if found is None:
        return None
    artifact, size = found
    plan = ServerPlan(observed.owner, spec, artifact, size, observed.settings)
    return Target(artifact, deployment(plan), service(observed.owner, spec))


def _artifact(observed: Observed) -> tuple[ServedArtifact, int] | None:
    made = observed.model.status.artifact if observed.model else None
    if made is not None:
        artifact = ServedArtifact(digest=made.digest, claim_name=made.claim_name, path=made.path, method=made.method)
        return artifact, made.bytes
    size = dig(observed.deployment, "metadata", "annotations", BYTES_ANNOTATION)
    if observed.status.artifact is not None and size is not None:
        return observed.status.artifact, int(size)
    return None


def is_applied(desired: Manifest, found: Object | None) -> bool:
    """The object in the cluster was made from this manifest, and nobody has scaled it since."""
    digest = ("metadata", "annotations", DIGEST_ANNOTATION)
    scale = ("spec", "replicas")
    return all(dig(desired, *path) == dig(found, *path) for path in (digest, scale))
