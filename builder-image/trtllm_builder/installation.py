"""Limits of the installation: environment variables of every builder pod, which the operator's chart sets.

TRTLLM_TOKEN_ORIGINS, TRTLLM_SOURCE_NETWORKS and TRTLLM_SOURCE_MAX_BYTES limit where tokens are sent and sources are
fetched from. Without them tokens are sent to huggingface.co only, and sources are fetched from public addresses only.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure

TOKEN_ORIGINS: Final = "TRTLLM_TOKEN_ORIGINS"
"""Hubs that may get a token: origins such as https://hub.example.com, separated by commas."""
SOURCE_NETWORKS: Final = "TRTLLM_SOURCE_NETWORKS"
"""Private networks that sources may be fetched from, such as 10.0.0.0/8, separated by commas."""
SOURCE_MAX_BYTES: Final = "TRTLLM_SOURCE_MAX_BYTES"
"""Size of the largest source that is fetched, in bytes."""
HUB: Final = "https://huggingface.co"
_MAX_BYTES: Final = 4 << 40
_SEPARATOR: Final = re.compile(r"[,\s]+")
_PORTS: Final = {"http": 80, "https": 443}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Installation:
    """Limits of this installation."""

    token_origins: frozenset[str]
    networks: tuple[Network, ...]
    max_bytes: int

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Installation:
        """Read the variables; raises BadRequest for an invalid value."""
        try:
            origins = frozenset(map(origin_of, _words(environment.get(TOKEN_ORIGINS, HUB))))
            networks = tuple(map(ipaddress.ip_network, _words(environment.get(SOURCE_NETWORKS, ""))))
            most = int(environment.get(SOURCE_MAX_BYTES) or _MAX_BYTES)
        except ValueError as error:
            raise BuilderFailure(
                ExitCode.BAD_REQUEST,
                Reason.BAD_REQUEST,
                f"One of {TOKEN_ORIGINS}, {SOURCE_NETWORKS} and {SOURCE_MAX_BYTES} cannot be read: {error}.",
                "Ask the cluster's administrator to correct the environment of builder pods in the chart's values.",
            ) from error
        return cls(origins, networks, most)

    def trusts(self, url: str) -> bool:
        """True if a token may be sent to the URL."""
        try:
            return origin_of(url) in self.token_origins
        except ValueError:
            return False


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL; https if it has no scheme. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an origin is https:// and a host")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATOR.split(text) if word]
