"""Prevents downloads from the cluster's own addresses, for every library that makes a connection.

A user chooses the address of a source: it could be the cloud's metadata service, or another tenant's server. The check
happens when a socket connects, so that neither a redirect nor a changed DNS answer avoids it.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, input_missing
from trtllm_builder.installation import SOURCE_NETWORKS, Network

_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # Oracle's metadata service
            "168.63.129.16/32",  # Azure's
            "64:ff9b::/96",  # IPv4 addresses, private ones too, written as IPv6
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
            "fec0::/10",
        ),
    )
)
"""Networks that are not public, although Python's ipaddress calls them global."""


class Guard:
    """Refuses connections to addresses that are not public, except in the given networks."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self.refused = False
        """True if a connection was refused."""

    def allows(self, host: str) -> bool:
        """True if a socket may connect to the address."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            # a host name: there is a second check with the address only if Python resolves the name
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._networks):
            return True
        return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)

    def failure(self, host: str) -> BuilderFailure:
        """Failure of a download that this guard refused."""
        return input_missing(
            Reason.SOURCE_ACCESS_DENIED,
            f"{host} has, or redirects to, an address in a private network, from which sources may not be fetched.",
            f"Use a public address, or ask the cluster's administrator to add the network to {SOURCE_NETWORKS} of the "
            "builder pods.",
        )


_active: list[Guard] = []


@contextmanager
def guarded(networks: Sequence[Network]) -> Iterator[Guard]:
    """Check every connection of this process inside the context."""
    _install()
    guard = Guard(networks)
    _active.append(guard)
    try:
        yield guard
    finally:
        _active.remove(guard)


@cache
def _install() -> None:
    """Add the audit hook, which Python cannot remove."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not _active:
        return
    address = arguments[1]
    if not isinstance(address, tuple) or not isinstance(address[0], str):
        # a Unix socket
        return
    for guard in _active:
        if not guard.allows(address[0]):
            guard.refused = True
            raise PermissionError("the address is in a private network")
