"""The examples of docs/spec: their manifests are applied, and their commands print what the pages show.

The API server, its controllers and the operator are real; a double of the kubelet writes how pods end. After a change
that is meant, `GOLDEN=write .venv/bin/pytest tests/api/test_worked_examples.py` writes the outputs anew.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator

import pytest
from control_plane import ENGINE_BUILD, QUANTIZED_MODEL, ApiServer, Cluster
from kubelet_double import KubeletDouble
from operator_process import operator

from support.documented import ROOT, Example, examples, without_ages
from support.domain_world import SMOLLM2
from support.leaderworkerset_double import custom_resource_definition
from support.readme_run import LLAMA_8B, LLAMA_70B, LLAMA_405B, fetched, quantized
from trtllm_api.digest import digest_of
from trtllm_api.facts import ModelFacts

PAGES = [ROOT / "docs" / "spec" / name for name in ("quantizedmodel.md", "enginebuild.md")]
EXAMPLES = [example for page in PAGES for example in examples(page)]
COMMIT = digest_of("commit of an example")[7:47]
H100, L4 = ("NVIDIA-H100-80GB-HBM3", "9.0", 81559), ("NVIDIA-L4", "8.9", 23034)


class Player:
    """Plays what happens in the cluster."""

    def __init__(self, api: ApiServer) -> None:
        self.kubelet = KubeletDouble(api)

    def nodes(self, count: int, gpus: int, gpu: tuple[str, str, int]) -> None:
        self.kubelet.gpu_nodes(count, gpu[0], gpus=gpus, capability=gpu[1], memory_mib=gpu[2])

    def fetch(self, name: str, facts: ModelFacts, commit: str | None) -> None:
        self.kubelet.end(name, "fetch", fetched(facts, commit))


def int4_is_refused(player: Player) -> None:
    player.fetch("smollm2", SMOLLM2, None)
    player.kubelet.end("smollm2", "quantize", quantized())


def method_is_planned(player: Player) -> None:
    player.nodes(2, 8, H100)
    player.fetch("llama-8b", LLAMA_8B, COMMIT)
    player.kubelet.pod("llama-8b", "quantize")


def group_size_is_refused(player: Player) -> None:
    player.fetch("smollm2", SMOLLM2, None)


def artifact_is_served(player: Player) -> None:
    int4_is_refused(player)
    player.kubelet.serve("smollm2", 2)


def engine_is_planned(player: Player) -> None:
    player.nodes(2, 8, H100)
    player.fetch("llama-405b", LLAMA_405B, COMMIT)
    player.kubelet.pod("llama-405b", "convert")


def nothing_fits(player: Player) -> None:
    player.nodes(1, 4, L4)
    player.fetch("llama-70b", LLAMA_70B, COMMIT)


STORIES: dict[tuple[str, str], Callable[[Player], None]] = {
    ("quantizedmodel.md", "INT4 is refused, INT8 is published"): int4_is_refused,
    ("quantizedmodel.md", "The method is planned for the cluster's GPUs"): method_is_planned,
    ("quantizedmodel.md", "A group size that the model cannot have"): group_size_is_refused,
    ("enginebuild.md", "A quantized model is served"): artifact_is_served,
    ("enginebuild.md", "An engine is planned on 16 GPUs"): engine_is_planned,
    ("enginebuild.md", "A model that the cluster cannot hold"): nothing_fits,
}


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[None]:
    """An operator of a cluster that has LeaderWorkerSets."""
    kind = custom_resource_definition()
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(kind))
    with operator("examples", "--builder-image=registry.example/trtllm-builder:0.1.0"):
        yield
    cluster.kubectl("delete", "crd", kind["metadata"]["name"])


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> Iterator[None]:
    """Remove what an example made."""
    yield
    everything = "qm,eb,jobs,deployments,pods,nodes"
    cluster.kubectl("delete", everything, "--all", "--wait=true", "--timeout=60s", "--force", "--grace-period=0")


def outputs(cluster: Cluster, example: Example) -> list[str]:
    printed = []
    for command in example.commands:
        program, *arguments = shlex.split(command.line)
        assert program == "kubectl"
        printed.append(without_ages(cluster.kubectl(*arguments)))
    return printed


def wait_until_nothing_is_written(api: ApiServer, seconds: float = 10) -> None:
    """Wait before outputs are written; a comparison waits for the page's outputs instead."""
    last, since = "", time.monotonic()
    while time.monotonic() - since < seconds:
        kinds = (QUANTIZED_MODEL, ENGINE_BUILD)
        seen = str([item["metadata"]["resourceVersion"] for kind in kinds for item in api.get(kind.at())["items"]])
        if seen != last:
            last, since = seen, time.monotonic()
        time.sleep(0.2)


def test_every_example_has_a_story() -> None:
    assert [(example.page.name, example.title) for example in EXAMPLES] == list(STORIES)
    assert all(len(example.commands) >= 2 for example in EXAMPLES)
    assert all(command.output for example in EXAMPLES for command in example.commands)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_prints_what_its_page_shows(
    api: ApiServer, cluster: Cluster, running: None, example: Example
) -> None:
    objects = "\n---\n".join(json.dumps(item) for item in example.manifests)
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=objects)
    STORIES[(example.page.name, example.title)](Player(api))
    if os.environ.get("GOLDEN") == "write":
        wait_until_nothing_is_written(api)
        text = example.page.read_text().replace(example.text, example.with_outputs(outputs(cluster, example)))
        example.page.write_text(text)
        return
    expected = [command.output for command in example.commands]
    deadline = time.monotonic() + 60
    while (printed := outputs(cluster, example)) != expected and time.monotonic() < deadline:
        time.sleep(1)
    assert printed == expected
