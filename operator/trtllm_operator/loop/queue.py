"""WorkQueue: each key at most once, due at a time, tried again with growing pauses."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

from trtllm_operator.metrics import QUEUE_DEPTH, QUEUE_SECONDS

K = TypeVar("K", bound=Hashable)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 120.0


class WorkQueue(Generic[K]):
    """A key is given to one worker at a time; what happens to it meanwhile brings it back once.

    Urgent keys (resources seen for the first time) go before others that are due.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[K, tuple[float, int]] = {}
        """The time when each waiting key is due, and its ticket: an entry of a heap with another ticket is void."""
        self._urgent: list[tuple[float, int, K]] = []
        self._ordinary: list[tuple[float, int, K]] = []
        self._working: set[K] = set()
        self._again: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._ticket = itertools.count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: K, delay: float = 0.0, *, urgent: bool = False) -> None:
        """Due after `delay` seconds, or earlier if it is due earlier already."""
        due = self._clock() + delay
        if key in self._working:
            self._again[key] = min(due, self._again.get(key, due))
            return
        if key in self._due and self._due[key][0] <= due:
            return
        ticket = next(self._ticket)
        self._due[key] = (due, ticket)
        heapq.heappush(self._urgent if urgent else self._ordinary, (due, ticket, key))
        QUEUE_DEPTH.set(len(self._due))
        self._changed.set()

    def retry(self, key: K) -> float:
        """Due again after a pause that doubles with every failure and varies; returns the pause."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failures - 1)) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        self.add(key, pause)
        return pause

    def failures(self, key: K) -> int:
        """Failures in a row."""
        return self._failures.get(key, 0)

    def succeeded(self, key: K) -> None:
        """Pauses begin small again."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """The key no longer exists."""
        self._failures.pop(key, None)
        self._again.pop(key, None)
        self._due.pop(key, None)

    async def take(self) -> K:
        """Wait for a key that is due; `done` must follow."""
        while True:
            now = self._clock()
            for heap in (self._urgent, self._ordinary):
                self._drop_void(heap)
                if heap and heap[0][0] <= now:
                    due, _, key = heapq.heappop(heap)
                    del self._due[key]
                    self._working.add(key)
                    QUEUE_DEPTH.set(len(self._due))
                    QUEUE_SECONDS.observe(now - due)
                    return key
            next_due = min((heap[0][0] for heap in (self._urgent, self._ordinary) if heap), default=None)
            self._changed.clear()
            # wait_for loses a cancellation that comes together with a change
            with suppress(TimeoutError):
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - now)):
                    await self._changed.wait()

    def done(self, key: K) -> None:
        """The worker is through with it."""
        self._working.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, max(0.0, again - self._clock()))

    def _drop_void(self, heap: list[tuple[float, int, K]]) -> None:
        while heap and self._due.get(heap[0][2], (0.0, -1))[1] != heap[0][1]:
            heapq.heappop(heap)
