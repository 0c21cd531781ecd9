"""Who may run now: as many requests as there are workers, the others first come, first served; session.py asks it.

Every method runs on the event loop and none of them waits, so there is nothing to lock.
"""

from __future__ import annotations

import asyncio
from collections import deque

Turn = asyncio.Future[None]
"""Done when the request may run."""


class QueueFull(Exception):
    """No request may even wait."""


class Scheduler:
    """Counts the running, lines up the waiting."""

    def __init__(self, max_running: int, max_waiting: int) -> None:
        self._max_running, self.max_waiting = max_running, max_waiting
        self._running: set[Turn] = set()
        self._waiting: deque[Turn] = deque()

    @property
    def running(self) -> int:
        """Requests that generate."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._waiting)

    def enter(self) -> Turn:
        """Join; the caller must `leave` whatever happens. Raises QueueFull."""
        turn: Turn = asyncio.get_running_loop().create_future()
        if self.running < self._max_running:
            self._start(turn)
        elif self.waiting < self.max_waiting:
            self._waiting.append(turn)
        else:
            raise QueueFull
        return turn

    def leave(self, turn: Turn) -> None:
        """Give up the place, running or waiting; the next in line starts."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._running.discard(turn)
        while self._waiting and self.running < self._max_running:
            self._start(self._waiting.popleft())

    def _start(self, turn: Turn) -> None:
        self._running.add(turn)
        # A turn whose waiter was cancelled a moment ago still holds its place until the waiter leaves.
        if not turn.done():
            turn.set_result(None)
