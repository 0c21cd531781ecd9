"""Control server: health for the kubelet and, on a leader, the rendezvous."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trtllm_api.reasons import Reason
from trtllm_builder.failure import transient
from trtllm_builder.launch.rendezvous import Rendezvous
from trtllm_builder.launch.settings import Settings
from trtllm_builder.launch.state import State

_STEP_SECONDS = 0.1
"""Longest time that closing takes."""


class Control:
    """Control server. It listens from the start, so that the kubelet does not kill a pod during slow checks."""

    def __init__(self, settings: Settings, state: State) -> None:
        """Start to listen. Raises BuilderFailure if the port is in use."""
        self.rendezvous: Rendezvous | None = None
        try:
            self._server = _Server((settings.host, settings.control_port), _Handler)
        except OSError as error:
            raise transient(
                Reason.INTERNAL_ERROR,
                f"The launcher cannot listen on {settings.host}:{settings.control_port}: {error.strerror}.",
                "Set --control-port to a free port.",
            ) from error
        self._server.state, self._server.control = state, self
        threading.Thread(target=self._server.serve_forever, args=(_STEP_SECONDS,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # an open request must not delay the end of the process
    block_on_close = False
    state: State
    control: Control


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        path, query = self._asked()
        state, rendezvous = self.server.state, self.server.control.rendezvous
        if path == "/health/live":
            self._answer(state.live, state.to_wire())
        elif path == "/health/ready":
            self._answer(state.ready, state.to_wire())
        elif path == "/rendezvous" and rendezvous is not None:
            asks = (query.get("host", ""), query.get("run", ""), self.client_address[0], query.get("interface", ""))
            reply = rendezvous.poll(*asks)
            self._send(HTTPStatus.NOT_FOUND if reply is None else HTTPStatus.OK, reply or {})
        else:
            self._send(HTTPStatus.NOT_FOUND, {})

    def do_POST(self) -> None:
        path, query = self._asked()
        rendezvous, status = self.server.control.rendezvous, query.get("status", "")
        known = (
            path == "/rendezvous"
            and rendezvous is not None
            and status.isdecimal()
            and rendezvous.ended(query.get("host", ""), query.get("run", ""), min(int(status[:4]), 255))
        )
        self._send(HTTPStatus.OK if known else HTTPStatus.NOT_FOUND, {})

    def log_message(self, *_: object) -> None:
        """Log nothing: probes come every few seconds."""

    def _asked(self) -> tuple[str, dict[str, str]]:
        url = urlsplit(self.path)
        return url.path, {name: values[0] for name, values in parse_qs(url.query).items()}

    def _answer(self, good: bool, body: dict[str, Any]) -> None:
        self._send(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, body)

    def _send(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)
