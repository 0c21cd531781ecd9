"""Conditions as kstatus means them; pure, used by both kinds' compute_status.

Ready always has a condition; Reconciling and Stalled exist only while they are true, and never both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trtllm_api.meta import Condition, ConditionList, ConditionStatus
from trtllm_api.problem import as_sentence
from trtllm_api.reasons import Reason

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
MAX_MESSAGE = 4096


@dataclass(frozen=True)
class Fact:
    """One condition before it has a time."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str = ""


def conditions(facts: Iterable[Fact], previous: ConditionList, generation: int, now: datetime) -> ConditionList:
    """The facts as conditions: lastTransitionTime moves only where the status differs from the previous one's."""
    before = {condition.type: condition for condition in previous}
    return tuple(_condition(fact, before.get(fact.type), generation, now) for fact in facts)


def _condition(fact: Fact, before: Condition | None, generation: int, now: datetime) -> Condition:
    unchanged = before is not None and before.status is fact.status
    return Condition(
        type=fact.type,
        status=fact.status,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before and unchanged else timestamp(now),
        reason=fact.reason,
        message=cut(as_sentence(fact.message)),
    )


def timestamp(now: datetime) -> str:
    """The time as Kubernetes writes it, in whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cut(message: str, limit: int = MAX_MESSAGE) -> str:
    """The message cut to `limit` characters."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def ready(reason: Reason, message: str) -> tuple[Fact, ...]:
    """It is as the spec wants it."""
    return (Fact(READY, ConditionStatus.TRUE, reason, message),)


def reconciling(reason: Reason, message: str) -> tuple[Fact, ...]:
    """Something is being done, or waited for."""
    return (
        Fact(READY, ConditionStatus.FALSE, reason, message),
        Fact(RECONCILING, ConditionStatus.TRUE, reason, message),
    )


def stalled(reason: Reason, message: str) -> tuple[Fact, ...]:
    """It cannot get on without a person."""
    return (
        Fact(READY, ConditionStatus.FALSE, reason, message),
        Fact(STALLED, ConditionStatus.TRUE, reason, message),
    )


def suspended(reason: Reason, message: str) -> tuple[Fact, ...]:
    """Nothing is done, and nothing is wrong."""
    return (Fact(READY, ConditionStatus.FALSE, reason, message),)


def blocked(wire: list[dict[str, Any]], reason: Reason, message: str) -> list[dict[str, Any]]:
    """Conditions, as JSON, of a resource that waits for the API server: Ready and Reconciling have this reason."""
    told = {READY, RECONCILING}
    return [{**c, "reason": reason.value, "message": cut(message)} if c["type"] in told else c for c in wire]


def broken(
    before: Mapping[str, Any], generation: int, now: datetime, reason: Reason, message: str, *, final: bool
) -> dict[str, Any]:
    """Status, as JSON, of a resource whose pass failed: everything as it was, and Ready False with the cause."""
    facts = stalled(reason, message) if final else reconciling(reason, message)
    old = [c for c in before.get("conditions") or () if isinstance(c, dict)]
    known = {c.get("type"): c for c in old}
    told = []
    for fact in facts:
        last = known.get(fact.type) or {}
        moved = last.get("status") != fact.status.value
        told.append(
            {
                "type": fact.type,
                "status": fact.status.value,
                "observedGeneration": generation,
                "lastTransitionTime": timestamp(now) if moved else last.get("lastTransitionTime", timestamp(now)),
                "reason": reason.value,
                "message": cut(message),
            }
        )
    kept = [c for c in old if c.get("type") not in {READY, RECONCILING, STALLED}]
    return {**before, "observedGeneration": generation, "conditions": [*told, *kept]}
