"""Prometheus metrics of the server, under TensorRT-LLM's names.

Each server has its own registry, without the process metrics of the Python client; tests start several servers.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LABELS = ("model_name", "engine_type")
ENGINE_TYPE = "transformers"
_LATENCY = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
_FIRST_TOKEN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_PER_TOKEN = (0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
_QUEUE = (0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Metrics of one server."""

    def __init__(self, model_name: str, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._values = {"model_name": model_name, "engine_type": ENGINE_TYPE}
        self._gauge("trtllm_num_requests_running", "Requests that are generating.", running)
        self._gauge("trtllm_num_requests_waiting", "Requests that are waiting for a worker.", waiting)
        self._success = Counter(
            "trtllm_request_success",
            "Requests that completed, or that the client cancelled.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )
        self.errors = self._counter("trtllm_request_error", "Requests with status 429 or 5xx.")
        self.prompt_tokens = self._counter("trtllm_prompt_tokens", "Processed prompt tokens.")
        self.generation_tokens = self._counter("trtllm_generation_tokens", "Generated tokens.")
        self.latency = self._histogram(
            "trtllm_e2e_request_latency_seconds", "Time from arrival to the end of the answer.", _LATENCY
        )
        self.first_token = self._histogram(
            "trtllm_time_to_first_token_seconds", "Time from arrival to the first token.", _FIRST_TOKEN
        )
        self.per_token = self._histogram(
            "trtllm_time_per_output_token_seconds", "Mean time per token after the first.", _PER_TOKEN
        )
        self.queue_time = self._histogram(
            "trtllm_request_queue_time_seconds", "Time from arrival to the start of generation.", _QUEUE
        )

    def success(self, finished_reason: str) -> None:
        """Count the end of a request."""
        self._success.labels(**self._values, finished_reason=finished_reason).inc()

    def exposition(self) -> bytes:
        """Metrics as text for Prometheus."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, _LABELS, registry=self._registry).labels(**self._values).set_function(value)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, _LABELS, registry=self._registry).labels(**self._values)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, _LABELS, registry=self._registry, buckets=buckets).labels(**self._values)
