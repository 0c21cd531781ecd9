"""HTTP client for trtllm-serve in the same pod and for the leader's control server."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

MAX_BODY = 1 << 22


@dataclass(frozen=True)
class Reply:
    """Answer of a server."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """Value of the body; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Client:
    """Client of one server. Every request opens a connection; a server that does not answer raises OSError."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def get(self, path: str, timeout: float) -> Reply:
        """Send a GET request."""
        return self._ask("GET", path, None, timeout)

    def post(self, path: str, body: object, timeout: float) -> Reply:
        """Send a POST request with a JSON body."""
        return self._ask("POST", path, json.dumps(body).encode(), timeout)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> Reply:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            response = connection.getresponse()
            return Reply(response.status, response.read(MAX_BODY).decode("utf-8", "replace"))
        except (http.client.HTTPException, UnicodeError) as error:
            # UnicodeError: a label of the host name is empty or too long
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
