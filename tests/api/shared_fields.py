"""The source, the storage and the pod template, which both resources have."""

from __future__ import annotations

from typing import Any

from control_plane import Spec
from schema_cases import Field, Rejection, Values, broken_rule, choice, entries, items, number, put, text
from shared_values import HUB_REPO, OBJECT_NAME, QUANTITY, RELATIVE_PATH, REVISION, SECRET_KEY, SHORT_TEXT, URI

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
    "affinity": {"nodeAffinity": {}},
    "volumes": [{"name": "data", "emptyDir": {}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "a", "readOnly": True}],
    "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpus"}],
    "imagePullSecrets": [{"name": "registry"}],
}
SOURCE_RULE = "source takes exactly one of huggingFace, persistentVolumeClaim, uri"
_ON_CLAIM = {"persistentVolumeClaim": {"claimName": "models", "path": "llama/base"}}
_AT_URI = {"uri": {"uri": "s3://bucket/model", "secretRef": {"name": "s3"}}}

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
    "tolerations[].tolerationSeconds": ("a toleration's number of seconds", number(0, 2**53 - 1)),
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
    "affinity": ("an affinity", entries(32, "yes")),
    "volumes": ("a list of volumes", items(32, {"name": "data", "emptyDir": {}})),
    "volumes[]": ("a volume", entries(32, "yes")),
    "volumeMounts": ("a list of volume mounts", items(32, {"name": "data", "mountPath": "/data"})),
    "volumeMounts[].name": ("a volume mount's name", OBJECT_NAME),
    "volumeMounts[].mountPath": ("a volume mount's path", text(1024, shortest=1)),
    "volumeMounts[].subPath": ("a volume mount's path in the volume", text(1024)),
    "resourceClaims": ("a list of resource claims", items(8, {"name": "gpu", "resourceClaimName": "gpus"})),
    "resourceClaims[].name": ("a resource claim's name", OBJECT_NAME),
    "resourceClaims[].resourceClaimName": ("the name of a resource claim's object", OBJECT_NAME),
    "imagePullSecrets": ("a list of image pull Secrets", items(8, {"name": "registry"})),
    "imagePullSecrets[].name": ("an image pull Secret's name", OBJECT_NAME),
}
_POD_REQUIRED = {
    "env[].name": "an environment variable's name",
    "volumeMounts[].name": "a volume mount's name",
    "volumeMounts[].mountPath": "a volume mount's path",
    "resourceClaims[].name": "a resource claim's name",
    "imagePullSecrets[].name": "an image pull Secret's name",
}


_KEYS = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}
"""Where the value of an environment variable may come from."""


def pod_fields(path: str, spec: Spec, of: str = "") -> list[Field]:
    """The bounded fields of the pod template at a path of an accepted spec; of: whose it is, where there are two."""
    fields = [Field(f"{path}.{below}", of + name, values, spec) for below, (name, values) in _POD_FIELDS.items()]
    for kind, what in _KEYS.items():
        at = f"{path}.env[].valueFrom.{kind}"
        fields += [
            Field(f"{at}.name", f"{of}an environment variable's {what}", OBJECT_NAME, _from(path, spec, kind)),
            Field(f"{at}.key", f"{of}an environment variable's {what} key", SECRET_KEY, _from(path, spec, kind)),
        ]
    template = put(spec, f"{path}.resourceClaims", [{"name": "gpu", "resourceClaimTemplateName": "gpus"}])
    at = f"{path}.resourceClaims[].resourceClaimTemplateName"
    return [*fields, Field(at, f"{of}the name of a resource claim's template", OBJECT_NAME, template)]


def pod_required(path: str, spec: Spec, of: str = "") -> dict[str, tuple[str, Spec]]:
    """The required fields of the pod template."""
    required = {f"{path}.{below}": (of + name, spec) for below, name in _POD_REQUIRED.items()}
    for kind, what in _KEYS.items():
        at = f"{path}.env[].valueFrom.{kind}"
        required[f"{at}.name"] = (f"{of}an environment variable's {what}", _from(path, spec, kind))
        required[f"{at}.key"] = (f"{of}an environment variable's {what} key", _from(path, spec, kind))
    return required


