from __future__ import annotations

import asyncio

import pytest

from trtllm_operator.loop.queue import FIRST_PAUSE, LONGEST_PAUSE, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock)


async def taken(queue: WorkQueue[str]) -> str | None:
    """What a worker gets at once, if anything."""
    try:
        return await asyncio.wait_for(queue.take(), 0.01)
    except TimeoutError:
        return None


async def test_a_key_added_twice_is_given_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue) is None


async def test_a_key_added_while_it_is_worked_on_comes_back_once_it_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue) is None


async def test_a_delayed_key_waits_for_its_time(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a", 5)
    assert await taken(queue) is None
    clock.now += 5
    assert await taken(queue) == "a"


async def test_the_earlier_of_two_times_wins(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a", 60)
    queue.add("a", 1)
    queue.add("a", 30)
    clock.now += 1
    assert await taken(queue) == "a"
    queue.done("a")
    clock.now += 100
    assert await taken(queue) is None


async def test_urgent_keys_go_first(queue: WorkQueue[str]) -> None:
    queue.add("settled")
    queue.add("new", urgent=True)
    assert await taken(queue) == "new"
    assert await taken(queue) == "settled"


async def test_pauses_double_vary_end_and_begin_small_again(queue: WorkQueue[str], clock: Clock) -> None:
    pauses = []
    for _ in range(14):
        pauses.append(queue.retry("a"))
        clock.now += LONGEST_PAUSE * 2
        await queue.take()
        queue.done("a")
    for number, pause in enumerate(pauses):
        expected = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        assert 0.75 * expected <= pause <= 1.25 * expected
    queue.succeeded("a")
    assert queue.retry("a") <= 1.25 * FIRST_PAUSE


async def test_a_worker_that_waits_is_woken(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(worker, 1) == "a"


async def test_a_forgotten_key_is_not_given(queue: WorkQueue[str]) -> None:
    queue.add("a", 0)
    queue.forget("a")
    assert await taken(queue) is None
    assert len(queue) == 0


@pytest.mark.parametrize("turns", range(6))
async def test_a_worker_that_is_cancelled_while_something_changes_ends(queue: WorkQueue[str], turns: int) -> None:
    queue.add("first", 60)
    worker = asyncio.create_task(queue.take())
    for _ in range(3):
        await asyncio.sleep(0)
    queue.add("second", 60)
    for _ in range(turns):
        await asyncio.sleep(0)
    worker.cancel()
    done, _ = await asyncio.wait((worker,), timeout=0.5)
    assert done
    assert worker.cancelled()
