"""Reading Kubernetes objects as plain dicts without tripping over absent parts; used by all pure domain code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object as JSON."""
Object = Mapping[str, Any]
"""A Kubernetes object that is only read."""


def dig(value: Any, *path: str) -> Any:
    """The value below the keys of path, or None where any of them is absent."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def items(value: Any, *path: str) -> list[Any]:
    """The list below path; empty when it is absent."""
    found = dig(value, *path)
    return list(found) if isinstance(found, list | tuple) else []


def name_of(obj: Object) -> str:
    """metadata.name."""
    return str(dig(obj, "metadata", "name") or "")


def labels_of(obj: Object) -> Mapping[str, str]:
    """metadata.labels."""
    return dig(obj, "metadata", "labels") or {}


def owner_uids(obj: Object) -> frozenset[str]:
    """The uids of the objects that own it."""
    return frozenset(str(ref.get("uid")) for ref in items(obj, "metadata", "ownerReferences"))


def is_owned(obj: Object, uid: str) -> bool:
    """The object of that uid controls it."""
    refs = items(obj, "metadata", "ownerReferences")
    return any(ref.get("controller") and ref.get("uid") == uid for ref in refs)


def uid_of(obj: Object) -> str:
    """metadata.uid."""
    return str(dig(obj, "metadata", "uid") or "")


def is_deleting(obj: Object) -> bool:
    """The object is being deleted."""
    return dig(obj, "metadata", "deletionTimestamp") is not None


def condition_of(obj: Object, kind: str) -> Mapping[str, Any] | None:
    """The condition of that type in status, if there is one."""
    return next((c for c in items(obj, "status", "conditions") if c.get("type") == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    """The condition exists and is True."""
    return (condition_of(obj, kind) or {}).get("status") == "True"


def by_name(objects: Iterable[Object], name: str) -> Object | None:
    """The object of that name."""
    return next((obj for obj in objects if name_of(obj) == name), None)


def parse_time(value: Any) -> datetime | None:
    """A Kubernetes timestamp; None where it is absent."""
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def creation_order(obj: Object) -> tuple[str, str]:
    """Sort key: the older first, then by name."""
    return str(dig(obj, "metadata", "creationTimestamp") or "~"), name_of(obj)
