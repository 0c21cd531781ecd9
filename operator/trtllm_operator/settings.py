"""Settings of an installation; cli.py makes them once from flags and environment, everything else only reads them."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_operator.manifests.builder_settings import BuilderSettings


@dataclass(frozen=True)
class LeaseSettings:
    """The Lease that elects the working replica. Seconds as client-go's controllers have them."""

    name: str
    namespace: str
    identity: str
    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


@dataclass(frozen=True)
class Settings:
    """Ports are 0 for "any free one", None for "none"."""

    builder: BuilderSettings
    lease: LeaseSettings | None
    """None: the only operator there is, such as one started from a shell."""
    namespaces: tuple[str, ...] = ()
    """Empty: all."""
    metrics_port: int | None = 9090
    health_port: int | None = 8080
    bind: str = ""
    """Address of both ports; empty: all of the pod's."""
    workers: int = 16
    resync_seconds: float = 300.0
    request_timeout: float = 30.0
    log_seconds: float = 5.0
    """A running pod's log is read at most that often."""
    progress_seconds: float = 10.0
    """Status is written at most that often for progress alone."""
    log_level: str = "info"
    log_format: str = "json"
