from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trtllm_operator.loop.events import transition_event

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RESOURCE: dict[str, Any] = {
    "apiVersion": "trtllm.dev/v1alpha1",
    "kind": "QuantizedModel",
    "metadata": {"name": "m", "namespace": "default", "uid": "u", "resourceVersion": "7"},
}


def status(reason: str, *, ready: str = "False", stalled: bool = False) -> dict[str, Any]:
    told = [{"type": "Ready", "status": ready, "reason": reason, "message": f"{reason} it is"}]
    return {"conditions": told + ([{"type": "Stalled", "status": "True", "reason": reason}] if stalled else [])}


def event(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    return transition_event(RESOURCE, before, after, "operator-1", NOW)


def test_a_new_reason_is_an_event_with_the_conditions_message() -> None:
    found = event({}, status("Fetching"))
    assert found is not None
    assert (found["type"], found["reason"], found["message"]) == ("Normal", "Fetching", "Fetching it is")
    assert found["involvedObject"]["uid"] == "u"
    assert found["reportingInstance"] == "operator-1"


def test_the_same_reason_is_no_event() -> None:
    assert event(status("Fetching"), status("Fetching")) is None


def test_a_resource_that_cannot_get_on_is_a_warning() -> None:
    found = event(status("Fetching"), status("SourceCorrupt", stalled=True))
    assert found is not None
    assert found["type"] == "Warning"


def test_becoming_ready_for_the_same_reason_is_an_event_too() -> None:
    assert event(status("Ready"), status("Ready", ready="True")) is not None


def test_names_of_events_differ() -> None:
    first, second = event({}, status("Fetching")), event({}, status("Fetching"))
    assert first is not None
    assert second is not None
    assert first["metadata"]["name"] != second["metadata"]["name"]
