"""Reader of log files: removes prefixes and colours and finds the level; scan.py and trtllm's CLI use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TextIO

from trtllm_diagnosis.limits import LONGEST

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PASTED: Final = re.compile(r"\[(?:0|[0-9]{1,2}(?:;[0-9]{1,3}){0,4})m(?! ?\d)")
"""Colours whose escape character a web page or a log collector dropped."""
_PREFIX: Final = re.compile(
    r"""
    (?P<time>
        \[?\d{4}[-/]\d\d[-/]\d\d[T\ -]\d\d:\d\d:\d\d[.,\d]*(?:\ ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?[:,]?
        (?:\ (?:stdout|stderr)\ [FP](?=\ ))?
      | \[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\]
      | \[?\d\d:\d\d:\d\d[.,\d]*\]?:?
      | >(?=\ )
    )
    | (?P<rank>
        \[\d+,\d+\](?:<\w+>)?:?
      | \[?(?:rank|default|worker|node|trainer)[ _-]?\d+\]?[:|]
      | \[\d{1,4}\]:?(?=\ |$|\[)
      | \d{1,4}:(?=\ )
      | \([^()]{0,60}\bpid=\d+[^()]{0,60}\)
      | \[pod/[^\]]{1,200}\]
      | [\w.-]{1,80}\ *\|(?=\ )
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LOGGER: Final = re.compile(
    r"(?:- )?[\w.:-]{1,60}(?: -)? \[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\]?(?: - |: ?)"
    r"(?=Traceback \(|(?:  |    )\S|\[\w|(?:\w+\.)*\w*(?:Error|Exception)\b)"
)
"""Line of a logger before its child's traceback, which needs no such introduction."""
_LOGFMT: Final = re.compile(r"^(?=.{0,160}\blevel=\"?(?P<level>\w+)).{0,160}?\bmsg=\"(?P<text>.*)\"")
_TAGS: Final = re.compile(
    r"^(?:- [\w.:-]{1,60} - (?:DEBUG|INFO|WARNING|ERROR|CRITICAL) - )?\s*+"
    r"(?:(?:\[[^\[\]]{1,40}\]|(?:ERROR|CRITICAL|FATAL|WARNING|INFO)\b[:|]?)\s*+)*+(?=\S)"
)
_ERROR_LEVEL: Final = re.compile(
    r"\[(?:E|F|ERROR|FATAL|CRITICAL)\]|(?<![\w-])(?:ERROR|FATAL|CRITICAL)(?![\w-])|\bNCCL WARN\b|^[EF]\d{4} \d\d:"
    r"|\[[EF]\d{3,4} |\w(?:Error|Exception)(?::|$)|^Traceback "
)
_WARNING_LEVEL: Final = re.compile(
    r"\[(?:W|WARN|WARNING)\]|(?<![\w-])(?:WARN|WARNING)(?![\w-])|(?<!\w)\w{0,40}Warning:"
    r"|^W\d{4} \d\d:|^warning:|\[W\d{3,4} "
)
_INFO_LEVEL: Final = re.compile(
    r"\[(?:I|V|D|INFO|VERBOSE|DEBUG|TRACE)\]|(?<![\w=-])(?:INFO|DEBUG|TRACE|VERBOSE|NOTE)(?![\w-])|^[ID]\d{4} \d\d:"
    r"|\[I\d{3,4} "
)
_PASSING: Final = re.compile(
    r"(?<!please )\bretry(?:ing)?\b(?! after| with)|\bwill retry\b|\bfalling back\b|\btrying again\b"
    r"|\battempt \d|\btrying to resume\b"
    r"|\busing (?:the |a )?default\b|\bwill (?:continue|proceed)\b|\bcontinu(?:e|ing) (?:anyway|without)\b",
    re.IGNORECASE,
)
_USERS: Final = re.compile(
    r"\b(?:prompts?|inputs?|outputs?|completions?|contents?|generated)\b[^'\"]{0,30}['\"]", re.IGNORECASE
)
"""Marks of text that a user sent or a model generated, before it is quoted."""
_HEAD: Final = 240
"""Prefix and level stand at the beginning; what a long line says later is not searched for them."""

_CHUNK: Final = 1 << 16
"""Characters that read_lines reads at once."""
_OVERLAP: Final = 1024
"""Characters of a piece that the next one repeats: a message may lie on the cut."""


class Level(IntEnum):
    """How serious its writer found a line."""

    INFO = 0
    WARNING = 1
    NONE = 2
    ERROR = 3


@dataclass(frozen=True)
class Line:
    """One line without what launchers and loggers put before it."""

    text: str
    """Text that the program printed."""
    body: str
    """The same without level and component tags."""
    stream: str
    """Which rank, worker or container said it; empty when the log does not tell."""


def parse(raw: str) -> Line:
    """Take prefixes off, and keep those that tell ranks apart."""
    if raw.startswith('{"'):
        raw = _unwrap(raw)
    elif raw.startswith(("time=", "level=", "ts=")) and (logfmt := _LOGFMT.match(raw)):
        raw = f"{logfmt['level'].upper()} {logfmt['text']}"
    if "\x1b" in raw:
        raw = _ANSI.sub("", raw)
    elif "m" in raw and _PASTED.search(raw, 0, _HEAD):
        raw = _PASTED.sub("", raw)
    streams: list[str] = []
    at = 0
    for _ in range(6):
        start = at + len(raw[at : at + 20]) - len(raw[at : at + 20].lstrip()) if not streams and at == 0 else at
        match = _PREFIX.match(raw, start)
        if match is None or match.end() == start:
            break
        if match["rank"]:
            streams.append(match["rank"])
        at = match.end()
        if raw.startswith(" ", at):
            at += 1
    logged = _LOGGER.match(raw, at) if at else None
    text = raw[logged.end() if logged else at :]
    return Line(text, _TAGS.sub("", text, count=1), "".join(streams))


def retold(line: Line, text: str) -> Line:
    """The same line with a shorter text."""
    return Line(text, _TAGS.sub("", text, count=1), line.stream)


def level(text: str) -> Level:
    """How serious the line says it is; one that promises another try, or to go on, is a warning."""
    head = text[:_HEAD]
    if _PASSING.search(text, 0, 2000):
        return Level.WARNING
    tagged = [
        (match.start(), found)
        for found, pattern in (
            (Level.ERROR, _ERROR_LEVEL),
            (Level.WARNING, _WARNING_LEVEL),
            (Level.INFO, _INFO_LEVEL),
        )
        if (match := pattern.search(head))
    ]
    if not tagged:
        return Level.NONE
    found = min(tagged)[1]
    error = next((at for at, kind in tagged if kind is Level.ERROR), None)
    if found is Level.INFO and error is not None and not _USERS.search(head, 0, error):
        # a launcher that logs its child's error as information
        return Level.ERROR
    return found


def split(lines: Iterable[str]) -> Iterator[str]:
    """Lines as a terminal shows them: progress bars end theirs with a carriage return."""
    for line in lines:
        stripped = line.rstrip("\r\n")
        if "\r" in stripped or "\n" in stripped:
            yield from re.split(r"[\r\n]+", stripped)
        else:
            yield stripped


def read_lines(stream: TextIO) -> Iterator[str]:
    """The lines of a stream, in pieces of at most LONGEST characters, so that none is cut and none fills the memory."""
    return (piece for piece, _ in read_pieces(stream))


def read_pieces(stream: TextIO) -> Iterator[tuple[str, bool]]:
    """Lines as of read_lines, each with whether the line ends with the piece."""
    rest = ""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split("\n")
        for line in whole:
            *pieces, last = _pieces(line)
            yield from ((piece, False) for piece in pieces)
            yield last, True
        *pieces, rest = _pieces(rest)
        yield from ((piece, False) for piece in pieces)
    if rest:
        yield rest, True


def _pieces(line: str) -> list[str]:
    """The line in pieces that overlap."""
    step = LONGEST - _OVERLAP
    return [line[at : at + LONGEST] for at in range(0, max(len(line) - _OVERLAP, 1), step)]


def _unwrap(raw: str) -> str:
    """The text of a line that a container runtime or logger wrote as JSON."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(value, dict):
        return raw
    text = next(
        (value[key] for key in ("log", "message", "msg", "text", "textPayload") if isinstance(value.get(key), str)),
        None,
    )
    if text is None:
        return raw
    # half a character of two, which JSON can spell, cannot be written anywhere
    text = text.encode(errors="replace").decode().rstrip()
    severity = value.get("level") or value.get("severity") or value.get("levelname")
    return f"{severity.upper()} {text}" if isinstance(severity, str) else text
