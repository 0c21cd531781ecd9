"""Step: one action of the reconcile loop; the kinds' steps functions make them, the Reconciler takes them."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_operator.kube.objects import Manifest


@dataclass(frozen=True)
class Apply:
    """Apply the manifest server-side; not again while it has not changed."""

    manifest: Manifest


@dataclass(frozen=True)
class Delete:
    """Delete an object in the background; no error if it is gone."""

    kind: str
    name: str


@dataclass(frozen=True)
class Scale:
    """Change nothing but the number of replicas of an object that is there."""

    kind: str
    name: str
    replicas: int


@dataclass(frozen=True)
class ReadLogs:
    """Read the tail of a running pod's log for its last progress line, now and then."""

    pod: str
    container: str


@dataclass(frozen=True)
class Requeue:
    """Look again after so many seconds, even if nothing happens."""

    seconds: float


Step = Apply | Delete | Scale | ReadLogs | Requeue
Steps = tuple[Step, ...]
