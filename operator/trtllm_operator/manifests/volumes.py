"""Volumes and mounts of a pod: the operator's own, then those of the user's podTemplate; pure.

`volume_conflicts` is asked before anything is made: Kubernetes refuses a pod with two volumes of one name only when its
Job exists already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from trtllm_api.contract import (
    APP_PATH,
    CALIBRATION_PATH,
    EVALUATION_PATH,
    LAUNCH_PATH,
    REQUEST_PATH,
    SOURCE_PATH,
    STORE_PATH,
    TERMINATION_PATH,
)
from trtllm_api.meta import PodTemplate
from trtllm_operator.kube.objects import Manifest

SCRATCH = "/tmp"  # noqa: S108 - an emptyDir of the pod's own
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - the pod's own
APP_VOLUME = "app"
PASSWD_PATH = "/etc/passwd"
_OWN_NAME = re.compile(r"tmp|shm|app|claim-.*|file-.*")
_OWN_PATHS = frozenset(
    {
        SCRATCH, SHARED_MEMORY_PATH, STORE_PATH, SOURCE_PATH, CALIBRATION_PATH, EVALUATION_PATH, APP_PATH,
        REQUEST_PATH.rpartition("/")[0], LAUNCH_PATH.rpartition("/")[0], TERMINATION_PATH,
        PASSWD_PATH,
    }
)  # fmt: skip


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
class AnnotationMount:
    """An annotation of the pod itself as a file: it changes, and is rolled back, with the template that has it."""

    annotation: str
    path: str


def store_mount(claim: str, *, read_only: bool) -> ClaimMount:
    """The claim of spec.storage at its place."""
    return ClaimMount(claim, STORE_PATH, read_only)


def volumes_and_mounts(
    claims: tuple[ClaimMount, ...],
    files: tuple[ConfigMapMount | AnnotationMount, ...],
    shared_memory: str | None,
    user: PodTemplate,
    *,
    app: bool,
) -> tuple[list[Manifest], list[Manifest]]:
    """Volumes of the pod and mounts of its container; `app` mounts a copy of the code."""
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": SCRATCH}]
    # one volume per claim, however often it is mounted: a claim twice in one pod needs twice the attachments
    names = {claim: f"claim-{i}" for i, claim in enumerate(dict.fromkeys(m.claim for m in claims))}
    volumes += [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in names.items()]
    for mount in dict.fromkeys(claims):
        entry: Manifest = {"name": names[mount.claim], "mountPath": mount.path}
        if mount.read_only:
            entry["readOnly"] = True
        mounts.append(entry)
    for i, file in enumerate(files):
        source, where = _file(file)
        volumes.append({"name": f"file-{i}", **source})
        mounts.append({"name": f"file-{i}", "mountPath": where, "readOnly": True})
    if shared_memory is not None:
        # NCCL and data loaders need more than the 64 MiB that container runtimes give /dev/shm
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}})
        mounts.append({"name": "shm", "mountPath": SHARED_MEMORY_PATH})
    if app:
        volumes.append({"name": APP_VOLUME, "emptyDir": {}})
        mounts.append({"name": APP_VOLUME, "mountPath": APP_PATH, "readOnly": True})
        # their image does not know the user, and MPI does not start for one without a name
        mounts.append({"name": APP_VOLUME, "mountPath": PASSWD_PATH, "subPath": "passwd", "readOnly": True})
    volumes += [dict(volume) for volume in user.volumes or ()]
    mounts += [mount.to_wire() for mount in user.volume_mounts or ()]
    return volumes, mounts


def _file(file: ConfigMapMount | AnnotationMount) -> tuple[Manifest, str]:
    """The volume's source, and the directory that it is mounted as."""
    if isinstance(file, ConfigMapMount):
        items = [{"key": file.key, "path": file.key}]
        return {"configMap": {"name": file.config_map, "items": items}}, file.path
    path = PurePosixPath(file.path)
    field = {"fieldPath": f"metadata.annotations['{file.annotation}']"}
    return {"downwardAPI": {"items": [{"path": path.name, "fieldRef": field}]}}, str(path.parent)


def volume_conflicts(template: PodTemplate) -> str:
    """One sentence about a volume or mount of the user's that cannot be; empty when all is well."""
    seen: set[str] = set()
    for volume in template.volumes or ():
        name = str(volume.get("name") or "")
        if not name:
            return "podTemplate.volumes has a volume without a name: give it one"
        if _OWN_NAME.fullmatch(name):
            return (
                f"podTemplate.volumes names a volume {name}, which is a name of the operator's own "
                "(tmp, shm, app, claim-*, file-*): give it another name"
            )
        if name in seen:
            return f"podTemplate.volumes names the volume {name} twice: give each a name of its own"
        seen.add(name)
    paths: set[str] = set()
    for mount in template.volume_mounts or ():
        path = mount.mount_path.rstrip("/") or "/"
        if mount.name not in seen:
            return (
                f"podTemplate.volumeMounts mounts {mount.name}, which is not among podTemplate.volumes "
                f"({', '.join(sorted(seen)) or 'there are none'}): add the volume"
            )
        if path in _OWN_PATHS:
            return (
                f"podTemplate.volumeMounts mounts {mount.name} at {path}, where the operator mounts its own: "
                "use another path"
            )
        if path in paths:
            return f"podTemplate.volumeMounts mounts two volumes at {path}: use a path for each"
        paths.add(path)
    return ""
