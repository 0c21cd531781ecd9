"""Standard output, shared by the launcher's own lines and its child's; main.py makes one."""

from __future__ import annotations

import io
import threading
from typing import TextIO, cast


class Output(io.TextIOBase):
    """Whole writes, one after the other, whichever thread they come from."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    @property
    def text(self) -> TextIO:
        """For Progress, which writes, flushes and asks for a terminal only."""
        return cast("TextIO", self)

    def write(self, text: str) -> int:
        """Write and flush."""
        with self._lock:
            written = self._stream.write(text)
            self._stream.flush()
            return written

    def isatty(self) -> bool:
        """Whether a person looks on."""
        return self._stream.isatty()
