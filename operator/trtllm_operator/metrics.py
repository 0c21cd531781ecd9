"""The operator's metrics for Prometheus; each module sets its own, loop/web.py serves them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

RECONCILES = Counter(
    "trtllm_operator_reconcile", "Passes over resources by their result.", ["kind", "result"], registry=REGISTRY
)
RECONCILE_SECONDS = Histogram(
    "trtllm_operator_reconcile_duration_seconds",
    "Time of one pass.",
    ["kind"],
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUE_DEPTH = Gauge("trtllm_operator_queue_depth", "Resources that wait for a worker.", registry=REGISTRY)
QUEUE_SECONDS = Histogram(
    "trtllm_operator_queue_duration_seconds",
    "Time from being due to a worker.",
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
)
API_REQUESTS = Counter(
    "trtllm_operator_api_requests",
    "Requests to the API server by their answer; code 0: none came.",
    ["verb", "resource", "code"],
    registry=REGISTRY,
)
EVENTS_SEEN = Counter("trtllm_operator_watch_events", "Watch events by kind.", ["kind"], registry=REGISTRY)
FAILURES = Counter(
    "trtllm_operator_failures", "Resources that could not get on, by why.", ["kind", "reason"], registry=REGISTRY
)
RESOURCES = Gauge("trtllm_operator_resources", "Resources by stage.", ["kind", "stage"], registry=REGISTRY)
LEADER = Gauge("trtllm_operator_leader", "1 while this replica does the work.", registry=REGISTRY)
RESYNC_TIME = Gauge(
    "trtllm_operator_last_resync_timestamp_seconds", "When everything was last listed anew.", registry=REGISTRY
)
RESYNC_REPAIRS = Counter(
    "trtllm_operator_resync_repairs", "Objects that the watches had missed.", ["kind"], registry=REGISTRY
)
