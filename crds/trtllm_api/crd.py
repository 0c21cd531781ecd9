"""CustomResourceDefinitions from the pydantic models; run by `make generate`, proven fresh by `make verify`.

pydantic's JSON schema is turned into the structural OpenAPI v3 subset that the API server accepts: references inlined,
`anyOf [X, null]` flattened, titles and `additionalProperties: false` dropped (unknown fields are refused by strict
field validation instead).
"""

from __future__ import annotations

from typing import Any

from trtllm_api import GROUP, VERSION
from trtllm_api import enginebuild as eb
from trtllm_api import enginestatus as es
from trtllm_api import modelstatus as ms
from trtllm_api import quantizedmodel as qm
from trtllm_api.base import ApiModel, cel

MAX_NAME = 40
"""Longest resource name: a Job's name, `<cr>-quantize-<10 hex digits>`, must fit a label value of 63 characters."""

_NAME_RULE = cel(
    f"size(self.metadata.name) <= {MAX_NAME}",
    f"metadata.name must be no more than {MAX_NAME} characters: names of Jobs and Services are derived from it",
)

_DROPPED = {"propertyNames", "title", "$defs", "additionalProperties", "uniqueItems", "examples"}


def structural(model: type[ApiModel]) -> dict[str, Any]:
    """The structural schema of a model, with descriptions, defaults, bounds and CEL rules."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _clean(schema, schema.get("$defs", {}))


def _clean(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    node = dict(node)
    if "$ref" in node:
        target = defs[node.pop("$ref").rsplit("/", 1)[-1]]
        node = {**target, **node}
    if "anyOf" in node:
        options = [option for option in node.pop("anyOf") if option.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"not structural: {options}")
        node = {**options[0], **node}
        if node.get("default", 0) is None:
            del node["default"]
        return _clean(node, defs)
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if result.get("default", 0) is None:
        del result["default"]
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _clean(node["additionalProperties"], defs)
    if "prefixItems" in result:
        raise ValueError("tuples of fixed length are not structural")
    if "items" in result:
        result["items"] = _clean(result["items"], defs)
    if "properties" in result:
        if "default" in result:
            result["default"] = {}  # the API server fills in the properties' own defaults
        result["properties"] = {name: _clean(value, defs) for name, value in result["properties"].items()}
    if "description" in result:
        result["description"] = " ".join(str(result["description"]).split())
    if result.get("type") == "integer" and "format" not in result:
        result["format"] = "int64"
    return result


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False, about: str = "") -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    if about:
        column["description"] = about
    if wide:
        column["priority"] = 1
    return column


def _condition(kind: str, field: str) -> str:
    return f".status.conditions[?(@.type=='{kind}')].{field}"


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_PROGRESS = _column("Progress", ".status.progress.summary", about="What is being done now, and how far it is")

_QUANTIZED_MODEL_COLUMNS = [
    _column("Stage", ".status.stage"),
    _column("Ready", _condition("Ready", "status")),
    _column("Method", ".status.artifact.method", about="The method that passed the quality gate"),
    _column("Quality", _condition("QualityPassed", "reason")),
    _PROGRESS,
    _column("Message", _condition("Ready", "message"), wide=True),
    _AGE,
]

_ENGINE_BUILD_COLUMNS = [
    _column("Stage", ".status.stage"),
    _column("Ready", _condition("Ready", "status")),
    _column("Method", ".status.artifact.method"),
    _column("Replicas", ".status.serving.readyReplicas", "integer"),
    _PROGRESS,
    _column("URL", ".status.serving.url"),
    _column("Message", _condition("Ready", "message"), wide=True),
    _AGE,
]


def _definition(
    kind: str,
    plural: str,
    short_name: str,
    description: str,
    spec: type[ApiModel],
    status: type[ApiModel],
    columns: list[dict[str, Any]],
    subresources: dict[str, Any],
) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(spec),
            "status": structural(status),
        },
        "x-kubernetes-validations": [_NAME_RULE],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["trtllm"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}, **subresources},
                }
            ],
        },
    }


def definitions() -> list[dict[str, Any]]:
    """Both CustomResourceDefinitions."""
    return [
        _definition(
            qm.KIND,
            qm.PLURAL,
            "qm",
            "Quantizes a model, and publishes the result only if it is still a good model.",
            qm.QuantizedModelSpec,
            ms.QuantizedModelStatus,
            _QUANTIZED_MODEL_COLUMNS,
            {},
        ),
        _definition(
            eb.KIND,
            eb.PLURAL,
            "eb",
            "Serves a model: rolls out the artifact of a QuantizedModel and keeps the last good one serving.",
            eb.EngineBuildSpec,
            es.EngineBuildStatus,
            _ENGINE_BUILD_COLUMNS,
            {
                "scale": {
                    "specReplicasPath": ".spec.serving.replicas",
                    "statusReplicasPath": ".status.serving.replicas",
                    "labelSelectorPath": ".status.serving.selector",
                }
            },
        ),
    ]
