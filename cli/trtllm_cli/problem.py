"""Exit codes, and the exception of a command that cannot answer."""

from __future__ import annotations

from enum import IntEnum

from trtllm_api.problem import as_sentence


class Exit(IntEnum):
    """Exit codes of the commands."""

    FINE = 0
    REFUSED = 1
    """plan: a resource is refused; diagnose: no cause found; status: Stalled."""
    UNREADABLE = 2
    """Wrong arguments, or something cannot be read. argparse uses the same code."""
    UNDER_WAY = 3
    """status --once and --timeout: neither Ready nor Stalled."""


class Unreadable(Exception):
    """Something cannot be read: the cause and, if there is one, the remedy. `main` prints it and exits with 2."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(" ".join(filter(None, map(as_sentence, (cause, remedy)))))
