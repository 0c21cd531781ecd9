"""HTTP as the launcher speaks it, to trtllm-serve beside it and to the leader's control server."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

MAX_BODY = 1 << 22


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The body's value; None when it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Client:
    """One server; every request has a connection of its own. No answer is an OSError."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    def get(self, path: str, timeout: float) -> Reply:
        """GET."""
        return self._ask("GET", path, None, timeout)

    def post(self, path: str, body: object, timeout: float) -> Reply:
        """POST JSON."""
        return self._ask("POST", path, json.dumps(body).encode(), timeout)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> Reply:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            response = connection.getresponse()
            return Reply(response.status, response.read(MAX_BODY).decode("utf-8", "replace"))
        except (http.client.HTTPException, UnicodeError) as error:
            # UnicodeError: a host name whose label is empty or too long
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
