"""`trtllm diagnose`: finds the cause of a failure in a log or in pods.

A log may have any size: it is read once, in bounded memory.
"""

from __future__ import annotations

import gzip
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, Any, TextIO, cast

from trtllm_api.reasons import Reason
from trtllm_cli.pods import HEAD, are_objects, diagnose_objects
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.terminal import Terminal, plain
from trtllm_cli.texts import read_stream
from trtllm_diagnosis import Diagnosis, diagnose
from trtllm_diagnosis.lines import read_pieces, split

_BUFFER = 1 << 16
_LONGEST = 2000
"""Most characters of the line that are shown."""


def run(arguments: Namespace) -> int:
    """The exit code: 0 if the cause was found."""
    name = arguments.logfile
    try:
        with _opened(name) as stream:
            pods = are_objects(stream.head)
            if pods:
                found = diagnose_objects(read_stream(stream, name), name)
            else:
                found = diagnose((text for text, _ in read_pieces(stream)), arguments.exit_code)
        number, line = found.line if found else None, found.evidence if found else ""
        if not pods and found is not None and found.line is not None and name != "-":
            with _opened(name) as stream:
                number, line = locate(stream, found.line) or (number, line)
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise Unreadable(f"{name} is truncated: its compressed data ends early") from None
    known = found is not None and found.reason is not Reason.UNKNOWN
    if arguments.output == "json":
        sys.stdout.write(json.dumps(_data(found, number, line, known), indent=2, ensure_ascii=False) + "\n")
    else:
        _show(found, number, line, Terminal())
    return Exit.FINE if known else Exit.REFUSED


def locate(stream: TextIO, number: int) -> tuple[int, str] | None:
    """Number and text of the file's line at `number`, which counts every state of a progress bar as a line."""
    counted, line = 0, 1
    for text, ended in read_pieces(stream):
        for part in split((text,)):
            counted += 1
            if counted == number:
                return line, part
        line += ended
    return None


class _Text(TextIOWrapper):
    """A text stream whose beginning can be seen before it is read."""

    def __init__(self, raw: IO[bytes]) -> None:
        buffer = BufferedReader(cast("RawIOBase", raw), _BUFFER)
        self.head = buffer.peek(HEAD)[:HEAD].decode(errors="replace")
        super().__init__(buffer, "utf-8", errors="replace", newline="\n")


@contextmanager
def _opened(name: str) -> Iterator[_Text]:
    if name == "-":
        yield _Text(sys.stdin.buffer)
    elif name.endswith(".gz"):
        with gzip.open(name, "rb") as raw:
            yield _Text(cast("IO[bytes]", raw))
    else:
        with Path(name).open("rb") as raw:
            yield _Text(raw)


def _data(found: Diagnosis | None, number: int | None, line: str, known: bool) -> dict[str, Any]:
    if found is None:
        return {"found": False}
    fields = asdict(found)
    return {
        "found": known,
        **{key: fields[key] for key in ("id", "reason", "certainty", "message", "remedy")},
        "line": number,
        "text": line[:_LONGEST],
    }


def _show(found: Diagnosis | None, number: int | None, line: str, terminal: Terminal) -> None:
    if found is None:
        terminal.print("No cause found: the input reports no failure.")
        return
    terminal.print(
        f"{terminal.paint(found.reason, 'bold', 'red')} ({found.id}, {found.certainty})",
        terminal.wrapped(found.message, "  "),
        *([terminal.wrapped(found.remedy, "    ", "  → ")] if found.remedy else []),
    )
    if line:
        where = f"line {number}: " if number is not None else ""
        terminal.print(terminal.paint(f"  {where}{plain(line.strip())[:_LONGEST]}", "dim"))
