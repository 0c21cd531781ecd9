"""What every command raises when it cannot answer: main prints it and exits with 2."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the commands."""

    FINE = 0
    REFUSED = 1
    """plan: refused; diagnose: no cause found; status: stalled."""
    UNREADABLE = 2
    """Usage, or something cannot be read; argparse exits with the same."""
    UNDER_WAY = 3
    """status --once and --timeout: neither Ready nor Stalled."""


class Unreadable(Exception):
    """One sentence for the user: what cannot be read, and what would work."""
