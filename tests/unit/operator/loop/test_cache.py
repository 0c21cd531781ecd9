from __future__ import annotations

from typing import Any

from trtllm_operator.kube.resources import JOBS
from trtllm_operator.loop.cache import Cache, Key, key_of
from trtllm_operator.manifests.identity import KIND_LABEL, RESOURCE_LABEL


def obj(name: str, version: int, *, kind: str = "Job", uid: str = "1", **labels: str) -> dict[str, Any]:
    meta = {"namespace": "default", "name": name, "resourceVersion": str(version), "uid": uid, "labels": labels}
    return {"apiVersion": "batch/v1", "kind": kind, "metadata": meta}


def test_an_older_version_never_replaces_a_newer_one() -> None:
    cache = Cache()
    assert cache.put(obj("a", 5))
    assert not cache.put(obj("a", 5))
    assert not cache.put(obj("a", 4))
    assert cache.put(obj("a", 10))


def test_an_object_made_again_under_its_name_replaces_the_old_one() -> None:
    cache = Cache()
    cache.put(obj("a", 50, uid="old"))
    assert cache.put(obj("a", 51, uid="new"))
    assert cache.remove(Key("Job", "default", "a"), "old") is None
    assert cache.get("Job", "default", "a") is not None


def test_children_are_found_by_their_labels() -> None:
    cache = Cache()
    labels = {KIND_LABEL: "QuantizedModel", RESOURCE_LABEL: "m"}
    cache.put(obj("b", 1, **labels))
    cache.put(obj("a", 2, **labels))
    cache.put(obj("stranger", 3))
    owner = Key("QuantizedModel", "default", "m")
    assert [child["metadata"]["name"] for child in cache.children(owner, "Job")] == ["a", "b"]
    cache.remove(Key("Job", "default", "a"))
    assert len(cache.children(owner, "Job")) == 1
    assert cache.children(owner, "Pod") == []


def test_objects_that_are_alike_are_found_by_their_index() -> None:
    cache = Cache({"Job": {"colour": lambda found: found["metadata"]["labels"].get("colour")}})
    cache.put(obj("a", 1, colour="red"))
    cache.put(obj("b", 2, colour="red"))
    cache.put(obj("c", 3, colour="blue"))
    assert {found["metadata"]["name"] for found in cache.alike(obj("x", 0, colour="red"), "colour")} == {"a", "b"}
    cache.put(obj("b", 4, colour="blue"))
    assert {found["metadata"]["name"] for found in cache.alike(obj("x", 0, colour="blue"), "colour")} == {"b", "c"}
    cache.remove(Key("Job", "default", "a"))
    assert cache.alike(obj("x", 0, colour="red"), "colour") == []


def test_what_a_list_did_not_hold_has_vanished_unless_it_is_younger_than_the_list() -> None:
    cache = Cache()
    cache.put(obj("seen", 1))
    cache.put(obj("gone", 2))
    since = cache.newest_version()
    cache.put(obj("younger", 3))
    vanished = cache.vanished(JOBS, [key_of(obj("seen", 1))], since)
    assert [found["metadata"]["name"] for found in vanished] == ["gone"]


def test_managed_fields_are_not_kept() -> None:
    cache = Cache()
    job = obj("a", 1)
    job["metadata"]["managedFields"] = [{"manager": "somebody"}]
    cache.put(job)
    assert "managedFields" not in cache.get("Job", "default", "a")["metadata"]  # type: ignore[index]
