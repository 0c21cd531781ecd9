"""Sources that cannot be used: a condition with reason, cause, numbers and remedy, before a model is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from clusterlib.local import LocalCluster

from support.cluster_models import Hub
from support.cluster_world import MODELS, NAMESPACE, World, eventually


def on_claim(path: str) -> dict[str, Any]:
    return {"source": {"persistentVolumeClaim": {"claimName": MODELS, "path": path}}}


@pytest.fixture(scope="module")
def created(world: World, cluster: LocalCluster, hub: Hub) -> World:
    """All at once: they are fetched side by side."""
    for name in ("lfs-pointer", "truncated", "no-tokenizer"):
        world.quantized_model(name, **on_claim(name))
    world.quantized_model("no-path", **on_claim("tinny"))
    world.quantized_model("no-repo", **hub.holds("acme/nothing"))
    world.quantized_model("no-revision", **hub.holds("acme/tiny", revision="v9"))
    world.quantized_model("gated", **hub.holds("acme/gated"))
    for name, token in (("wrong-token", "hf_wrong"), ("other-account", "hf_other")):
        world.secret(name, "token", token)
        world.quantized_model(name, **hub.holds("acme/gated", secret=name))
    cluster.sized_volume("small", "1Mi")
    storage = {"claimName": "store-small", "size": "1Mi", "storageClassName": "local-sized"}
    world.quantized_model("small", storage=storage, **hub.holds("acme/tiny"))
    return world


def test_a_path_that_does_not_exist_is_told_with_what_is_there(created: World) -> None:
    reason, message = created.stalled("no-path")
    assert reason == "SourceNotFound"
    assert "has no directory tinny" in message
    assert "tiny" in message.split("Found in")[1]


def test_a_git_lfs_pointer_is_recognised_with_the_size_that_the_file_should_have(created: World) -> None:
    reason, message = created.stalled("lfs-pointer")
    assert reason == "SourceCorrupt"
    assert "model.safetensors" in message
    assert "LFS" in message


def test_a_truncated_shard_is_refused_with_both_sizes(created: World) -> None:
    reason, message = created.stalled("truncated")
    assert reason == "SourceCorrupt"
    assert "100000" in message.replace(",", "")


def test_a_model_without_a_tokenizer_is_refused_with_the_names_of_the_files(created: World) -> None:
    reason, message = created.stalled("no-tokenizer")
    assert reason == "SourceIncomplete"
    assert "tokenizer.json" in message


def test_a_repository_that_does_not_exist_is_named_with_its_hub(created: World, hub: Hub) -> None:
    reason, message = created.stalled("no-repo")
    assert reason == "SourceNotFound"
    assert "acme/nothing" in message
    assert hub.endpoint.removeprefix("http://") in message


def test_a_revision_that_does_not_exist_is_named(created: World) -> None:
    reason, message = created.stalled("no-revision")
    assert reason == "SourceNotFound"
    assert "v9" in message


def test_a_gated_repository_without_a_token_says_what_to_put_where(created: World) -> None:
    reason, message = created.stalled("gated")
    assert reason == "SourceAccessDenied"
    assert "tokenSecretRef" in message


def test_a_token_without_access_is_told_from_no_token_and_never_shown(created: World) -> None:
    reason, message = created.stalled("other-account")
    assert reason == "SourceAccessDenied"
    assert "has no access" in message
    reason, wrong = created.stalled("wrong-token")
    assert reason == "SourceAccessDenied"
    assert "does not accept the token" in wrong
    for name, token in (("other-account", "hf_other"), ("wrong-token", "hf_wrong")):
        pod = created.pods(name, "fetch")[0]["metadata"]["name"]
        assert token not in created.logs(pod) + created.client.kubectl("describe", f"qm/{name}", "-n", NAMESPACE)


def test_a_volume_that_is_too_small_is_told_before_anything_is_downloaded(created: World) -> None:
    reason, message = created.stalled("small")
    assert reason == "StorageFull"
    assert "MiB" in message


def test_a_refused_source_is_an_event_of_the_resource(created: World) -> None:
    created.stalled("truncated")

    def told() -> bool:
        events = created.items("event", fieldSelector="involvedObject.name=truncated")
        return any(event["reason"] == "SourceCorrupt" and event["type"] == "Warning" for event in events)

    eventually(told, "a Warning with the reason", 20)


def test_a_model_is_fetched_over_the_web(world: World, web: str) -> None:
    world.quantized_model("from-web", source={"uri": {"uri": web}})
    eventually(lambda: world.get("qm", "from-web").get("status", {}).get("source"), "the source", 60)
    source = world.get("qm", "from-web")["status"]["source"]
    assert source["path"].startswith("sources/")
    world.delete("qm", "from-web")


def test_a_revision_of_the_hub_is_pinned_to_its_commit(world: World, hub: Hub) -> None:
    world.quantized_model("from-hub", **hub.holds("acme/tiny"))
    eventually(lambda: world.get("qm", "from-hub").get("status", {}).get("source"), "the source", 60)
    source = world.get("qm", "from-hub")["status"]["source"]
    assert len(source["revision"]) == 40
    assert world.get("qm", "from-hub")["status"]["modelFacts"]["architecture"] == "LlamaForCausalLM"
    world.delete("qm", "from-hub")
