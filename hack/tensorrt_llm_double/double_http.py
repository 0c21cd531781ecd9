"""HTTP side of the double of trtllm-serve: OpenAI's endpoints, health and metrics.

Answers come from the token loop of the builder's own server (trtllm_builder.serve.generation).
"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import tensorrt_llm
from double_adapters import Adapters, Enabled
from double_metrics import Metrics
from double_requests import Answer, Asked, ask, sampled, searched
from double_settings import seconds, version, version_text
from double_upstream import newest, table
from trtllm_builder.serve.generation import Engine, Job, Piece


@dataclass(frozen=True)
class Loaded:
    """Model, tokenizer and manifest of the server."""

    model: Any
    tokenizer: Any
    manifest: Any = None


class Refused(Exception):
    """A refused request, with its HTTP status."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


@dataclass
class Serving:
    """Served model, and its limits."""

    name: str
    loaded: Loaded
    limits: dict[str, int]
    options: dict[str, Any]
    pytorch: bool
    lora: Enabled | None = None
    engine: Engine = field(init=False)
    metrics: Metrics = field(init=False)
    adapters: Adapters = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.loaded)
        self.adapters = Adapters(self.loaded.model, self.lora)
        self.metrics = Metrics()
        self._places = threading.Semaphore(self.limits["max_batch_size"])

    def ask(self, prompt: list[int], body: dict[str, Any]) -> Asked:
        """The request after checks of its limits, with its adapter. Raises Refused or ValueError."""
        adapter = self.adapters.find(body.get("lora_request"))
        asked = ask(self._job(prompt, body), body, self.limits, version(), pytorch=self.pytorch)
        return replace(asked, adapter=adapter)

    def _job(self, prompt: list[int], body: dict[str, Any]) -> Job:
        size, longest = len(prompt), self.limits["max_seq_len"]
        if size > self.limits["max_input_len"]:
            raise Refused(
                400,
                f"Prompt length ({size}) exceeds maximum input length ({self.limits['max_input_len']}). Set log level "
                "to info and check TRTLLM logs for how maximum input length is set",
            )
        if size > self.limits["max_num_tokens"] and not self.options.get("enable_chunked_prefill"):
            raise Refused(
                400,
                f"The sum of prompt length ({float(size)}) and query length (0) should not exceed max_num_tokens "
                f"({self.limits['max_num_tokens']})",
            )
        asked = body.get("max_completion_tokens") or body.get("max_tokens") or longest - size
        if not isinstance(asked, int) or asked < 1:
            raise Refused(400, f"max_tokens must be a positive integer, but it is {asked!r}")
        if size + 1 > longest:
            raise Refused(400, f"Prompt length ({size}) and 1 new token exceed max_seq_len ({longest})")
        stops = body.get("stop") or ()
        temperature = body.get("temperature")
        return Job(
            prompt=tuple(prompt),
            max_tokens=min(asked, longest - size),
            temperature=1.0 if temperature is None else float(temperature),
            top_p=float(body.get("top_p") or 1.0),
            seed=body.get("seed"),
            stops=(stops,) if isinstance(stops, str) else tuple(stops),
        )

    def answer(self, asked: Asked, emit: Callable[[Piece], None]) -> list[Answer]:
        """Choices, best first. `emit` is called with the pieces of sampled ones."""
        queued = time.monotonic()
        pace = seconds("GENERATE_SECONDS")
        seen = 0

        def watched(piece: Piece) -> None:
            nonlocal seen
            # the count begins anew with each sample
            time.sleep(pace * (piece.tokens - (seen if piece.tokens > seen else 0)))
            seen = piece.tokens
            watch.token(seen)
            emit(piece)

        with self.metrics.request(len(asked.job.prompt)) as watch, self.adapters.active(asked.adapter):
            with self._places:
                watch.begin(time.monotonic() - queued)
                if asked.beams > 1:
                    answers = searched(self.loaded.model, self.loaded.tokenizer, asked)
                    time.sleep(pace * max(answer.tokens for answer in answers))
                    watch.token(1)
                else:
                    answers = sampled(self.engine, asked, watched)
            watch.end(sum(answer.tokens for answer in answers))
        return answers

    def prompts(self, body: dict[str, Any]) -> list[list[int]]:
        """Prompts of a request to /v1/completions: a text, token ids, or a list of either."""
        prompt = body.get("prompt")
        if isinstance(prompt, str):
            return [self.engine.encode(prompt)]
        if isinstance(prompt, list) and prompt:
            if all(isinstance(item, int) for item in prompt):
                return [[int(item) for item in prompt]]
            if all(isinstance(item, str) for item in prompt):
                return [self.engine.encode(item) for item in prompt]
            if all(isinstance(item, list) and item and all(isinstance(part, int) for part in item) for item in prompt):
                return [list(item) for item in prompt]
        raise Refused(400, "prompt must be a string, token ids, or a list of these")

    def counts_iterations(self) -> bool:
        """True if /metrics has content: always with engines, by option with PyTorch."""
        own = self.options.get("pytorch_backend_config") or {}
        return not self.pytorch or bool((self.options | own).get("enable_iter_perf_stats"))

    def chat_prompt(self, body: dict[str, Any]) -> list[int]:
        """Prompt of a request to /v1/chat/completions."""
        if not self.loaded.tokenizer.chat_template:
            raise Refused(
                400, "Cannot use chat template functions because tokenizer.chat_template is not set and no template "
                "argument was passed!"
            )  # fmt: skip
        text = self.loaded.tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        return self.engine.encode(text, special=False)


