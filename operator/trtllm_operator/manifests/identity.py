"""Names, labels and ownership of children: the same for every kind of child, so that selectors and lists just work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trtllm_api import API_VERSION, GROUP
from trtllm_api.digest import digest_of, short
from trtllm_api.meta import PodTemplate
from trtllm_operator.kube.objects import Manifest, Object, dig

MANAGER = "trtllm-operator"
KIND_LABEL = f"{GROUP}/resource-kind"
RESOURCE_LABEL = f"{GROUP}/resource"
STAGE_LABEL = f"{GROUP}/stage"
SERVER_LABEL = f"{GROUP}/server"
"""Label of the pods that answer clients: all of a Deployment, the leaders of a LeaderWorkerSet."""
KUEUE_LABELS = ("kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class")
"""Labels of podTemplate.labels that Kueue reads on the Job, Deployment or LeaderWorkerSet itself."""
RETRY_ANNOTATION = f"{GROUP}/retry"
"""Set by users on a resource: a new value makes new Jobs."""


class ChildStage(StrEnum):
    """The purpose of a child: the value of its stage label and part of its name."""

    FETCH = "fetch"
    QUANTIZE = "quantize"
    CONVERT = "convert"
    BUILD = "build"
    PUBLISH = "publish"
    SERVE = "serve"
    STORE = "store"


@dataclass(frozen=True)
class Owner:
    """The custom resource that a child belongs to."""

    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, kind: str, resource: Object) -> Owner:
        """The owner that a custom resource is, as the API server sends it."""
        meta = dig(resource, "metadata") or {}
        return cls(kind, str(meta.get("namespace", "")), str(meta.get("name", "")), str(meta.get("uid", "")))

    def reference(self) -> dict[str, Any]:
        """The controller ownerReference that garbage-collects children with their resource."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def child_name(owner: Owner, stage: ChildStage, depends_on: Any) -> str:
    """`<resource>-<stage>-<10 hex digits>` of everything (JSON) that the child depends on."""
    return f"{owner.name}-{stage}-{short(digest_of(depends_on))}"


def selector(owner: Owner, stage: ChildStage) -> dict[str, str]:
    """The labels that pick the pods of one stage of one resource."""
    return {KIND_LABEL: owner.kind, RESOURCE_LABEL: owner.name, STAGE_LABEL: str(stage)}


def server_labels(owner: Owner) -> dict[str, str]:
    """All labels of a pod that answers clients."""
    return {**labels(owner, ChildStage.SERVE), SERVER_LABEL: "true"}


def server_selector(owner: Owner) -> dict[str, str]:
    """The labels that pick the pods that answer clients, whatever runs them."""
    return {**selector(owner, ChildStage.SERVE), SERVER_LABEL: "true"}


def labels(owner: Owner, stage: ChildStage) -> dict[str, str]:
    """All labels of a child."""
    program = "trtllm-server" if stage is ChildStage.SERVE else "trtllm-builder"
    return {
        "app.kubernetes.io/name": program,
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/component": str(stage),
        **selector(owner, stage),
    }


def metadata(owner: Owner, stage: ChildStage, name: str, user: PodTemplate | None = None) -> Manifest:
    """Metadata of an owned child; with the queue that the user's podTemplate names, where the child makes pods."""
    wanted = (user.labels or {}) if user else {}
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": {**{key: wanted[key] for key in KUEUE_LABELS if key in wanted}, **labels(owner, stage)},
        "ownerReferences": [owner.reference()],
    }
