"""Progress of pods side by side, and the few words that `kubectl get` shows."""

from __future__ import annotations

from typing import Any, cast

import pytest

from trtllm_api.contract import ProgressLine
from trtllm_operator.kube.client import KubeClient
from trtllm_operator.loop.cache import Cache
from trtllm_operator.loop.world import World
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.outcomes.progress import progress_of_line, summary


def line(done: float, total: float = 8, **more: Any) -> ProgressLine:
    return ProgressLine.model_validate({"stage": "Building", "done": done, "total": total, "unit": "ranks", **more})


def pod(name: str, phase: str = "Running", job: str = "build") -> dict[str, Any]:
    owner = {"kind": "Job", "name": job, "controller": True}
    meta = {"name": name, "namespace": "default", "ownerReferences": [owner]}
    return {"metadata": meta, "status": {"phase": phase}}


def seen(pods: list[dict[str, Any]], **lines: ProgressLine) -> ProgressLine | None:
    world = World(Cache(), cast("KubeClient", None), BuilderSettings(image="none"))
    world.progress = {("default", name): said for name, said in lines.items()}
    return world.progress_of(pods)


def test_pods_of_an_indexed_job_are_summed_and_the_slowest_says_how_long_it_takes() -> None:
    found = seen([pod("a"), pod("b")], a=line(1, eta_seconds=70, rate=0.1), b=line(2, eta_seconds=120, rate=0.2))
    assert found is not None
    assert (found.done, found.total, found.eta_seconds) == (3, 16, 120)
    assert found.rate == pytest.approx(0.3)
    assert summary(found) == "Building 18%, 3/16 ranks, 2 min left"


def test_a_pod_that_has_ended_counts_with_all_that_it_had_to_do() -> None:
    found = seen([pod("a", "Succeeded"), pod("b")], a=line(7, eta_seconds=9), b=line(2, eta_seconds=30))
    assert found is not None
    assert (found.done, found.total, found.eta_seconds) == (10, 16, 30)


def test_a_pod_that_is_named_twice_counts_once() -> None:
    assert seen([pod("a"), pod("a")], a=line(3)) == line(3)


@pytest.mark.parametrize(
    "other",
    [
        (pod("b", job="convert"), line(5)),
        (pod("b"), line(5, stage="Loading")),
        (pod("b"), line(5, unit="bytes")),
        (pod("b", "Failed"), line(5)),
        (pod("b", "Pending"), line(5)),
    ],
    ids=["of another Job", "in another stage", "in another unit", "failed", "not running"],
)
def test_what_is_not_the_same_work_is_not_added(other: tuple[dict[str, Any], ProgressLine]) -> None:
    assert seen([pod("a"), other[0]], a=line(3), b=other[1]) == line(3)


def test_a_pod_that_has_said_nothing_yet_does_not_hide_the_others() -> None:
    assert seen([pod("a"), pod("b")], b=line(3)) == line(3)
    assert seen([pod("a")]) is None
    assert seen([pod("a", "Succeeded")], a=line(3)) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (line(0), "Building 0%, 0/8 ranks"),
        (line(8, eta_seconds=0), "Building 100%, 8/8 ranks"),
        (line(1, eta_seconds=12.4), "Building 12%, 1/8 ranks, 12 s left"),
        (line(1, eta_seconds=5400), "Building 12%, 1/8 ranks, 1.5 h left"),
        (
            line(3e8, 1e9, stage="Downloading", unit="bytes", rate=1.2e8, eta_seconds=200),
            "Downloading 30%, 120 MB/s, 3 min left",
        ),
        (line(2048, 4096, stage="MeasuringSource", unit="tokens", eta_seconds=30), "Measuring source 50%, 30 s left"),
        (line(0, 0, stage="LoadingSource", unit=""), "Loading source"),
        (line(35, 0, stage="Loading", unit="s"), "Loading"),
    ],
)
def test_a_line_in_a_few_words(said: ProgressLine, words: str) -> None:
    assert summary(said) == words
    assert progress_of_line(said, None).summary == words
