"""Reading a Pod that came as plain JSON, of which anything may be missing; ended.py and waiting.py use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trtllm_diagnosis.limits import cut

Object = Mapping[str, Any]


def as_map(value: object) -> Object:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Object]:
    """The mappings of a list, or none."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def words(value: Object, *keys: str) -> str:
    """The first text that one of these keys has, cut if it is very long; empty when none has any."""
    return cut(next((str(value[key]) for key in keys if value.get(key)), ""))


def statuses(pod: Object, name: str | None = None) -> list[Object]:
    """Status of every container, or of the one of that name; those that run first come first."""
    status = as_map(pod.get("status"))
    found = [*as_list(status.get("initContainerStatuses")), *as_list(status.get("containerStatuses"))]
    return [one for one in found if name is None or one.get("name") == name]


def limit_of(pod: Object, name: str) -> str | None:
    """A container's memory limit as its spec has it."""
    spec = as_map(pod.get("spec"))
    for one in [*as_list(spec.get("containers")), *as_list(spec.get("initContainers"))]:
        if one.get("name") == name:
            limit = as_map(as_map(one.get("resources")).get("limits")).get("memory")
            return str(limit) if limit is not None else None
    return None
