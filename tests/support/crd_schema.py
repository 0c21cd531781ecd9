"""The generated CRDs as a validator: JSON Schema with the formats that the API server checks."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

_CRDS = Path(__file__).parents[2] / "crds"
_FORMATS = FormatChecker(())
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@_FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@_FORMATS.checks("date-time")
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_TIME.fullmatch(value))


@cache
def _validator(plural: str) -> Draft202012Validator:
    crd = yaml.safe_load((_CRDS / f"{plural}.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return Draft202012Validator(_strict(schema), format_checker=_FORMATS)


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """Unknown fields are refused, and a pattern's $ is the end of the text: as in the API server's own language."""
    result = dict(node)
    if "properties" in node:
        result["properties"] = {name: _strict(inner) for name, inner in node["properties"].items()}
        result["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            result[key] = _strict(node[key])
    if "pattern" in node:
        result["pattern"] = re.sub(r"\$$", r"\\Z", node["pattern"])
    return result


def status_faults(plural: str, status: dict[str, Any]) -> list[str]:
    """Field and rule of everything that the API server would refuse; empty when it takes the status."""
    return [f"{error.json_path}: {error.validator}" for error in _validator(plural).iter_errors(status)]
