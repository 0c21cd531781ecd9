from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from trtllm_builder.serve.scheduler import QueueFull, Scheduler


def on_a_loop(check: Callable[[Scheduler], None], running: int = 1, waiting: int = 2) -> None:
    async def body() -> None:
        check(Scheduler(running, waiting))

    asyncio.run(body())


def test_as_many_run_as_may_and_the_next_waits() -> None:
    def check(scheduler: Scheduler) -> None:
        first, second, third = scheduler.enter(), scheduler.enter(), scheduler.enter()
        assert (first.done(), second.done(), third.done()) == (True, True, False)
        assert (scheduler.running, scheduler.waiting) == (2, 1)

    on_a_loop(check, running=2)


def test_turns_come_in_the_order_of_arrival() -> None:
    def check(scheduler: Scheduler) -> None:
        first, second, third = scheduler.enter(), scheduler.enter(), scheduler.enter()
        scheduler.leave(first)
        assert (second.done(), third.done()) == (True, False)
        scheduler.leave(second)
        assert third.done()

    on_a_loop(check)


def test_a_full_queue_refuses() -> None:
    def check(scheduler: Scheduler) -> None:
        for _ in range(3):
            scheduler.enter()
        with pytest.raises(QueueFull):
            scheduler.enter()

    on_a_loop(check)


def test_who_leaves_the_queue_makes_room_without_starting_anyone() -> None:
    def check(scheduler: Scheduler) -> None:
        scheduler.enter()
        second, third = scheduler.enter(), scheduler.enter()
        scheduler.leave(second)
        assert (scheduler.running, scheduler.waiting, third.done()) == (1, 1, False)
        scheduler.enter()

    on_a_loop(check)


def test_leaving_twice_changes_nothing() -> None:
    def check(scheduler: Scheduler) -> None:
        first, second, third = scheduler.enter(), scheduler.enter(), scheduler.enter()
        scheduler.leave(first)
        scheduler.leave(first)
        assert (scheduler.running, second.done(), third.done()) == (1, True, False)

    on_a_loop(check)


def test_a_server_without_a_queue_takes_only_what_it_runs() -> None:
    def check(scheduler: Scheduler) -> None:
        scheduler.enter()
        with pytest.raises(QueueFull):
            scheduler.enter()

    on_a_loop(check, waiting=0)
