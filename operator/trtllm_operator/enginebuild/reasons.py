"""Reasons of an EngineBuild's conditions."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """status.stage: where the resource is."""

    WAITING = "WaitingForModel"
    ROLLING_OUT = "RollingOut"
    SERVING = "Serving"
    SCALED_TO_ZERO = "ScaledToZero"
    SUSPENDED = "Suspended"
    FAILED = "Failed"
    DELETING = "Deleting"


class Reason(StrEnum):
    """Why a condition has its status."""

    SERVING = "Serving"
    """Every replica of the current artifact has answered its known prompt."""
    SCALED_TO_ZERO = "ScaledToZero"
    """No replica is wanted."""
    ROLLING_OUT = "RollingOut"
    """New servers are starting; the old ones serve until they are ready."""
    MODEL_NOT_FOUND = "ModelNotFound"
    """modelRef names a QuantizedModel that does not exist yet."""
    MODEL_NOT_READY = "ModelNotReady"
    """The QuantizedModel is still being worked on."""
    MODEL_FAILED = "ModelFailed"
    """The QuantizedModel cannot get on without a person."""
    MODEL_READY = "ModelReady"
    """The QuantizedModel has an artifact for its spec."""
    LAST_GOOD_ARTIFACT = "LastGoodArtifact"
    """The QuantizedModel has failed or is gone; its last good artifact is served."""
    MODEL_UPDATING = "ModelUpdating"
    """The QuantizedModel is making a new artifact; the last good one is served meanwhile."""
    ROLLOUT_FAILED = "RolloutFailed"
    """The new servers did not get ready in time, or refuse their artifact; old ones serve on."""
    REPLICAS_NOT_READY = "ReplicasNotReady"
    """Servers of the current artifact have stopped answering, or more of them are starting."""
    REPLICA_FAILURE = "ReplicaFailure"
    """Kubernetes refuses to create pods: a quota or an admission policy."""
    SUSPENDED = "Suspended"
    """spec.suspend holds changes back; what serves goes on serving."""
    AVAILABLE = "Available"
    """At least one replica answers."""
    UNAVAILABLE = "Unavailable"
    """No replica answers."""
    DELETING = "Deleting"
    """The resource is on its way out."""
    INVALID_SPEC = "InvalidSpec"
    """The spec passed an older schema and not this operator's."""
