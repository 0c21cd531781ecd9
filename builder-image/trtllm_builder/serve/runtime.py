"""Phase of the server (loading, serving, draining, refusing), with its engine and its scheduler."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from trtllm_builder.failure import BuilderFailure
from trtllm_builder.serve import probe
from trtllm_builder.serve.generation import Engine, Job, LoadedModel
from trtllm_builder.serve.metrics import Metrics
from trtllm_builder.serve.scheduler import Scheduler
from trtllm_builder.serve.session import Session

THREAD_PREFIX = "trtllm-"


class Phase(StrEnum):
    """Phase that /health/ready reports."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    REFUSED = "refused"


class Runtime:
    """State that the routes, the loader thread and the signal handler share. Each sets one attribute once."""

    def __init__(self, model_name: str, max_concurrent: int, max_queued: int) -> None:
        self.model_name = model_name
        self.engine: Engine | None = None
        self.failure: BuilderFailure | None = None
        self.draining = False
        self.artifact: str | None = None
        self.scheduler = Scheduler(max_concurrent, max_queued)
        self.metrics = Metrics(model_name, lambda: self.scheduler.running, lambda: self.scheduler.waiting)
        self._executor = ThreadPoolExecutor(max_concurrent, thread_name_prefix=f"{THREAD_PREFIX}generate")
        self._sessions: set[Session] = set()

    @property
    def phase(self) -> Phase:
        """Current phase. Draining takes precedence, then failure."""
        if self.draining:
            return Phase.DRAINING
        if self.failure:
            return Phase.REFUSED
        return Phase.READY if self.engine else Phase.LOADING

    @property
    def idle(self) -> bool:
        """True if no request runs or waits."""
        return not self._sessions

    def accept(self, loaded: LoadedModel) -> None:
        """Serve this model after a check of its known prompt. Raises BuilderFailure."""
        engine = Engine(loaded)
        probe.check(engine, loaded.manifest)
        self.artifact = loaded.manifest.digest
        self.engine = engine

    def start(self, engine: Engine, job: Job) -> Session:
        """Start a request, or queue it. Raises QueueFull."""
        session = Session(engine, job, self.scheduler, self._executor, self.metrics, self._sessions.discard)
        self._sessions.add(session)
        return session

    def cancel_all(self) -> None:
        """End every request at its next token."""
        for session in list(self._sessions):
            session.cancel()

    def close(self) -> None:
        """End the worker threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)
