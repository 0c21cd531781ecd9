"""Stage: the values of an EngineBuild's status.stage."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """status.stage: where the resource is."""

    WAITING = "WaitingForModel"
    WAITING_FOR_SIBLING = "Waiting"
    FETCHING = "Fetching"
    CONVERTING = "Converting"
    BUILDING = "Building"
    PUBLISHING = "Publishing"
    BUILT = "Built"
    ROLLING_OUT = "RollingOut"
    SERVING = "Serving"
    SCALED_TO_ZERO = "ScaledToZero"
    SUSPENDED = "Suspended"
    FAILED = "Failed"
    DELETING = "Deleting"
