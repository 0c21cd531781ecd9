"""Standard output, shared by the launcher and its child."""

from __future__ import annotations

import io
import threading
from typing import TextIO, cast


class Output(io.TextIOBase):
    """Stream to which several threads write, one whole text at a time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    @property
    def text(self) -> TextIO:
        """The stream as a TextIO. Progress uses only `write`, `flush` and `isatty`."""
        return cast("TextIO", self)

    def write(self, text: str) -> int:
        """Write and flush."""
        with self._lock:
            written = self._stream.write(text)
            self._stream.flush()
            return written

    def isatty(self) -> bool:
        """True if the stream is a terminal."""
        return self._stream.isatty()
