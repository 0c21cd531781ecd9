"""Prints progress: a line when a step begins, and one with its time when it ends. Steps may overlap."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()


def say(text: str) -> None:
    """Print one whole line to stderr."""
    with _LOCK:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show that a step begins, every 30 s that it continues, and its time at the end."""
    started = time.monotonic()
    done = threading.Event()

    def heartbeat() -> None:
        while not done.wait(30):
            say(f"   … {what}: {time.monotonic() - started:.0f} s so far")

    say(f"→ {what}")
    threading.Thread(target=heartbeat, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    say(f"✓ {what}  {time.monotonic() - started:.1f} s")
