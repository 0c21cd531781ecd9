"""Finds the network interface through which the pods of a group reach each other.

Pods with a second network have addresses that the others cannot reach, and MPI would wait for each of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
from typing import Final

_SIOCGIFADDR: Final = 0x8915
_ANY_PORT: Final = 9
"""Port of the route lookup. No packet is sent."""


def interface_towards(host: str) -> str:
    """Name of the interface for packets to the host; empty if it is unknown, as with IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect((host, _ANY_PORT))
        own = route.getsockname()[0]
        for _, name in socket.if_nameindex():
            if _address_of(name, route) == own:
                return name
    return ""


def _address_of(name: str, using: socket.socket) -> str | None:
    """The interface's first IPv4 address."""
    with contextlib.suppress(OSError):
        held = fcntl.ioctl(using.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        return socket.inet_ntoa(held[20:24])
    return None
