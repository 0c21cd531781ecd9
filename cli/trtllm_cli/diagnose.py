"""`trtllm diagnose`: the catalogue over a log of any size, read once in bounded memory; called by main."""

from __future__ import annotations

import gzip
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from trtllm_api.diagnosis import Diagnosis, DiagnosisReason, diagnose
from trtllm_api.diagnosis.lines import read_pieces, split
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.terminal import Terminal, plain

_LONGEST = 2000
"""Characters of the line that are shown."""


def run(arguments: Namespace) -> int:
    """The exit code: 0 when the cause was found."""
    name = arguments.logfile
    try:
        with _opened(name) as stream:
            found = diagnose((text for text, _ in read_pieces(stream)), arguments.exit_code)
        number, line = found.line if found else None, found.evidence if found else ""
        if found is not None and found.line is not None and name != "-":
            with _opened(name) as stream:
                number, line = locate(stream, found.line) or (number, line)
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror or error}") from None
    except EOFError:
        raise Unreadable(f"{name} ends in the middle of its compressed data") from None
    known = found is not None and found.reason is not DiagnosisReason.UNKNOWN
    if arguments.output == "json":
        sys.stdout.write(json.dumps(_data(found, number, line, known), indent=2, ensure_ascii=False) + "\n")
    else:
        _show(found, number, line, Terminal())
    return Exit.FINE if known else Exit.REFUSED


def locate(stream: TextIO, number: int) -> tuple[int, str] | None:
    """The line of the file, and what it says, of a line as the catalogue counts: progress bars are lines there."""
    counted, line = 0, 1
    for text, ended in read_pieces(stream):
        for part in split((text,)):
            counted += 1
            if counted == number:
                return line, part
        line += ended
    return None


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield TextIOWrapper(sys.stdin.buffer, "utf-8", errors="replace", newline="\n")
    elif name.endswith(".gz"):
        with gzip.open(name, "rt", encoding="utf-8", errors="replace", newline="\n") as stream:
            yield stream
    else:
        with Path(name).open(encoding="utf-8", errors="replace", newline="\n") as stream:
            yield stream


def _data(found: Diagnosis | None, number: int | None, line: str, known: bool) -> dict[str, Any]:
    if found is None:
        return {"found": False}
    told = asdict(found)
    return {
        "found": known,
        **{key: told[key] for key in ("id", "reason", "certainty", "message", "remedy")},
        "line": number,
        "text": line[:_LONGEST],
    }


def _show(found: Diagnosis | None, number: int | None, line: str, terminal: Terminal) -> None:
    if found is None:
        terminal.print("no cause found: nothing in the log says that something failed")
        return
    terminal.print(
        f"{terminal.paint(found.reason, 'bold', 'red')} ({found.id}, {found.certainty})",
        terminal.wrapped(found.message, "  "),
        *([terminal.wrapped(found.remedy, "    ", "  → ")] if found.remedy else []),
    )
    if line:
        where = f"line {number}: " if number is not None else ""
        terminal.print(terminal.paint(f"  {where}{plain(line.strip())[:_LONGEST]}", "dim"))
