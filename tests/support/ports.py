"""Ports for the servers that tests start."""

from __future__ import annotations

import fcntl
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOWEST, _BLOCK, _BLOCKS = 11000, 100, 50
"""All below 32768: from there on Linux gives ports to connections, and one may take a port that was just free."""


def free_port() -> int:
    """A port on which nobody listens, and that no other call returns: in this run, or in one beside it."""
    return next(_ports)


def _own() -> Iterator[int]:
    locks = []
    for block in range(_BLOCKS):
        locks.append(Path(tempfile.gettempdir(), f"trtllm-test-ports-{block}").open("w"))  # noqa: SIM115 - held to the end
        try:
            fcntl.flock(locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        for port in range(_LOWEST + block * _BLOCK, _LOWEST + (block + 1) * _BLOCK):
            if _is_free(port):
                yield port
    raise RuntimeError(f"All of {_BLOCKS} blocks of ports from {_LOWEST} on are in use.")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("0.0.0.0", port)).close()  # noqa: S104 - a listener on any address is found
    except OSError:
        return False
    return True


_ports = _own()
