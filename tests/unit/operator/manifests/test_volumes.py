"""Volumes of podTemplate that cannot be: one table, keyed by sentences; each is told in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from support.engine_samples import user
from trtllm_api.meta import PodTemplate
from trtllm_operator.manifests.pod import volume_conflicts


def volumes(*names: str, mounts: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    return {
        "volumes": [{"name": name, "emptyDir": {}} for name in names],
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts],
    }


OWN = "which is a name of the operator's own (tmp, shm, app, claim-*, file-*): give it another name"
CONFLICTS: dict[str, tuple[dict[str, Any], str]] = {
    "tmp is the operator's": (volumes("tmp"), f"podTemplate.volumes names a volume tmp, {OWN}"),
    "shm is the operator's": (volumes("ok", "shm"), f"podTemplate.volumes names a volume shm, {OWN}"),
    "app is the operator's": (volumes("app"), f"podTemplate.volumes names a volume app, {OWN}"),
    "claims are numbered": (volumes("claim-0"), f"podTemplate.volumes names a volume claim-0, {OWN}"),
    "files are numbered": (volumes("file-12"), f"podTemplate.volumes names a volume file-12, {OWN}"),
    "a volume needs a name": (
        {"volumes": [{"emptyDir": {}}]},
        "podTemplate.volumes has a volume without a name: give it one",
    ),
    "two volumes of one name": (
        volumes("a", "a"),
        "podTemplate.volumes names the volume a twice: give each a name of its own",
    ),
    "a mount of no volume": (
        volumes("a", "b", mounts=(("c", "/c"),)),
        "podTemplate.volumeMounts mounts c, which is not among podTemplate.volumes (a, b): add the volume",
    ),
    "a mount of the operator's volume": (
        volumes(mounts=(("tmp", "/mine"),)),
        "podTemplate.volumeMounts mounts tmp, which is not among podTemplate.volumes (there are none): add the volume",
    ),
    "a mount over the store": (
        volumes("a", mounts=(("a", "/store/"),)),
        "podTemplate.volumeMounts mounts a at /store, where the operator mounts its own: use another path",
    ),
    "two mounts at one path": (
        volumes("a", "b", mounts=(("a", "/x"), ("b", "/x"))),
        "podTemplate.volumeMounts mounts two volumes at /x: use a path for each",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_a_conflict_is_told(case: str) -> None:
    template, sentence = CONFLICTS[case]
    assert volume_conflicts(user(**template)) == sentence


@pytest.mark.parametrize(
    "template",
    [
        PodTemplate(),
        user(**volumes("application", "tmp2", "claims", mounts=(("claims", "/data"), ("claims", "/more")))),
    ],
)
def test_other_names_and_paths_are_the_users(template: PodTemplate) -> None:
    assert volume_conflicts(template) == ""
