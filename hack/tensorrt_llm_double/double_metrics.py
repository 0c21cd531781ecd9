"""Figures of the double of trtllm-serve: /metrics (JSON, drained by reading) and /prometheus/metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from double_upstream import table

_LABELS = ("model_name", "engine_type")


class Watch:
    """Timing of one request."""

    def __init__(self, owner: Metrics, prompt: int) -> None:
        self._owner, self._prompt, self._started = owner, prompt, time.monotonic()
        self._first: float | None = None

    def begin(self, queued: float) -> None:
        """Record that the request starts."""
        self._owner.queue.observe(queued)

    def token(self, count: int) -> None:
        """Record the number of tokens."""
        if count and self._first is None:
            self._first = time.monotonic()
            self._owner.first.observe(self._first - self._started)

    def end(self, tokens: int) -> None:
        """Record that the request is answered."""
        took = time.monotonic() - self._started
        self._owner.latency.observe(took)
        if self._first is not None and tokens > 1:
            self._owner.each.observe((time.monotonic() - self._first) / (tokens - 1))
        self._owner.success.inc()
        self._owner.note(self._prompt, tokens)


class Metrics:
    """Series of 1.3.0rc3 with its labels. Gauges of running and waiting requests are newer."""

    def __init__(self) -> None:
        facts = table("endpoints")["/prometheus/metrics"]
        model, engine = (facts["label_values"][name] for name in _LABELS)
        self._registry, self._lock = CollectorRegistry(), threading.Lock()
        self._iterations: list[dict[str, Any]] = []
        self._count, self._active = 0, 0

        def histogram(name: str) -> Any:
            return Histogram(f"trtllm_{name}_seconds", "A double's.", _LABELS, registry=self._registry).labels(
                model, engine
            )

        counter = Counter(
            "trtllm_request_success", "A double's.", (*_LABELS, "finished_reason"), registry=self._registry
        )
        self.success = counter.labels(model, engine, "stop")
        self.latency = histogram("e2e_request_latency")
        self.first, self.each = histogram("time_to_first_token"), histogram("time_per_output_token")
        self.queue = histogram("request_queue_time")

    @contextmanager
    def request(self, prompt: int) -> Iterator[Watch]:
        """Measure one request."""
        with self._lock:
            self._active += 1
        try:
            yield Watch(self, prompt)
        finally:
            with self._lock:
                self._active -= 1

    def note(self, prompt: int, tokens: int) -> None:
        """Add a record for /metrics."""
        with self._lock:
            self._count += 1
            self._iterations.append(
                {
                    "iter": self._count,
                    "numActiveRequests": self._active,
                    "numQueuedRequests": 0,
                    "inflightBatchingStats": {"numCtxTokens": prompt, "numGenRequests": tokens},
                }
            )

    def iterations(self) -> list[dict[str, Any]]:
        """Records since the last call."""
        with self._lock:
            found, self._iterations = self._iterations, []
        return found

    def exposition(self) -> bytes:
        """Metrics in Prometheus' text format."""
        return generate_latest(self._registry)
