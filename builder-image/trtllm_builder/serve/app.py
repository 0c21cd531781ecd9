"""HTTP routes: OpenAI's endpoints, health, version and metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import metadata
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trtllm_builder.failure import first_line
from trtllm_builder.serve.answer import ChatAnswer, CompletionAnswer
from trtllm_builder.serve.completions import respond
from trtllm_builder.serve.errors import ApiError, invalid
from trtllm_builder.serve.generation import Engine, Job
from trtllm_builder.serve.metrics import ENGINE_TYPE
from trtllm_builder.serve.prompt import chat_job, completion_job
from trtllm_builder.serve.protocol import ChatCompletionRequest, CompletionRequest, GenerationRequest
from trtllm_builder.serve.runtime import Phase, Runtime
from trtllm_builder.serve.scheduler import QueueFull
from trtllm_builder.serve.session import Session

_RETRY = {"retry-after": "5"}
R = TypeVar("R", bound=GenerationRequest)


class Routes:
    """Handlers of the routes for one Runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._created = int(time.time())

    async def chat(self, request: Request) -> Response:
        """Handle POST /v1/chat/completions."""
        body, session = await self._start(request, ChatCompletionRequest, chat_job)
        return await respond(request, session, ChatAnswer(body), self._runtime.metrics)

    async def completion(self, request: Request) -> Response:
        """Handle POST /v1/completions."""
        body, session = await self._start(request, CompletionRequest, completion_job)
        return await respond(request, session, CompletionAnswer(body), self._runtime.metrics)

    async def models(self, _: Request) -> Response:
        """Handle GET /v1/models."""
        model = {"id": self._runtime.model_name, "object": "model", "created": self._created, "owned_by": "trtllm"}
        return JSONResponse({"object": "list", "data": [model]})

    async def version(self, _: Request) -> Response:
        """Handle GET /version: versions of the server and its engine, and the artifact if it is loaded."""
        return JSONResponse(
            {
                "version": _version("trtllm-builder"),
                "engine": ENGINE_TYPE,
                "engineVersion": _version("transformers"),
                "artifact": self._runtime.artifact,
            }
        )

    async def live(self, _: Request) -> Response:
        """Handle GET /health/live: the process answers."""
        return JSONResponse({"status": "live"})

    async def ready(self, _: Request) -> Response:
        """Handle GET /health/ready and /health: the server takes requests."""
        phase = self._runtime.phase
        failure = self._runtime.failure
        detail = {"reason": failure.reason, "message": failure.message} if failure else {}
        return JSONResponse({"status": phase, **detail}, 200 if phase is Phase.READY else 503)

    async def metrics(self, _: Request) -> Response:
        """Handle GET /metrics."""
        return Response(self._runtime.metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def refuse(self, _: Request, error: Exception) -> Response:
        """Handle an error: the response has OpenAI's format."""
        if isinstance(error, HTTPException):
            error = ApiError(error.status_code, f"{error.detail}.")
        if not isinstance(error, ApiError):
            error = ApiError(500, f"The server failed: {type(error).__name__}: {first_line(error)}")
        if error.servers_fault:
            self._runtime.metrics.errors.inc()
        return error.response()

    async def _start(self, request: Request, kind: type[R], job_of: Callable[[Engine, R], Job]) -> tuple[R, Session]:
        try:
            body = kind.model_validate_json(await request.body())
        except ValidationError as error:
            raise invalid(error) from error
        except ClientDisconnect as error:
            raise ApiError(400, "The client left before the body was complete.") from error
        name = self._runtime.model_name
        if body.model != name:
            raise ApiError(
                404,
                f"The model {body.model} does not exist. This server serves {name}.",
                param="model",
                code="model_not_found",
            )
        engine = self._runtime.engine
        if engine is None or self._runtime.phase is not Phase.READY:
            raise ApiError(
                503, f"{name} is {self._runtime.phase}. Retry later.", code=self._runtime.phase, headers=_RETRY
            )
        job = job_of(engine, body)
        try:
            return body, self._runtime.start(engine, job)
        except QueueFull as error:
            waiting = self._runtime.scheduler.max_waiting
            raise ApiError(
                429,
                f"The queue is full: {waiting} requests are waiting. Retry later.",
                code="queue_full",
                headers=_RETRY,
            ) from error


def create_app(runtime: Runtime) -> Starlette:
    """The application. Its answers depend on the runtime's phase."""
    routes = Routes(runtime)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", routes.chat, methods=["POST"]),
            Route("/v1/completions", routes.completion, methods=["POST"]),
            Route("/v1/models", routes.models),
            Route("/version", routes.version),
            Route("/health", routes.ready),
            Route("/health/live", routes.live),
            Route("/health/ready", routes.ready),
            Route("/metrics", routes.metrics),
        ],
        exception_handlers={ApiError: routes.refuse, HTTPException: routes.refuse, Exception: routes.refuse},
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
