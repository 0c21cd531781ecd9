"""Cache: the objects of the cluster as last heard; watches, answers to our own writes and resyncs feed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trtllm_operator.kube.objects import Object, dig, labels_of, name_of
from trtllm_operator.kube.resources import NODES, Resource
from trtllm_operator.manifests.identity import KIND_LABEL, RESOURCE_LABEL

Indexes = Mapping[str, Mapping[str, Callable[[Object], Hashable]]]
"""Index functions by kind and by name of the index."""


@dataclass(frozen=True)
class Key:
    """One custom resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def key_of(obj: Object) -> Key:
    """The key of an object itself."""
    return Key(str(obj.get("kind")), str(dig(obj, "metadata", "namespace") or ""), name_of(obj))


def owner_of(obj: Object) -> Key | None:
    """The resource that a child's labels name."""
    labels = labels_of(obj)
    kind, name = labels.get(KIND_LABEL), labels.get(RESOURCE_LABEL)
    return Key(kind, str(dig(obj, "metadata", "namespace") or ""), name) if kind and name else None


class Cache:
    """Objects by kind, namespace and name; an older version never replaces a newer one."""

    def __init__(self, indexes: Indexes | None = None) -> None:
        """`indexes` gives, for each kind, named functions from an object to a value (None: not in that index)."""
        self._objects: defaultdict[tuple[str, str], dict[str, Object]] = defaultdict(dict)
        self._children: defaultdict[Key, set[Key]] = defaultdict(set)
        self._indexes = dict(indexes or {})
        self._values: dict[Key, dict[str, Hashable]] = {}
        self._holders: defaultdict[tuple[str, str, str], dict[Hashable, dict[str, None]]] = defaultdict(dict)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._objects.get((kind, namespace), {}).get(name)

    def all(self, kind: str) -> Iterator[Object]:
        """All objects of a kind."""
        for (its_kind, _), objects in list(self._objects.items()):
            if its_kind == kind:
                yield from list(objects.values())

    def children(self, owner: Key, kind: str) -> list[Object]:
        """The owner's children of a kind, by name."""
        found = (self.get(*_parts(child)) for child in self._children.get(owner, ()) if child.kind == kind)
        return sorted((obj for obj in found if obj is not None), key=name_of)

    def alike(self, obj: Object, index: str) -> list[Object]:
        """The objects of its kind and namespace with the same value in that index, itself included."""
        key = key_of(obj)
        value = self._indexes[key.kind][index](obj)
        return self.having(key.kind, key.namespace, index, value) if value is not None else []

    def having(self, kind: str, namespace: str, index: str, value: Hashable) -> list[Object]:
        """The objects of a kind in a namespace that have the value in that index."""
        names = self._holders[kind, namespace, index].get(value, ())
        return [found for name in names if (found := self.get(kind, namespace, name)) is not None]

    def holders(self, kind: str, namespace: str, index: str) -> dict[Hashable, tuple[Object, ...]]:
        """The first two objects of each value of an index: one resource, and one that is not it."""
        objects = self._objects.get((kind, namespace), {})
        found = self._holders.get((kind, namespace, index), {})
        return {value: tuple(objects[name] for name in islice(names, 2)) for value, names in found.items()}

    def put(self, obj: dict[str, Any]) -> bool:
        """Take it in; False when it was known already, or older than what is known."""
        key = key_of(obj)
        meta = obj.get("metadata") or {}
        meta.pop("managedFields", None)
        if key.kind == NODES.kind:
            (obj.get("status") or {}).pop("images", None)  # hundreds on each node, and nobody here reads them
        known = self.get(*_parts(key))
        if known is not None and dig(known, "metadata", "uid") == meta.get("uid"):
            before, now = _version(known), _version(obj)
            if now <= before:
                return False
        self._unindex(key)
        self._objects[key.kind, key.namespace][key.name] = obj
        self._index(key, obj)
        owner = owner_of(obj)
        if owner is not None:
            self._children[owner].add(key)
        return True

    def remove(self, key: Key, uid: str | None = None) -> Object | None:
        """Forget it, unless another of the same name has taken its place; the object forgotten."""
        known = self.get(*_parts(key))
        if known is None or (uid is not None and dig(known, "metadata", "uid") != uid):
            return None
        del self._objects[key.kind, key.namespace][key.name]
        if not self._objects[key.kind, key.namespace]:
            del self._objects[key.kind, key.namespace]
        self._unindex(key)
        owner = owner_of(known)
        if owner is not None:
            self._children[owner].discard(key)
            if not self._children[owner]:
                del self._children[owner]
        return known

    def _index(self, key: Key, obj: Object) -> None:
        values = {name: value for name, of in self._indexes.get(key.kind, {}).items() if (value := of(obj)) is not None}
        for name, value in values.items():
            self._holders[key.kind, key.namespace, name].setdefault(value, {})[key.name] = None
        if values:
            self._values[key] = values

    def _unindex(self, key: Key) -> None:
        for name, value in self._values.pop(key, {}).items():
            held = self._holders[key.kind, key.namespace, name]
            held[value].pop(key.name, None)
            if not held[value]:
                del held[value]

    def vanished(self, resource: Resource, found: Iterable[Key], since: int) -> list[Object]:
        """Objects of a kind that a LIST did not hold although they were known before it."""
        names = set(found)
        return [obj for obj in self.all(resource.kind) if key_of(obj) not in names and _version(obj) <= since]

    def newest_version(self) -> int:
        """The highest resourceVersion heard of."""
        return max((_version(obj) for objects in self._objects.values() for obj in objects.values()), default=0)


def _parts(key: Key) -> tuple[str, str, str]:
    return key.kind, key.namespace, key.name


def _version(obj: Object) -> int:
    """ResourceVersions of one kind are comparable numbers (KEP-5504)."""
    version = str(dig(obj, "metadata", "resourceVersion") or "0")
    return int(version) if version.isdigit() else 0
