"""Runs a validated request and sends its answer, whole or as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from trtllm_builder.failure import first_line
from trtllm_builder.serve.answer import Writer, usage_of
from trtllm_builder.serve.errors import ApiError
from trtllm_builder.serve.generation import ABORT, Piece
from trtllm_builder.serve.metrics import Metrics
from trtllm_builder.serve.session import Session

_CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client left. It must not count as an error of the server."""


async def respond(request: Request, session: Session, writer: Writer, metrics: Metrics) -> Response:
    """Response of the request. The session is cancelled if its client leaves."""
    if writer.request.stream:
        return _EventStream(session, _events(session, writer, metrics))
    return await _whole(request, session, writer)


async def _whole(request: Request, session: Session, writer: Writer) -> Response:
    watcher = asyncio.create_task(_client_leaves(request))
    watcher.add_done_callback(lambda _: session.cancel())
    text, last = "", Piece("", 0)
    try:
        async for last in _checked(session):
            text += last.text
    except ApiError:
        if watcher.done():
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        raise
    finally:
        watcher.cancel()
    usage = usage_of(len(session.job.prompt), last.tokens)
    return Response(writer.whole(text, last.finish or "", usage).to_json(), media_type="application/json")


async def _events(session: Session, writer: Writer, metrics: Metrics) -> AsyncIterator[str]:
    try:
        async for piece in _checked(session):
            for chunk in writer.chunks(piece):
                yield _event(chunk.to_json())
            if piece.finish and writer.request.wants_usage:
                yield _event(writer.usage_chunk(usage_of(len(session.job.prompt), piece.tokens)).to_json())
        yield _event("[DONE]")
    except ApiError as error:
        # the status line is already sent: the error is an event, and no [DONE] follows
        metrics.errors.inc()
        yield _event(json.dumps(error.body()))


async def _checked(session: Session) -> AsyncIterator[Piece]:
    """Pieces of the answer. Errors are raised as ApiError."""
    try:
        async for piece in session.pieces():
            if piece.finish == ABORT:
                break
            yield piece
        else:
            return
    except Exception as error:
        raise ApiError(
            500, f"The model failed: {type(error).__name__}: {first_line(error)}", code="generation_failed"
        ) from error
    raise ApiError(503, "The server shut down before the answer was complete.", code="shutting_down")


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _EventStream(StreamingResponse):  # type: ignore[misc, unused-ignore]
    """Event stream that cancels its session at the end, even if the client left before the first event."""

    def __init__(self, session: Session, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._session.cancel()


def _event(data: str) -> str:
    return f"data: {data}\n\n"
