"""Decisions that no test held until somebody changed the code by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.domain_world import World, condition, fetch_result, refused_result
from trtllm_api.meta import ResourceRequirements
from trtllm_api.reasons import Reason
from trtllm_operator.manifests.resources import Resources, parse_quantity
from trtllm_operator.shared.conditions import blocked


def test_of_two_that_ask_for_the_same_the_older_one_fetches_whatever_its_name(world: World) -> None:
    world.model("zz-older")
    world.settle("zz-older")
    world.later(seconds=60)
    world.model("aa-younger")
    assert condition(world.settle("aa-younger"), "Reconciling")[1] == "WaitingForSibling"
    assert condition(world.settle("zz-older"), "Reconciling")[1] == "Fetching"


def test_history_keeps_the_ten_newest_entries(world: World) -> None:
    world.model(quality={})
    world.settle()
    world.finish("fetch", fetch_result())
    for turn in range(13):
        world.change("QuantizedModel", quantization={"method": "INT4WeightOnly", "groupSize": 592 + 16 * turn})
        status = world.settle()
    assert len(status["history"]) == 10
    assert "groupSize 784" in status["history"][0]["message"]
    assert "groupSize 640" in status["history"][-1]["message"]


def test_what_blocks_a_resource_is_the_reason_of_ready_and_reconciling_and_of_no_other_condition() -> None:
    wire: list[dict[str, Any]] = [
        {"type": kind, "status": "False", "reason": "Fetching", "message": "m"}
        for kind in ("Ready", "Reconciling", "SourceReady")
    ]
    found = {c["type"]: (c["reason"], c["message"]) for c in blocked(wire, Reason.APPLY_REFUSED, "no quota")}
    assert found == {
        "Ready": ("ApplyRefused", "no quota"),
        "Reconciling": ("ApplyRefused", "no quota"),
        "SourceReady": ("Fetching", "m"),
    }


QUANTITIES = st.one_of(st.none(), st.integers(1, 4096).map("{}Mi".format), st.integers(1, 64).map("{}Gi".format))
CPUS = st.one_of(st.none(), st.integers(1, 64_000).map(lambda milli: f"{milli}m"), st.integers(1, 64).map(str))
COUNTS = st.one_of(st.none(), st.integers(0, 16).map(str))


def _values(memory: st.SearchStrategy[str | None]) -> st.SearchStrategy[dict[str, str]]:
    names = {"memory": memory, "cpu": CPUS, "nvidia.com/gpu": COUNTS}
    return st.fixed_dictionaries(names).map(lambda found: {key: value for key, value in found.items() if value})


@given(
    st.tuples(_values(QUANTITIES), _values(QUANTITIES)),
    st.tuples(_values(QUANTITIES), _values(QUANTITIES)),
)
def test_a_request_never_exceeds_its_limit_and_a_devices_request_is_its_limit(
    planned: tuple[dict[str, str], dict[str, str]], wished: tuple[dict[str, str], dict[str, str]]
) -> None:
    # what is planned is sound itself: requests as large as limits
    base = Resources({**planned[1]}, {**planned[1]})
    user = ResourceRequirements(requests=wished[0], limits=wished[1])
    merged = base.merged(user)
    for name in merged.requests.keys() & merged.limits.keys():
        asked, most = parse_quantity(merged.requests[name]), parse_quantity(merged.limits[name])
        assert asked == most if name == "nvidia.com/gpu" else asked <= most


def test_a_resource_that_failed_stays_failed_when_it_is_suspended(world: World) -> None:
    world.model(quality={})
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", refused_result())
    failed = world.settle()
    world.change("QuantizedModel", suspend=True)
    assert condition(world.settle(), "Stalled")[1] == condition(failed, "Stalled")[1] == "QualityRefused"
