"""Stage: the values of a QuantizedModel's status.stage."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """status.stage: where the resource is."""

    FETCHING = "Fetching"
    QUANTIZING = "Quantizing"
    WAITING = "Waiting"
    SUSPENDED = "Suspended"
    FAILED = "Failed"
    READY = "Ready"
    DELETING = "Deleting"
