"""CustomResourceDefinitions made from the pydantic models. `make generate` writes them, `make verify` compares them.

pydantic's JSON schema is turned into the structural OpenAPI v3 subset that the API server accepts: references inlined,
`anyOf [X, null]` flattened, titles and `additionalProperties: false` dropped (unknown fields are refused by strict
field validation instead). The description of a field ends with what each value of its enum means.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, get_args

from trtllm_api import API_VERSION, GROUP, VERSION
from trtllm_api import enginebuild as eb
from trtllm_api import enginestatus as es
from trtllm_api import modelstatus as ms
from trtllm_api import quantizedmodel as qm
from trtllm_api.base import ApiModel, cel
from trtllm_api.docstrings import member_docstrings

MAX_NAME = 40
"""Longest resource name: a Job's name, `<cr>-quantize-<10 hex digits>`, must fit a label value of 63 characters."""

_NAME_RULE = cel(
    f"size(self.metadata.name) <= {MAX_NAME}",
    f"metadata.name must be no more than {MAX_NAME} characters: names of Jobs and Services are derived from it",
)

_DROPPED = {"propertyNames", "title", "$defs", "additionalProperties", "uniqueItems", "examples"}


_VALUES = "values"
"""Key of the values' meanings until they are part of a description."""


def structural(model: type[ApiModel]) -> dict[str, Any]:
    """The structural schema of a model, with descriptions, defaults, bounds and CEL rules."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    defs = schema.get("$defs", {})
    for enum in set(_enums(model)):
        meanings = member_docstrings(enum)
        defs[enum.__name__][_VALUES] = "".join(f"\n - {value}: {meanings[value]}" for value in enum)
    return _described(_clean(schema, defs))


def _enums(annotation: Any) -> Iterator[type[StrEnum]]:
    """Every enum in the fields of a model, or in the arguments of a type."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield annotation
    inner = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        inner = tuple(field.annotation for field in annotation.model_fields.values())
    for part in inner:
        yield from _enums(part)


def _described(node: dict[str, Any]) -> dict[str, Any]:
    """Append the meanings of an enum's values to the description of the field, list or map that holds them."""
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _described(node[key])
            values = node[key].pop(_VALUES, None)
            if values is not None:
                del node[key]["description"]
                node["description"] += values
    for inner in node.get("properties", {}).values():
        _described(inner)
        inner["description"] = inner.get("description", "") + inner.pop(_VALUES, "")
    return node


def explained(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each default in its description: `kubectl explain` prints descriptions, and no defaults."""
    result = dict(schema)
    default = schema.get("default")
    if default is not None and "properties" not in schema:
        prose, mark, values = schema["description"].partition("\n - ")
        result["description"] = f"{prose} Default: {default_text(default)}.{mark}{values}"
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = explained(schema[key])
    if "properties" in schema:
        result["properties"] = {name: explained(inner) for name, inner in schema["properties"].items()}
    return result


def default_text(default: object) -> str:
    """A default as text for a description."""
    if isinstance(default, (list, dict)):
        return ", ".join(map(str, default)) or "none"
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) or '""'


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


def _column(name: str, path: str, kind: str = "string", *, about: str, wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": about}
    if wide:
        column["priority"] = 1
    return column


def _condition(kind: str, field: str) -> str:
    return f".status.conditions[?(@.type=='{kind}')].{field}"


_STAGE = _column("Stage", ".status.stage", about="Current stage in one word.")
_PROGRESS = _column(
    "Progress", ".status.progress.summary", about="Progress of the current step: percentage, amount, remaining time."
)
_MESSAGE = _column("Message", _condition("Ready", "message"), wide=True, about="Message of the Ready condition.")
_AGE = _column("Age", ".metadata.creationTimestamp", "date", about="Time since the resource was created.")

_QUANTIZED_MODEL_COLUMNS = [
    _STAGE,
    _column("Ready", _condition("Ready", "status"), about="Whether an artifact for this spec is published."),
    _column("Method", ".status.artifact.method", about="Method of the published artifact."),
    _column("Quality", _condition("QualityPassed", "reason"), about="Reason of the QualityPassed condition."),
    _PROGRESS,
    _MESSAGE,
    _AGE,
]

_ENGINE_BUILD_COLUMNS = [
    _STAGE,
    _column("Ready", _condition("Ready", "status"), about="Whether every replica serves the current artifact."),
    _column("Method", ".status.artifact.method", about="Method of the artifact that is served."),
    _column("Replicas", ".status.serving.readyReplicas", "integer", about="Number of replicas that are ready."),
    _PROGRESS,
    _column("URL", ".status.serving.url", about="Address of the Service inside the cluster."),
    _MESSAGE,
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
            "apiVersion": {"type": "string", "description": f"Version of this schema: {API_VERSION}."},
            "kind": {"type": "string", "description": f"Kind of the resource: {kind}."},
            "metadata": {"type": "object"},  # the API server takes no description: it has its own
            "spec": explained(structural(spec)),
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
            "Quantizes a model, and publishes the artifact only if it reaches the required quality.",
            qm.QuantizedModelSpec,
            ms.QuantizedModelStatus,
            _QUANTIZED_MODEL_COLUMNS,
            {},
        ),
        _definition(
            eb.KIND,
            eb.PLURAL,
            "eb",
            "Serves a model, and builds a TensorRT engine of it first if the runtime needs one.",
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
