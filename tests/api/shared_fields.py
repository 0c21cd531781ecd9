"""Types of values that both resources use, and the fields of the pod template that both have."""

from __future__ import annotations

from typing import Any

from control_plane import Spec
from schema_cases import Field, Values, choice, entries, items, number, text

METHODS = (
    "FP8",
    "FP8PerChannelPerToken",
    "NVFP4",
    "INT8SmoothQuant",
    "INT8WeightOnly",
    "INT4WeightOnly",
    "INT4AWQ",
    "W4A8AWQ",
    "Auto",
    "None",
)
OBJECT_NAME = text(
    253,
    shortest=1,
    pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    wrong={"with a capital letter": "Store", "with a dash at its end": "store-", "with a slash": "a/b"},
    right={"with a dot and a dash": "store-1.example"},
)
SECRET_KEY = text(
    253,
    shortest=1,
    pattern="^[-._a-zA-Z0-9]+$",
    wrong={"with a space": "my token", "with a slash": "a/b"},
    right={"like an environment variable": "HF_TOKEN", "like a file": "train.jsonl"},
)
SHORT_TEXT = text(256)
QUANTITY = text(
    32,
    pattern="^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    wrong={"below zero": "-1", "of an unknown unit": "5GB", "without a digit": "", "in words": "much"},
    right={"with a binary unit": "1.5Gi", "in thousandths": "500m", "without a unit": "8"},
    fill=lambda length: "1" * length,
)

POD_TEMPLATE: dict[str, Any] = {
    "labels": {"example": "yes"},
    "annotations": {"example": "yes"},
    "nodeSelector": {"example": "yes"},
    "tolerations": [
        {
            "key": "nvidia.com/gpu",
            "operator": "Equal",
            "value": "yes",
            "effect": "NoExecute",
            "tolerationSeconds": 60,
        }
    ],
    "resources": {"requests": {"example": "1"}, "limits": {"example": "1"}},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "priorityClassName": "low",
    "runtimeClassName": "nvidia",
    "serviceAccountName": "builder",
    "imagePullSecrets": [{"name": "registry"}],
}

_POD_FIELDS: dict[str, tuple[str, Values]] = {
    "labels": ("the map of pod labels", entries(64, "yes")),
    "labels{}": ("a pod label's value", SHORT_TEXT),
    "annotations": ("the map of pod annotations", entries(64, "yes")),
    "annotations{}": ("a pod annotation's value", SHORT_TEXT),
    "nodeSelector": ("a node selector", entries(64, "yes")),
    "nodeSelector{}": ("a node selector's value", SHORT_TEXT),
    "tolerations": ("a list of tolerations", items(16, {"operator": "Exists"})),
    "tolerations[].key": ("a toleration's key", SHORT_TEXT),
    "tolerations[].operator": ("a toleration's operator", choice("Exists", "Equal")),
    "tolerations[].value": ("a toleration's value", SHORT_TEXT),
    "tolerations[].effect": ("a toleration's effect", choice("NoSchedule", "PreferNoSchedule", "NoExecute")),
    "tolerations[].tolerationSeconds": ("a toleration's number of seconds", number(0)),
    "resources.requests": ("a map of resource requests", entries(16, "1")),
    "resources.requests{}": ("a resource request", QUANTITY),
    "resources.limits": ("a map of resource limits", entries(16, "1")),
    "resources.limits{}": ("a resource limit", QUANTITY),
    "env": ("a list of environment variables", items(64, {"name": "A", "value": "b"})),
    "env[].name": (
        "an environment variable's name",
        text(
            128,
            shortest=1,
            pattern="^[A-Za-z_][A-Za-z0-9_]*$",
            wrong={"with a dash": "HTTPS-PROXY", "that begins with a digit": "1ST"},
            right={"that begins with an underscore": "_A1"},
        ),
    ),
    "env[].value": ("an environment variable's value", text(4096)),
    "priorityClassName": ("a priority class name", OBJECT_NAME),
    "runtimeClassName": ("a runtime class name", OBJECT_NAME),
    "serviceAccountName": ("a service account name", OBJECT_NAME),
    "imagePullSecrets": ("a list of image pull Secrets", items(8, {"name": "registry"})),
    "imagePullSecrets[].name": ("an image pull Secret's name", OBJECT_NAME),
}
_POD_REQUIRED = {
    "env[].name": "an environment variable's name",
    "imagePullSecrets[].name": "an image pull Secret's name",
}


def pod_fields(path: str, spec: Spec) -> list[Field]:
    """The bounded fields of the pod template at a path of an accepted spec."""
    return [Field(f"{path}.{below}", name, values, spec) for below, (name, values) in _POD_FIELDS.items()]


def pod_required(path: str, spec: Spec) -> dict[str, tuple[str, Spec]]:
    """The required fields of the pod template."""
    return {f"{path}.{below}": (name, spec) for below, name in _POD_REQUIRED.items()}
