"""Shortening of a result until it fits a termination message: the least useful parts are left out first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

_TEXTS = frozenset({"message", "remedy", "explanation"})
_Wire = dict[str, Any]


def fitted(wire: _Wire, most: int) -> bytes:
    """JSON of at most `most` bytes; `wire` is changed. Raises ValueError if it stays longer."""
    cuts: list[Callable[[], None]] = [
        partial(_keep_proposals, wire, 1),
        *(partial(_cut_texts, wire, limit) for limit in (480, 240, 120)),
        partial(_keep_proposals, wire, 0),
        *(partial(_cut_texts, wire, limit) for limit in (60, 30, 15)),
        partial(_drop, wire, "explanation"),
        partial(_drop, wire, "message"),
        *_linear_cuts(wire),
    ]
    encoded = _encode(wire)
    for cut in cuts:
        if len(encoded) <= most:
            break
        cut()
        encoded = _encode(wire)
    if len(encoded) > most:
        raise ValueError(f"a result of {len(encoded)} bytes does not fit {most}")
    return encoded


def _encode(wire: _Wire) -> bytes:
    return json.dumps(wire, separators=(",", ":"), ensure_ascii=False).encode()


def _candidates(wire: _Wire) -> list[_Wire]:
    found: list[_Wire] = wire.get("quantize", {}).get("candidates", [])
    return found


def _keep_proposals(wire: _Wire, count: int) -> None:
    """Keep the proposals of the `count` smallest artifacts."""
    having = [candidate for candidate in _candidates(wire) if "proposal" in candidate]
    for candidate in sorted(having, key=lambda item: int(item["proposal"]["bytes"]))[count:]:
        del candidate["proposal"]


def _drop(wire: _Wire, field: str) -> None:
    for candidate in _candidates(wire):
        candidate.pop(field, None)


def _cut_texts(value: object, limit: int) -> None:
    """Shorten every text for people to `limit` characters."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _TEXTS and len(item) > limit:
                value[key] = item[: limit - 1] + "…"
            else:
                _cut_texts(item, limit)
    if isinstance(value, list):
        for item in value:
            _cut_texts(item, limit)


def _linear_cuts(wire: _Wire) -> Iterator[Callable[[], None]]:
    """Cuts that each leave out one kind of linear layer, the smallest first."""
    facts: _Wire = wire.get("fetch", {}).get("facts", {})
    for linear in sorted(facts.get("linears", []), key=_weight_count):
        yield partial(_leave_out, facts, linear)


def _weight_count(linear: _Wire) -> int:
    return int(linear["outFeatures"] * linear["inFeatures"] * linear["count"])


def _leave_out(facts: _Wire, linear: _Wire) -> None:
    """Leave out one kind of linear layer; its number of weights stays in details.otherLinears."""
    facts["linears"].remove(linear)
    details: _Wire = facts.setdefault("details", {})
    details["otherLinears"] = int(details.get("otherLinears", 0)) + _weight_count(linear)