def serve(listener: socket.socket, serving: Serving) -> None:
    """Serve until SIGTERM, and finish running requests."""
    server = ThreadingHTTPServer(listener.getsockname(), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads, server.block_on_close = False, True
    server.serving = serving  # type: ignore[attr-defined]
    server.server_activate()

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"INFO:     Uvicorn running on http://{listener.getsockname()[0]}:{listener.getsockname()[1]}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    @property
    def _serving(self) -> Serving:
        return self.server.serving  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        serving, path = self._serving, self.path.partition("?")[0]
        models = {"object": "list", "data": [{"id": serving.name, "object": "model", "owned_by": "tensorrt_llm"}]}
        if path == "/health":
            self._send(200, b"", "text/plain")
        elif path == "/health_generate" and _has(path):
            self._guard(lambda: self._health_generate(serving))
        elif path == "/version":
            self._json(200, {"version": tensorrt_llm.__version__})
        elif path == "/v1/models":
            self._json(200, models)
        elif path == "/metrics":
            self._json(200, serving.metrics.iterations() if serving.counts_iterations() else [])
        elif path.rstrip("/") == "/prometheus/metrics" and serving.options.get("return_perf_metrics"):
            self._send(200, serving.metrics.exposition(), "text/plain; version=0.0.4")
        else:
            self._json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        calls = {"/v1/completions": self._complete, "/v1/chat/completions": self._chat}
        if path not in calls:
            self._json(404, {"detail": "Not Found"})
            return

        def call() -> None:
            body = json.loads(data)
            if not isinstance(body, dict) or "model" not in body:
                raise Refused(400, "model: Field required")
            calls[path](body)

        self._guard(call)

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Refused as refused:
            self._error(refused.status, str(refused), refused.kind)
        except ValueError as error:
            self._error(400, str(error), "BadRequestError")
        except (KeyError, TypeError) as error:
            self._error(400, f"{type(error).__name__}: {error}", "BadRequestError")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _health_generate(self, serving: Serving) -> None:
        """Handle a chat request of one token, which a model without a chat template cannot answer."""
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "temperature": 0}
        try:
            serving.answer(serving.ask(serving.chat_prompt(body), body), _drop)
        except (Refused, ValueError) as error:
            raise Refused(500, f"Generation health check failed: {error}", "InternalServerError") from error
        self._send(200, b"Generation health check OK", "text/plain")

    def _complete(self, body: dict[str, Any]) -> None:
        serving = self._serving
        requests = [serving.ask(prompt, body) for prompt in serving.prompts(body)]
        head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
        head |= {"model": body["model"]}
        if body.get("stream"):
            if len(requests) != 1:
                raise Refused(400, "the double streams the answer to one prompt only")
            self._stream(head, requests[0], body, lambda text, _: {"text": text}, {"text": ""})
            return
        answers = [answer for asked in requests for answer in serving.answer(asked, _drop)]
        choices = [
            {"index": index, "text": answer.text, "finish_reason": answer.finish, "logprobs": None}
            for index, answer in enumerate(answers)
        ]
        prompted = sum(len(asked.job.prompt) for asked in requests)
        self._json(200, head | {"choices": choices, "usage": _usage(prompted, answers)})

    def _chat(self, body: dict[str, Any]) -> None:
        serving = self._serving
        asked = serving.ask(serving.chat_prompt(body), body)
        kind = "chat.completion.chunk" if body.get("stream") else "chat.completion"
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}
        head |= {"model": body["model"]}
        if body.get("stream"):
            self._stream(
                head,
                asked,
                body,
                lambda text, first: {"delta": {"role": "assistant", "content": text} if first else {"content": text}},
                {"delta": {}},
            )
            return
        answers = serving.answer(asked, _drop)
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(answers)
        ]
        self._json(200, head | {"choices": choices, "usage": _usage(len(asked.job.prompt), answers)})

    def _stream(
        self,
        head: dict[str, Any],
        asked: Asked,
        body: dict[str, Any],
        part: Callable[[str, bool], dict[str, Any]],
        last: dict[str, Any],
    ) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        begun: set[int] = set()

        def send(index: int, text: str) -> None:
            if text or index not in begun:
                choice = {"index": index, "finish_reason": None, **part(text, index not in begun)}
                self._event(head | {"choices": [choice]})
                begun.add(index)

        answers = self._serving.answer(asked, (lambda piece: send(0, piece.text)) if asked.streams else _drop)
        for index, answer in enumerate(answers):
            if not asked.streams:
                # a beam is known when the search has ended
                send(index, answer.text)
            self._event(head | {"choices": [{"index": index, "finish_reason": answer.finish, **last}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event(head | {"choices": [], "usage": _usage(len(asked.job.prompt), answers)})
        for data in _chunks("data: [DONE]\n\n"):
            self.wfile.write(data)
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, value: dict[str, Any]) -> None:
        for data in _chunks(f"data: {json.dumps(value)}\n\n"):
            self.wfile.write(data)
        self.wfile.flush()

    def _error(self, status: int, message: str, kind: str) -> None:
        self._json(status, {"object": "error", "message": message, "type": kind, "param": None, "code": status})

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        print(f"INFO:     {self.address_string()} - {format % args}", flush=True)


def _has(path: str) -> bool:
    """True if the release has an endpoint that only newer releases have."""
    versions = table("endpoints")["versions"]
    return f"GET {path}" in versions[newest(versions, version_text())].get("endpoints", ())


def _chunks(text: str) -> Iterator[bytes]:
    data = text.encode()
    yield f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _usage(prompt: int, answers: list[Answer]) -> dict[str, int]:
    completion = sum(answer.tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _drop(_: Piece) -> None: ...
