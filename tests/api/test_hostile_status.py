"""The real API server takes every status that the operator computes, whatever a builder's pod has left."""

from __future__ import annotations

import pytest
from control_plane import ENGINE_BUILD, QUANTIZED_MODEL, ApiServer
from hypothesis import HealthCheck, given, settings

from support.hostile_results import NEWS, statuses
from support.kubernetes_api import MERGE_PATCH

MODEL = {"source": {"huggingFace": {"repo": "org/model"}}}
BUILD = {"modelRef": {"name": "smollm2"}, "serving": {}}


@pytest.mark.parametrize("what", NEWS)
def test_a_status_after_any_result_is_taken(api: ApiServer, what: str) -> None:
    kind, spec = (QUANTIZED_MODEL, MODEL) if NEWS[what].kind == QUANTIZED_MODEL.name else (ENGINE_BUILD, BUILD)
    api.create(kind, spec, "hostile")
    path = kind.at("hostile", "status")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(statuses(what))
    def every_status_is_taken(found: list[dict[str, object]]) -> None:
        for status in found:
            answer = api.send("PATCH", path, {"status": status}, content=MERGE_PATCH, dryRun="All")
            assert answer.code == 200, answer.message

    every_status_is_taken()
