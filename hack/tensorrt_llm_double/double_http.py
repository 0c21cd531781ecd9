"""The HTTP side of the double of trtllm-serve: OpenAI's endpoints, health and metrics; serve.py calls `serve`.

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
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import tensorrt_llm
from double_metrics import Metrics
from double_settings import seconds
from trtllm_builder.serve.generation import Engine, Job, Piece


@dataclass(frozen=True)
class Loaded:
    """What answers."""

    model: Any
    tokenizer: Any
    manifest: Any = None


class Refused(Exception):
    """A request that is not answered, with its HTTP status."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


@dataclass
class Serving:
    """What is served, and within which limits."""

    name: str
    loaded: Loaded
    limits: dict[str, int]
    options: dict[str, Any]
    pytorch: bool
    engine: Engine = field(init=False)
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.loaded)
        self.metrics = Metrics(self.name, "pytorch" if self.pytorch else "trt")
        self._places = threading.Semaphore(self.limits["max_batch_size"])

    def job(self, prompt: list[int], body: dict[str, Any]) -> Job:
        """Checked against the limits; raises Refused."""
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

    def run(self, job: Job, emit: Callable[[Piece], None]) -> int:
        """Generate; the number of tokens."""
        tokens = 0
        queued = time.monotonic()

        def pace(piece: Piece) -> None:
            nonlocal tokens
            time.sleep(seconds("GENERATE_SECONDS") * (piece.tokens - tokens))
            tokens = piece.tokens
            watch.token(tokens)
            emit(piece)

        with self.metrics.request(len(job.prompt)) as watch:
            with self._places:
                watch.begin(time.monotonic() - queued)
                self.engine.run(job, pace, threading.Event())
            watch.end(tokens)
        return tokens

    def prompts(self, body: dict[str, Any]) -> list[list[int]]:
        """Of /v1/completions: a text, token ids, or a list of either."""
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

    def chat_prompt(self, body: dict[str, Any]) -> list[int]:
        """Of /v1/chat/completions."""
        if not self.loaded.tokenizer.chat_template:
            raise Refused(
                400, "Cannot use chat template functions because tokenizer.chat_template is not set and no template "
                "argument was passed!"
            )  # fmt: skip
        text = self.loaded.tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        return self.engine.encode(text, special=False)


def serve(listener: socket.socket, serving: Serving) -> None:
    """Until SIGTERM; requests that run are finished first."""
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
        elif path == "/health_generate":
            self._guard(lambda: self._health_generate(serving))
        elif path == "/version":
            self._json(200, {"version": tensorrt_llm.__version__})
        elif path == "/v1/models":
            self._json(200, models)
        elif path == "/metrics":
            wanted = serving.options.get("enable_iter_perf_stats") or (
                serving.options.get("pytorch_backend_config") or {}
            ).get("enable_iter_perf_stats")
            self._json(200, serving.metrics.iterations() if wanted else [])
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
        except (KeyError, TypeError, ValueError) as error:
            self._error(400, f"{type(error).__name__}: {error}", "BadRequestError")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _health_generate(self, serving: Serving) -> None:
        serving.run(Job(tuple(serving.engine.encode("Hi")), 1, 0.0), _drop)
        self._send(200, b"", "text/plain")

    def _complete(self, body: dict[str, Any]) -> None:
        serving = self._serving
        jobs = [serving.job(prompt, body) for prompt in serving.prompts(body)]
        head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
        head |= {"model": body["model"]}
        if body.get("stream"):
            if len(jobs) != 1:
                raise Refused(400, "the double streams the answer to one prompt only")
            self._stream(head, jobs[0], body, lambda text, _: {"text": text}, {"text": ""})
            return
        choices, used, prompted = [], 0, 0
        for index, job in enumerate(jobs):
            text, finish, tokens = self._collect(job)
            choices.append({"index": index, "text": text, "finish_reason": finish, "logprobs": None})
            used, prompted = used + tokens, prompted + len(job.prompt)
        self._json(200, head | {"choices": choices, "usage": _usage(prompted, used)})

    def _chat(self, body: dict[str, Any]) -> None:
        serving = self._serving
        job = serving.job(serving.chat_prompt(body), body)
        kind = "chat.completion.chunk" if body.get("stream") else "chat.completion"
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}
        head |= {"model": body["model"]}
        if body.get("stream"):
            self._stream(
                head,
                job,
                body,
                lambda text, first: {"delta": {"role": "assistant", "content": text} if first else {"content": text}},
                {"delta": {}},
            )
            return
        text, finish, tokens = self._collect(job)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        self._json(200, head | {"choices": [choice], "usage": _usage(len(job.prompt), tokens)})

    def _collect(self, job: Job) -> tuple[str, str, int]:
        pieces: list[Piece] = []
        tokens = self._serving.run(job, pieces.append)
        return "".join(piece.text for piece in pieces), str(pieces[-1].finish), tokens

    def _stream(
        self,
        head: dict[str, Any],
        job: Job,
        body: dict[str, Any],
        part: Callable[[str, bool], dict[str, Any]],
        last: dict[str, Any],
    ) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        first = True

        def emit(piece: Piece) -> None:
            nonlocal first
            if piece.text or first:
                self._event(head | {"choices": [{"index": 0, "finish_reason": None, **part(piece.text, first)}]})
                first = False

        finishes: list[str] = []

        def watched(piece: Piece) -> None:
            emit(piece)
            if piece.finish:
                finishes.append(piece.finish)

        tokens = self._serving.run(job, watched)
        self._event(head | {"choices": [{"index": 0, "finish_reason": finishes[-1], **last}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event(head | {"choices": [], "usage": _usage(len(job.prompt), tokens)})
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


def _chunks(text: str) -> Iterator[bytes]:
    data = text.encode()
    yield f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _drop(_: Piece) -> None: ...
