"""Reasons of a QuantizedModel's conditions; FailureReasons, DiagnosisReasons and the rules' names join them."""

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


class Reason(StrEnum):
    """Why a condition has its status."""

    ARTIFACT_READY = "ArtifactReady"
    """The artifact passed, or its user said that a warning is enough."""
    ARTIFACT_REUSED = "ArtifactReused"
    """Another resource asked for the same: its artifact is this one's too."""
    FETCHING = "Fetching"
    """The source is being downloaded and verified."""
    FETCHED = "Fetched"
    """The source is pinned and verified."""
    SOURCE_REUSED = "SourceReused"
    """Another resource has fetched the same source."""
    QUANTIZING = "Quantizing"
    """Candidates are being made and measured."""
    QUANTIZED = "Quantized"
    """A candidate was published."""
    WAITING_FOR_SIBLING = "WaitingForSibling"
    """Another resource is working on the same; it is not done twice."""
    DATASET_MISSING = "DatasetMissing"
    """A ConfigMap with calibration or evaluation data does not exist yet, or lacks the key."""
    NO_GPU_NODES = "NoGpuNodes"
    """No method is named, and there is no node with a GPU yet to plan one for."""
    PASSED = "Passed"
    """Every preflight rule, or the quality gate for the method asked for, is content."""
    PASSED_BY_FALLBACK = "PassedByFallback"
    """The gate refused the method asked for and passed a fallback."""
    WARNED = "Warned"
    """The gate refused the artifact and onFailure Warn ships it all the same."""
    QUALITY_REFUSED = "QualityRefused"
    """The gate refused every candidate."""
    NOT_REACHED = "NotReached"
    """An earlier stage has not ended yet."""
    SUSPENDED = "Suspended"
    """spec.suspend stopped the work; what was finished stays."""
    DELETING = "Deleting"
    """The resource is on its way out."""
    INVALID_SPEC = "InvalidSpec"
    """The spec passed an older schema and not this operator's."""
