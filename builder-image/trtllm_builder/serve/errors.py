"""Errors in OpenAI's shape, so that its clients show the sentence; app.py raises and renders them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse


class ApiError(Exception):
    """One sentence for whoever sent the request."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers

    @property
    def servers_fault(self) -> bool:
        """Whether it counts as an error of the server: the client did nothing wrong."""
        return self.status == 429 or self.status >= 500

    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI's clients understand."""
        kind = {404: "not_found_error", 429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The HTTP response."""
        return JSONResponse(self.body(), self.status, self.headers)


def invalid(error: ValidationError) -> ApiError:
    """The first thing that is wrong with a request."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is not valid JSON: {first['ctx']['error']}.", code="invalid_json")
    # A union reports every member that did not fit; the field's own name is what a person recognises.
    param = str(first["loc"][0]) if first["loc"] else None
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{where}: {message}." if where else f"{message}.", param=param, code="invalid_value")
