"""What an engine's stages ask for, and where the API server has the kinds that came with engines."""

from __future__ import annotations

import pytest

from support.engine_samples import GIB
from trtllm_operator.kube.resources import BY_KIND, LEADER_WORKER_SETS, NODES
from trtllm_operator.manifests.resources import (
    Resources,
    build_resources,
    convert_resources,
    engine_serve_resources,
    parse_quantity,
    publish_resources,
    shared_memory_for,
)
from trtllm_planner.host import host_memory_needed


def memory(resources: Resources) -> tuple[float, float]:
    return parse_quantity(resources.requests["memory"]), parse_quantity(resources.limits["memory"])


STAGES: dict[str, tuple[Resources, str | None]] = {
    "converting takes one GPU": (convert_resources(16 * GIB), "1"),
    "building takes those of the pod": (build_resources(16 * GIB, 8, 2), "8"),
    "serving takes those of the pod": (engine_serve_resources(16 * GIB, 4, "8Gi"), "4"),
    "publishing takes none": (publish_resources(), None),
}


@pytest.mark.parametrize("case", STAGES)
def test_gpus(case: str) -> None:
    resources, gpus = STAGES[case]
    assert resources.requests.get("nvidia.com/gpu") == resources.limits.get("nvidia.com/gpu") == gpus
    request, limit = memory(resources)
    assert request <= limit


def test_converting_asks_for_what_the_planner_says_the_whole_model_needs() -> None:
    for size in (GIB, 16 * GIB, 140 * GIB):
        assert memory(convert_resources(size))[0] == pytest.approx(host_memory_needed(size), abs=256 * 1024**2)


def test_pods_that_share_the_ranks_share_the_memory() -> None:
    assert memory(build_resources(140 * GIB, 8, 1))[0] == pytest.approx(
        2 * memory(build_resources(140 * GIB, 8, 2))[0], rel=0.01
    )


def test_shared_memory_is_paid_for_by_the_limit() -> None:
    small, large = (memory(engine_serve_resources(16 * GIB, 8, size)) for size in ("1Gi", "33Gi"))
    assert large[1] - small[1] == 32 * GIB
    assert large[0] == small[0]


def test_shared_memory_grows_with_the_processes() -> None:
    assert [shared_memory_for(gpus) for gpus in (1, 2, 8)] == ["1Gi", "4Gi", "16Gi"]


def test_nodes_have_paths_of_the_cluster() -> None:
    assert NODES.path() == "/api/v1/nodes"
    assert NODES.path(None, "gpu-1") == "/api/v1/nodes/gpu-1"


def test_leader_worker_sets_have_paths_in_a_namespace() -> None:
    assert (
        LEADER_WORKER_SETS.path("default", "llama-servers")
        == "/apis/leaderworkerset.x-k8s.io/v1/namespaces/default/leaderworkersets/llama-servers"
    )
    assert LEADER_WORKER_SETS.api_version == "leaderworkerset.x-k8s.io/v1"


def test_both_are_found_by_their_kind() -> None:
    assert BY_KIND["Node"] is NODES
    assert BY_KIND["LeaderWorkerSet"] is LEADER_WORKER_SETS
