"""Schedules requests: as many as there are workers run, and the others wait in the order of their arrival.

Every method runs on the event loop without waiting, so no lock is needed.
"""

from __future__ import annotations

import asyncio
from collections import deque

Turn = asyncio.Future[None]
"""Future that is done when the request may run."""


class QueueFull(Exception):
    """The queue is full."""


class Scheduler:
    """Counts running requests, and queues waiting ones."""

    def __init__(self, max_running: int, max_waiting: int) -> None:
        self._max_running, self.max_waiting = max_running, max_waiting
        self._running: set[Turn] = set()
        self._waiting: deque[Turn] = deque()

    @property
    def running(self) -> int:
        """Number of requests that generate."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Number of queued requests."""
        return len(self._waiting)

    def enter(self) -> Turn:
        """Join the queue. The caller must call `leave` in every case. Raises QueueFull."""
        turn: Turn = asyncio.get_running_loop().create_future()
        if self.running < self._max_running:
            self._start(turn)
        elif self.waiting < self.max_waiting:
            self._waiting.append(turn)
        else:
            raise QueueFull
        return turn

    def leave(self, turn: Turn) -> None:
        """Give up the place, running or waiting. The next request in the queue starts."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._running.discard(turn)
        while self._waiting and self.running < self._max_running:
            self._start(self._waiting.popleft())

    def _start(self, turn: Turn) -> None:
        self._running.add(turn)
        # a turn whose waiter was just cancelled keeps its place until the waiter leaves
        if not turn.done():
            turn.set_result(None)
