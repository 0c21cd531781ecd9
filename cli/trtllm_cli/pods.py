"""Diagnoses pods and Events as `kubectl get pods,events --output=yaml` prints them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from trtllm_cli.key import Key
from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import load_documents
from trtllm_diagnosis import Diagnosis, diagnose_end, diagnose_waiting

Object = Mapping[str, Any]
HEAD: Final = 4096
"""Characters of a file that are enough to tell objects from a log."""
_OBJECTS: Final = re.compile(r"\s*(?:---\s*)?(?:apiVersion:\s*v1\s*$|\{\s*\"apiVersion\":\s*\"v1\")", re.MULTILINE)


def are_objects(head: str) -> bool:
    """True if the text is one object or a list of them, and not a log."""
    return _OBJECTS.match(head) is not None


def diagnose_objects(text: str, name: str) -> Diagnosis | None:
    """Diagnosis of the first pod that has failed or cannot start; Unreadable if there is no Pod."""
    objects = [item for document in load_documents(text, name) for item in _items(document)]
    pods = [item for item in objects if item.get("kind") == "Pod"]
    if not pods:
        raise Unreadable(f"{name} contains no Pod", "print Pods with kubectl get pods,events --output=yaml")
    for pod in pods:
        meta = _map(pod.get("metadata"))
        events = [item for item in objects if item.get("kind") == "Event" and _is_about(item, meta)]
        found = diagnose_end(pod, events=events, template="spec.podTemplate") or diagnose_waiting(pod, events)
        if found is not None:
            pod_key = Key("Pod", str(meta.get("namespace") or ""), str(meta.get("name") or ""))
            return replace(found, message=f"{pod_key}: {found.message}")
    return None


def _items(document: object) -> Iterator[Object]:
    value = _map(document)
    for item in value.get("items") or [value]:
        yield _map(item)


def _is_about(event: Object, meta: Object) -> bool:
    about = _map(event.get("involvedObject") or event.get("regarding"))
    place = (about.get("namespace"), about.get("name"))
    return about.get("kind") == "Pod" and place == (meta.get("namespace"), meta.get("name"))


def _map(value: object) -> Object:
    return value if isinstance(value, Mapping) else {}
