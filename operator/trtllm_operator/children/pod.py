"""The pod template that builder Jobs and servers share: restricted Pod Security, writable /tmp, the user's podTemplate.

Called by children.job and children.server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trtllm_api.base import Device
from trtllm_api.contract import STORE_PATH
from trtllm_api.meta import PodTemplate
from trtllm_operator.children.objects import Manifest
from trtllm_operator.children.resources import Resources
from trtllm_operator.children.settings import BuilderSettings

USER_ID = 65532
SCRATCH = "/tmp"  # noqa: S108 - an emptyDir of the pod's own
_CACHES = {
    "HOME": SCRATCH,
    "XDG_CACHE_HOME": f"{SCRATCH}/cache",
    "HF_HOME": f"{SCRATCH}/huggingface",
    "TRITON_CACHE_DIR": f"{SCRATCH}/triton",
    "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/torchinductor",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class ClaimMount:
    """A PersistentVolumeClaim at a path of the container."""

    claim: str
    path: str
    read_only: bool = True


@dataclass(frozen=True)
class ConfigMapMount:
    """One key of a ConfigMap as a file `<path>/<key>`."""

    config_map: str
    key: str
    path: str


@dataclass(frozen=True)
class SecretEnv:
    """An environment variable from a Secret's key."""

    name: str
    secret: str
    key: str


@dataclass(frozen=True)
class PodPlan:
    """What one pod of a stage needs, before the user's podTemplate is merged over it."""

    container: str
    args: tuple[str, ...]
    device: Device | None
    """None: the stage computes nothing, whatever the resource's device is."""
    resources: Resources
    claims: tuple[ClaimMount, ...]
    config_maps: tuple[ConfigMapMount, ...] = ()
    secret_env: tuple[SecretEnv, ...] = ()
    env_from_secrets: tuple[str, ...] = ()
    container_extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the container: ports, probes."""


def pod_template(
    plan: PodPlan, settings: BuilderSettings, user: PodTemplate, labels: Mapping[str, str], restart_policy: str
) -> Manifest:
    """A PodTemplateSpec. The operator's labels win over the user's: selectors depend on them."""
    volumes, mounts = _volumes(plan)
    container: Manifest = {
        "name": plan.container,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["python", "-m", "trtllm_builder"],
        "args": list(plan.args),
        "env": _env(plan, settings, user),
        # what a user sets for a model on a GPU is no need of a stage that only downloads
        "resources": plan.resources.merged(user.resources if plan.device else None).to_wire(),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        **plan.container_extra,
    }
    if plan.env_from_secrets:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in plan.env_from_secrets]
    spec: Manifest = {
        "restartPolicy": restart_policy,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            # a store of terabytes must not be walked by chown at every start
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
        **_scheduling(user, settings),
    }
    meta: Manifest = {"labels": {**(user.labels or {}), **labels}}
    if user.annotations:
        meta["annotations"] = dict(user.annotations)
    return {"metadata": meta, "spec": spec}


def _volumes(plan: PodPlan) -> tuple[list[Manifest], list[Manifest]]:
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": SCRATCH}]
    # one volume per claim, however often it is mounted: a claim twice in one pod needs twice the attachments
    claims = {claim: f"claim-{i}" for i, claim in enumerate(dict.fromkeys(m.claim for m in plan.claims))}
    volumes += [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in claims.items()]
    for mount in plan.claims:
        entry: Manifest = {"name": claims[mount.claim], "mountPath": mount.path}
        if mount.read_only:
            entry["readOnly"] = True
        mounts.append(entry)
    for i, file in enumerate(plan.config_maps):
        source = {"name": file.config_map, "items": [{"key": file.key, "path": file.key}]}
        volumes.append({"name": f"file-{i}", "configMap": source})
        mounts.append({"name": f"file-{i}", "mountPath": file.path, "readOnly": True})
    if plan.device is Device.GPU:
        # NCCL and data loaders need more than the 64 MiB that container runtimes give /dev/shm
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - the pod's own
    return volumes, mounts


def _env(plan: PodPlan, settings: BuilderSettings, user: PodTemplate) -> list[Manifest]:
    values = dict(_CACHES) | dict(settings.env) | {variable.name: variable.value for variable in user.env or ()}
    if plan.device is Device.CPU:
        # a CPU stage must not touch a GPU that the runtime class happens to expose
        values.setdefault("CUDA_VISIBLE_DEVICES", "")
    secrets = [
        {"name": s.name, "valueFrom": {"secretKeyRef": {"name": s.secret, "key": s.key}}} for s in plan.secret_env
    ]
    taken = {s.name for s in plan.secret_env}
    return [{"name": name, "value": value} for name, value in values.items() if name not in taken] + secrets


def _scheduling(user: PodTemplate, settings: BuilderSettings) -> Manifest:
    wire = user.to_wire()
    kept = ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "serviceAccountName")
    fields: Manifest = {key: wire[key] for key in kept if wire.get(key)}
    pull = [{"name": name} for name in dict.fromkeys((*settings.pull_secrets, *_names(user)))]
    if pull:
        fields["imagePullSecrets"] = pull
    return fields


def _names(user: PodTemplate) -> tuple[str, ...]:
    return tuple(secret.name for secret in user.image_pull_secrets or ())


def store_mount(claim: str, *, read_only: bool) -> ClaimMount:
    """The claim of spec.storage at its place."""
    return ClaimMount(claim, STORE_PATH, read_only)
