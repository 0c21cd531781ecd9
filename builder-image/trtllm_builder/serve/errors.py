"""Errors in OpenAI's format, so that its clients show the message."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse


class ApiError(Exception):
    """Error of a request, with a message for the client."""

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
        """True if the error is the server's and not the client's."""
        return self.status == 429 or self.status >= 500

    def body(self) -> dict[str, Any]:
        """The error as JSON for OpenAI's clients."""
        kind = {404: "not_found_error", 429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """The error as an HTTP response."""
        return JSONResponse(self.body(), self.status, self.headers)


def invalid(error: ValidationError) -> ApiError:
    """The first error of a request as an ApiError."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is not valid JSON: {first['ctx']['error']}.", code="invalid_json")
    # a union reports every member that did not match, so only the field's own name is used
    param = str(first["loc"][0]) if first["loc"] else None
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{where}: {message}." if where else f"{message}.", param=param, code="invalid_value")
