from __future__ import annotations

from typing import Any

from trtllm_operator.children.identity import KIND_LABEL, RESOURCE_LABEL
from trtllm_operator.kube.resources import JOBS
from trtllm_operator.store import Key, Store, key_of


def obj(name: str, version: int, *, kind: str = "Job", uid: str = "1", **labels: str) -> dict[str, Any]:
    meta = {"namespace": "default", "name": name, "resourceVersion": str(version), "uid": uid, "labels": labels}
    return {"apiVersion": "batch/v1", "kind": kind, "metadata": meta}


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    assert store.put(obj("a", 5))
    assert not store.put(obj("a", 5))
    assert not store.put(obj("a", 4))
    assert store.put(obj("a", 10))


def test_an_object_made_again_under_its_name_replaces_the_old_one() -> None:
    store = Store()
    store.put(obj("a", 50, uid="old"))
    assert store.put(obj("a", 51, uid="new"))
    assert store.remove(Key("Job", "default", "a"), "old") is None
    assert store.get("Job", "default", "a") is not None


def test_children_are_found_by_their_labels() -> None:
    store = Store()
    labels = {KIND_LABEL: "QuantizedModel", RESOURCE_LABEL: "m"}
    store.put(obj("b", 1, **labels))
    store.put(obj("a", 2, **labels))
    store.put(obj("stranger", 3))
    owner = Key("QuantizedModel", "default", "m")
    assert [child["metadata"]["name"] for child in store.children(owner, "Job")] == ["a", "b"]
    store.remove(Key("Job", "default", "a"))
    assert len(store.children(owner, "Job")) == 1
    assert store.children(owner, "Pod") == []


def test_objects_that_are_alike_are_found_by_their_index() -> None:
    store = Store({"Job": lambda found: found["metadata"]["labels"].get("colour")})
    store.put(obj("a", 1, colour="red"))
    store.put(obj("b", 2, colour="red"))
    store.put(obj("c", 3, colour="blue"))
    assert {found["metadata"]["name"] for found in store.alike(obj("x", 0, colour="red"))} == {"a", "b"}
    store.put(obj("b", 4, colour="blue"))
    assert {found["metadata"]["name"] for found in store.alike(obj("x", 0, colour="blue"))} == {"b", "c"}
    store.remove(Key("Job", "default", "a"))
    assert store.alike(obj("x", 0, colour="red")) == []


def test_what_a_list_did_not_hold_has_vanished_unless_it_is_younger_than_the_list() -> None:
    store = Store()
    store.put(obj("seen", 1))
    store.put(obj("gone", 2))
    since = store.newest_version()
    store.put(obj("younger", 3))
    vanished = store.vanished(JOBS, [key_of(obj("seen", 1))], since)
    assert [found["metadata"]["name"] for found in vanished] == ["gone"]


def test_managed_fields_are_not_kept() -> None:
    store = Store()
    job = obj("a", 1)
    job["metadata"]["managedFields"] = [{"manager": "somebody"}]
    store.put(job)
    assert "managedFields" not in store.get("Job", "default", "a")["metadata"]  # type: ignore[index]
