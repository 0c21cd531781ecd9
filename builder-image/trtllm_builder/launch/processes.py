"""Finds descendants of a process in /proc: MPI starts ranks in separate process groups."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Children of the process, their children and so on."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # the name in parentheses may contain blanks and parentheses
                children[int((entry / "stat").read_text().rpartition(")")[2].split()[1])].append(int(entry.name))
    found, ahead = list[int](), [pid]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def running(program: str, pids: list[int]) -> list[int]:
    """The processes that run the program, directly or as a script of an interpreter."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2]
            if any(Path(os.fsdecode(word)).name == program for word in words):
                found.append(pid)
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to those processes that still exist."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
