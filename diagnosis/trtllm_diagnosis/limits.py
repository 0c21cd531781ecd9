"""How much of a log one diagnosis reads: lines are cut, and what lies between head and tail is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 1 << 13
"""Characters of a line that are read, half of them from its beginning and half from its end."""
LINE: Final = 64
"""Characters that a line counts at least, so that the number of lines is bounded, too."""
_MIB: Final = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of one diagnosis. The defaults read a log of any ordinary size as a whole."""

    head: int = 1024 * _MIB
    """Characters that are read from the beginning of the log."""
    tail: int = 4 * _MIB
    """Characters that are read from its end when it is longer than `head`; they are held in memory until then."""
    out_of_time: Callable[[], bool] | None = None
    """Whether the time for this diagnosis is over; asked before each line that is examined."""

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.out_of_time is not None and self.out_of_time()

    def __str__(self) -> str:
        """`the first 512 KiB and the last 512 KiB`."""
        return f"the first {_size(self.head)} and the last {_size(self.tail)}"


def cut(line: str) -> str:
    """The line, or the beginning and the end of a very long one."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


def _size(characters: int) -> str:
    return f"{characters // _MIB} MiB" if characters >= _MIB else f"{characters // 1024} KiB"
