"""BuilderSettings: the installation's settings for all children; the operator's command line fills them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BuilderSettings:
    """The builder image runs Jobs and servers."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the resources' namespaces."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables of every builder and server pod, such as HF_ENDPOINT or a proxy's."""
    storage_class: str | None = None
    """Class of claims whose resource names none; None: the cluster's default class."""
    drain_seconds: int = 120
    """Seconds in which a server may finish its running requests after SIGTERM."""
