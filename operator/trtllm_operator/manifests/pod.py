"""The pod template that builder Jobs and servers share: restricted Pod Security, writable /tmp, the user's podTemplate.

Called by children.job, children.server and children.engineserver. In NVIDIA's image the builder's code is a copy that
an init container of the builder's image makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trtllm_api.base import Device
from trtllm_api.contract import APP_PATH
from trtllm_api.meta import PodTemplate
from trtllm_operator.kube.objects import Manifest
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.placement import Apart, GpuBinding, affinity
from trtllm_operator.manifests.resources import GPU_RESOURCE, Resources, shared_memory_for
from trtllm_operator.manifests.volumes import (
    APP_VOLUME,
    SCRATCH,
    AnnotationMount,
    ClaimMount,
    ConfigMapMount,
    store_mount,
    volume_conflicts,
    volumes_and_mounts,
)

__all__ = [
    "SCRATCH",
    "AnnotationMount",
    "Apart",
    "ClaimMount",
    "ConfigMapMount",
    "DesiredPod",
    "GpuBinding",
    "SecretEnv",
    "pod_template",
    "store_mount",
    "volume_conflicts",
]

USER_ID = 65532
APP_CONTAINER = "app"
_COPY_PATH = "/copy"
_CACHES = {
    "HOME": SCRATCH,
    "XDG_CACHE_HOME": f"{SCRATCH}/cache",
    "HF_HOME": f"{SCRATCH}/huggingface",
    "TRITON_CACHE_DIR": f"{SCRATCH}/triton",
    "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/torchinductor",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
_RESTRICTED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


@dataclass(frozen=True)
class SecretEnv:
    """An environment variable from a Secret's key."""

    name: str
    secret: str
    key: str


@dataclass(frozen=True)
class DesiredPod:
    """A pod of a stage, before the user's podTemplate is merged over it."""

    container: str
    args: tuple[str, ...]
    device: Device | None
    """None: the stage computes nothing, whatever the resource's device is."""
    resources: Resources
    claims: tuple[ClaimMount, ...]
    files: tuple[ConfigMapMount | AnnotationMount, ...] = ()
    secret_env: tuple[SecretEnv, ...] = ()
    env_from_secrets: tuple[str, ...] = ()
    container_extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the container: ports, probes."""
    image: str | None = None
    """NVIDIA's; None: the builder's."""
    gpu: GpuBinding | None = None
    """None: any node that has the resources."""
    gpus: int | None = None
    """GPUs of the container; None: those that resources ask for."""
    shared_memory: str | None = None
    """Size of the memory-backed /dev/shm of a stage on GPUs, which resources pay for; None: planned from gpus."""
    apart: Apart | None = None
    """The pods that must not share its node."""


def pod_template(
    plan: DesiredPod, settings: BuilderSettings, user: PodTemplate, labels: Mapping[str, str], restart_policy: str
) -> Manifest:
    """A PodTemplateSpec. The operator's labels win over the user's: selectors depend on them."""
    foreign = plan.image is not None
    shared = (plan.shared_memory or shared_memory_for(plan.gpus or 1)) if plan.device is Device.GPU else None
    volumes, mounts = volumes_and_mounts(plan.claims, plan.files, shared, user, app=foreign)
    container: Manifest = {
        "name": plan.container,
        "image": plan.image or settings.image,
        "imagePullPolicy": "IfNotPresent" if foreign else settings.pull_policy,
        "command": ["python3" if foreign else "python", "-m", "trtllm_builder"],
        "args": list(plan.args),
        "env": _env(plan, settings, user),
        "resources": _resources(plan, user),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": dict(_RESTRICTED),
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
        **({"initContainers": [_copy_of_app(settings)]} if foreign else {}),
        "containers": [container],
        "volumes": volumes,
        **_scheduling(plan, user, settings),
    }
    meta: Manifest = {"labels": {**(user.labels or {}), **labels}}
    if user.annotations:
        meta["annotations"] = dict(user.annotations)
    return {"metadata": meta, "spec": spec}


def _copy_of_app(settings: BuilderSettings) -> Manifest:
    """NVIDIA's image lacks the builder's code: the builder's image gives it."""
    return {
        "name": APP_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["cp", "-R", f"{APP_PATH}/.", _COPY_PATH],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": APP_VOLUME, "mountPath": _COPY_PATH}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": dict(_RESTRICTED),
    }


def _claims(plan: DesiredPod, user: PodTemplate) -> list[Manifest]:
    """Resource claims are for the stages that use a device."""
    return [claim.to_wire() for claim in user.resource_claims or ()] if plan.device is Device.GPU else []


def _resources(plan: DesiredPod, user: PodTemplate) -> Manifest:
    planned = plan.resources if plan.gpus is None else plan.resources.with_gpus(plan.gpus)
    claims = _claims(plan, user)
    if claims:
        # the claim gives the GPUs: asked for in both ways they would be counted twice
        planned = planned.without(GPU_RESOURCE)
    # what a user sets for a model on a GPU is no need of a stage that only downloads
    wire: Manifest = dict(planned.merged(user.resources if plan.device else None).to_wire())
    if claims:
        wire["claims"] = [{"name": claim["name"]} for claim in claims]
    return wire


def _env(plan: DesiredPod, settings: BuilderSettings, user: PodTemplate) -> list[Manifest]:
    values: dict[str, Manifest] = {name: {"value": value} for name, value in {**_CACHES, **dict(settings.env)}.items()}
    if plan.image is not None:
        # no /etc/passwd names the user: getpass asks the environment first
        values["USER"] = {"value": "trtllm"}
    for variable in user.env or ():
        source = variable.value_from
        values[variable.name] = {"value": variable.value or ""} if source is None else {"valueFrom": source.to_wire()}
    if plan.image is not None:
        theirs = values.get("PYTHONPATH", {}).get("value")
        values["PYTHONPATH"] = {"value": f"{APP_PATH}:{theirs}" if theirs else APP_PATH}
    if plan.device is Device.CPU:
        # a CPU stage must not touch a GPU that the runtime class happens to expose
        values.setdefault("CUDA_VISIBLE_DEVICES", {"value": ""})
    for secret in plan.secret_env:
        values.pop(secret.name, None)
        values[secret.name] = {"valueFrom": {"secretKeyRef": {"name": secret.secret, "key": secret.key}}}
    return [{"name": name, **value} for name, value in values.items()]


def _scheduling(plan: DesiredPod, user: PodTemplate, settings: BuilderSettings) -> Manifest:
    wire = user.to_wire()
    kept = ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "serviceAccountName")
    fields: Manifest = {key: wire[key] for key in kept if wire.get(key)}
    where = affinity(plan.gpu, plan.apart, user.affinity)
    if where:
        fields["affinity"] = where
    claims = _claims(plan, user)
    if claims:
        fields["resourceClaims"] = claims
    pull = [{"name": name} for name in dict.fromkeys((*settings.pull_secrets, *_names(user)))]
    if pull:
        fields["imagePullSecrets"] = pull
    return fields


def _names(user: PodTemplate) -> tuple[str, ...]:
    return tuple(secret.name for secret in user.image_pull_secrets or ())
