"""Session of one request: waits for its turn, runs in a thread, and passes on the pieces of the answer.

A session keeps its turn until its thread has ended, even if the HTTP request ends earlier. So clients that leave cannot
make the server run more requests at once than it has workers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from threading import Event

from trtllm_builder.serve.generation import ABORT, Engine, Job, Piece
from trtllm_builder.serve.metrics import Metrics
from trtllm_builder.serve.scheduler import Scheduler


class Session:
    """Session of a request, created on the event loop. Raises QueueFull if the queue is full."""

    def __init__(
        self,
        engine: Engine,
        job: Job,
        scheduler: Scheduler,
        executor: Executor,
        metrics: Metrics,
        on_end: Callable[[Session], None],
    ) -> None:
        self.job = job
        self._engine, self._executor, self._metrics = engine, executor, metrics
        self._scheduler, self._on_end = scheduler, on_end
        self._loop = asyncio.get_running_loop()
        self._arrived = time.monotonic()
        self._first: float | None = None
        self._tokens = 0
        self._cancelled = Event()
        self._pieces: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self._turn = scheduler.enter()
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Pieces as they are generated; the last one has `finish`. Raises the model's exception."""
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, Exception):
                raise piece
            yield piece
            if piece.finish:
                return

    def cancel(self) -> None:
        """Stop waiting, or stop at the next token. Has no effect after the end."""
        self._cancelled.set()
        if not self._turn.done():
            self._task.cancel()

    async def _run(self) -> None:
        await self._turn
        self._metrics.queue_time.observe(time.monotonic() - self._arrived)
        self._metrics.prompt_tokens.inc(len(self.job.prompt))
        await self._loop.run_in_executor(self._executor, self._engine.run, self.job, self._emit, self._cancelled)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # a callback also runs for a task that was cancelled before its first step; a `finally` would not
        self._scheduler.leave(self._turn)
        if task.cancelled():
            self._receive(Piece("", self._tokens, ABORT))
        elif error := task.exception():
            self._pieces.put_nowait(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        self._on_end(self)

    def _emit(self, piece: Piece) -> None:
        self._loop.call_soon_threadsafe(self._receive, piece)

    def _receive(self, piece: Piece) -> None:
        now = time.monotonic()
        if self._first is None and piece.tokens:
            self._first = now
            self._metrics.first_token.observe(now - self._arrived)
        self._metrics.generation_tokens.inc(piece.tokens - self._tokens)
        self._tokens = piece.tokens
        if piece.finish:
            self._metrics.latency.observe(now - self._arrived)
            if self._first is not None and piece.tokens > 1:
                self._metrics.per_token.observe((now - self._first) / (piece.tokens - 1))
            self._metrics.success(piece.finish)
        self._pieces.put_nowait(piece)
