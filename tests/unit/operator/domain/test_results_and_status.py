"""Whatever a builder's pod leaves: the operator has a status for it that the CRD's schema takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from support.crd_schema import status_faults
from support.engine_world import KIND, published
from support.hostile_results import NEWS, statuses
from support.hostile_wires import spoilt, wires
from trtllm_api.contract import ProgressLine
from trtllm_operator.outcomes.progress import last_progress, progress_of_line, summed


def tried(count: int) -> settings:
    """So many inputs; large ones are what this is about."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("what", NEWS)
@tried(25)
@given(data=st.data())
def test_a_result_of_any_numbers_and_texts_has_a_status(what: str, data: st.DataObject) -> None:
    plural = "enginebuilds" if NEWS[what].kind == KIND else "quantizedmodels"
    for status in data.draw(statuses(what)):
        assert status_faults(plural, status) == []


@tried(60)
@given(st.lists(spoilt(wires(ProgressLine)), min_size=1, max_size=4))
def test_progress_of_any_numbers_and_texts_has_a_status(lines: list[Any]) -> None:
    logs = ["\n".join(["noise", json.dumps({"progress": line})]) for line in lines]
    read = [line for log in logs if (line := last_progress(log)) is not None]
    event(f"{len(read)} of {len(lines)} lines can be read")
    total = summed(read)
    if total is not None:
        progress = progress_of_line(total, "smollm2-fetch-0123456789").to_wire()
        assert status_faults("quantizedmodels", {"progress": progress}) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"bytes": 10**30}, "$.engine.bytes: maximum"),
        ({"path": "a/" * 600}, "$.engine.path: maxLength"),
        ({"version": "x" * 257}, "$.engine.version: maxLength"),
        ({"digest": "sha256:0"}, "$.engine.digest: pattern"),
        ({"digest": "sha256:" + "0" * 64 + "\n"}, "$.engine.digest: maxLength"),
        ({"unknown": 1}, "$.engine: additionalProperties"),
    ],
)
def test_a_status_that_the_api_server_refuses_is_found(change: dict[str, Any], fault: str) -> None:
    engine = published(1).engine
    assert engine is not None
    wire = {**engine.to_wire(), "requestDigest": engine.digest, "claimName": "a"}
    wire.pop("reused", None)
    assert status_faults("enginebuilds", {"engine": wire}) == []
    assert fault in status_faults("enginebuilds", {"engine": {**wire, **change}})
