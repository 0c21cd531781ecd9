"""Follows Python tracebacks through a log, one per rank; scan.py asks for the first and for a line's."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from trtllm_diagnosis.benign import BENIGN, WRAPPERS
from trtllm_diagnosis.lines import Level, Line, level, retold

HEADER: Final = "Traceback (most recent call last)"
_CHAINED: Final = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_EXCEPTION: Final = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?!(?:INFO|WARNING|ERROR|DEBUG|NOTE|CRITICAL|File)\b)[A-Z_]\w+(?::\s.*|:?$)"
)
IGNORED: Final = "Exception ignored"
FRAME: Final = re.compile(r"^[ |+]*File \"[^\"]+\", line \d+, in ")
"""A frame; without a header before it, it is all that is left of a traceback."""
_PREFIXED: Final = re.compile(r"(?P<prefix>\S.{0,119}?(?<=[\s:|\]>-]))[ |+]{2,40}File \"[^\"]+\", line \d+, in ")
_ZEROS: Final = str.maketrans("123456789", "000000000")
_STREAMS: Final = 64
_FRAMES: Final = 80
_WIDTH: Final = 300
_PATIENCE: Final = 400
_RAISED: Final = 4


@dataclass(frozen=True)
class Raised:
    """The exception at the end of a traceback."""

    text: str
    line: int
    source: str = ""
    """The line of the program that raised it."""


@dataclass
class _Stream:
    frames: deque[str] = field(default_factory=lambda: deque(maxlen=_FRAMES))
    opened: bool = False
    muted: bool = False
    """Python said that it ignores the exception which follows."""
    chained: bool = False
    strange: int = 0
    """Lines since the last that belongs to the traceback."""


class Prefix:
    """Prefix that an unknown logger puts before each line of a traceback, learned from a frame."""

    def __init__(self) -> None:
        self._shape = ""

    def strip(self, line: Line) -> Line:
        """The line without it."""
        if 'File "' in line.text and not FRAME.match(line.text):
            found = _PREFIXED.match(line.text)
            if found is not None and level(found["prefix"]) is not Level.WARNING:
                self._shape = found["prefix"].translate(_ZEROS)
        size = len(self._shape)
        if not size or line.text[:size].translate(_ZEROS) != self._shape:
            return line
        return retold(line, line.text[size:])


class Tracebacks:
    """All streams' tracebacks; memory is bounded by streams x frames x width."""

    def __init__(self) -> None:
        self._streams: OrderedDict[str, _Stream] = OrderedDict()
        self.raised: list[Raised] = []
        """The first exceptions that are not wrappers; what is raised while one is handled often says more."""
        self.ignored = False
        """Whether the line just fed ends a traceback that Python ignores."""

    @property
    def first(self) -> Raised | None:
        """The first exception."""
        return self.raised[0] if self.raised else None

    @property
    def active(self) -> bool:
        """Whether a line without any literal may still matter."""
        return any(stream.opened for stream in self._streams.values())

    def feed(self, line: Line, number: int) -> str:
        """Take one line; returns the traceback that it belongs to, or an empty text."""
        stream = self._streams.get(line.stream)
        self.ignored = False
        if IGNORED in line.text:
            stream = self._open(line.stream, stream)
            stream.opened, stream.muted = False, True
            return ""
        if HEADER in line.text:
            stream = self._open(line.stream, stream)
            stream.opened = True
            return ""
        if (stream is None or not (stream.opened or stream.muted)) and FRAME.match(line.text):
            stream = self._open(line.stream, stream)
            stream.opened = True
        if stream is None:
            return ""
        if not stream.opened:
            if _CHAINED.search(line.text):
                stream.chained = True
            return ""
        return self._inside(stream, line, number)

    def _inside(self, stream: _Stream, line: Line, number: int) -> str:
        text = line.text.lstrip("|+ ") if line.text.startswith((" |", "  |")) else line.text
        if text[:1].isspace() or text.startswith('File "'):
            stream.strange = 0
            stream.frames.append(text.strip()[:_WIDTH])
            return "\n".join(stream.frames)
        body = line.body.strip()
        if _EXCEPTION.match(body) and stream.frames:
            stream.opened = False
            if stream.muted:
                stream.muted, self.ignored = False, True
                return ""
            frames = "\n".join(stream.frames)
            if len(self.raised) < _RAISED and not WRAPPERS.search(body[:2000]) and not BENIGN.search(body[:2000]):
                self.raised.append(Raised(body[:4000], number, _source(stream.frames)))
            return frames
        stream.strange += 1
        if stream.strange > _PATIENCE:
            stream.opened = False
        return ""

    def _open(self, key: str, stream: _Stream | None) -> _Stream:
        if stream is None:
            stream = self._streams[key] = _Stream()
            if len(self._streams) > _STREAMS:
                self._streams.popitem(last=False)
        elif not stream.chained and not stream.opened:
            stream.frames.clear()
        stream.chained, stream.strange = False, 0
        return stream


def _source(frames: deque[str]) -> str:
    """The last frame's line of code, without the marks below it."""
    return next((line for line in reversed(frames) if not line.startswith('File "') and line.strip("~^ ")), "")