def pod_rules(path: str, spec: Spec, of: str = "") -> list[Rejection]:
    """Pod templates that a rule refuses."""
    reference = {"name": "proxy", "key": "url"}
    source, both = f"{path}.env[].valueFrom", dict.fromkeys(_KEYS, reference)
    claim, variable = f"{path}.resourceClaims[]", f"{path}.env[]"
    from_rule = "valueFrom takes exactly one of configMapKeyRef, secretKeyRef"
    claim_rule = "a resource claim takes exactly one of resourceClaimName, resourceClaimTemplateName"
    value_rule = "env takes value or valueFrom, not both"
    twice = {"name": "gpu", "resourceClaimName": "a", "resourceClaimTemplateName": "b"}
    valued = {"name": "A", "value": "b", "valueFrom": {"secretKeyRef": reference}}
    without = put(spec, variable, {"name": "A"})
    return [
        broken_rule(f"{of}a variable from nowhere is refused", put(without, source, {}), source, from_rule),
        broken_rule(f"{of}a variable from two places is refused", put(without, source, both), source, from_rule),
        broken_rule(f"{of}a variable with two values is refused", put(spec, variable, valued), variable, value_rule),
        broken_rule(
            f"{of}a resource claim of no object is refused", put(spec, claim, {"name": "gpu"}), claim, claim_rule
        ),
        broken_rule(f"{of}a resource claim of two objects is refused", put(spec, claim, twice), claim, claim_rule),
    ]


def _from(path: str, spec: Spec, kind: str) -> Spec:
    """The spec with a variable that comes from a ConfigMap or a Secret."""
    return put(spec, f"{path}.env", [{"name": "A", "valueFrom": {kind: {"name": "proxy", "key": "url"}}}])


def source_fields(path: str, spec: Spec) -> list[Field]:
    """The bounded fields of a model's source; the spec has one on the hub."""
    claimed, uri = put(spec, path, _ON_CLAIM), put(spec, path, _AT_URI)
    return [
        Field(f"{path}.huggingFace.repo", "the model's repository", HUB_REPO, spec),
        Field(f"{path}.huggingFace.revision", "the model's revision", REVISION, spec),
        Field(f"{path}.huggingFace.tokenSecretRef.name", "the token Secret's name", OBJECT_NAME, spec),
        Field(f"{path}.huggingFace.tokenSecretRef.key", "the token Secret's key", SECRET_KEY, spec),
        Field(f"{path}.persistentVolumeClaim.claimName", "the model's claim", OBJECT_NAME, claimed),
        Field(f"{path}.persistentVolumeClaim.path", "the model's path", RELATIVE_PATH, claimed),
        Field(f"{path}.uri.uri", "the model's URI", URI, uri),
        Field(f"{path}.uri.secretRef.name", "the URI's Secret", OBJECT_NAME, uri),
    ]


def source_required(path: str, spec: Spec) -> dict[str, tuple[str, Spec]]:
    """The required fields of a source."""
    claimed, uri = put(spec, path, _ON_CLAIM), put(spec, path, _AT_URI)
    return {
        f"{path}.huggingFace.repo": ("the model's repository", spec),
        f"{path}.huggingFace.tokenSecretRef.name": ("the token Secret's name", spec),
        f"{path}.persistentVolumeClaim.claimName": ("the model's claim", claimed),
        f"{path}.uri.uri": ("the model's URI", uri),
        f"{path}.uri.secretRef.name": ("the URI's Secret", uri),
    }


def storage_fields(path: str, spec: Spec) -> list[Field]:
    """The bounded fields of the store."""
    return [
        Field(f"{path}.claimName", "the store's claim", OBJECT_NAME, spec),
        Field(f"{path}.size", "the store's size", QUANTITY, spec),
        Field(f"{path}.storageClassName", "the store's class", OBJECT_NAME, spec),
        Field(f"{path}.accessMode", "the store's access mode", choice("ReadWriteMany", "ReadWriteOnce"), spec),
    ]
