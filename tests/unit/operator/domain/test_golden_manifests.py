"""What reaches the API server, byte for byte, and the promises that hold for every pod."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.golden_manifests import GOLDEN, WORLDS, manifests

FILES = sorted(path.relative_to(GOLDEN) for path in GOLDEN.glob("*/*.yaml"))
PODS = [path for path in FILES if path.name.startswith(("job-", "deployment-"))]


@pytest.mark.parametrize("name", WORLDS)
def test_manifests_are_those_in_golden(name: str) -> None:
    made = manifests(WORLDS[name]())
    assert sorted(made) == sorted(path.name for path in FILES if path.parent.name == name)
    for file, text in made.items():
        assert text == (GOLDEN / name / file).read_text(), f"{name}/{file} differs: run make generate, read the diff"


def pod_of(path: Any) -> dict[str, Any]:
    pod: dict[str, Any] = yaml.safe_load((GOLDEN / path).read_text())["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("path", PODS, ids=str)
def test_every_pod_keeps_to_restricted_pod_security(path: Any) -> None:
    pod = pod_of(path)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("path", PODS, ids=str)
def test_every_cache_lies_on_a_writable_mount(path: Any) -> None:
    (container,) = pod_of(path)["containers"]
    env = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    for name in ("HOME", "HF_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        assert env[name].split("/")[1] == "tmp"
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108 - an emptyDir


@pytest.mark.parametrize("path", [path for path in PODS if path.parent.name == "everything"], ids=str)
def test_a_users_labels_never_replace_the_operators(path: Any) -> None:
    labels = yaml.safe_load((GOLDEN / path).read_text())["spec"]["template"]["metadata"]["labels"]
    assert labels["trtllm.dev/resource"] == "smollm2"
    assert labels["kueue.x-k8s.io/queue-name"] == "gpus"


def test_only_stages_that_compute_ask_for_gpus_and_shared_memory() -> None:
    found = {}
    for path in PODS:
        if path.parent.name == "everything":
            pod = pod_of(path)
            limits = pod["containers"][0]["resources"]["limits"]
            shared = any(
                volume.get("emptyDir") == {"medium": "Memory", "sizeLimit": "1Gi"} for volume in pod["volumes"]
            )
            found[path.name.split("-")[2].removesuffix(".yaml")] = (limits.get("nvidia.com/gpu"), shared)
    assert found == {"fetch": (None, False), "quantize": ("2", True), "serve": ("2", True)}
