"""Unix socket through which mpirun's agents give remote commands to the leader's launcher."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import threading
from pathlib import Path

from trtllm_builder.launch.rendezvous import Rendezvous

_STEP_SECONDS = 0.1
"""Longest time that closing takes."""


class Handover:
    """Server of the socket, in a directory that only this pod can read."""

    def __init__(self, path: Path, rendezvous: Rendezvous) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = _Server(str(path), _Handler)
        finally:
            os.umask(before)
        self._server.rendezvous = rendezvous
        threading.Thread(target=self._server.serve_forever, args=(_STEP_SECONDS,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self.path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    rendezvous: Rendezvous


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        # mpirun may have killed the agent before or during its request
        with contextlib.suppress(ValueError, KeyError, OSError):
            request = json.loads(self.rfile.readline())
            status = self.server.rendezvous.give(request["host"], request["command"])
            self.wfile.write(f"{status}\n".encode())
