"""Parses the command that mpirun gives to a remote shell, and accepts MPI's daemon only.

The text comes over the network, so no shell ever runs it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure

DAEMONS: Final = ("orted", "prted")
_PATHS: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ASSIGNMENT: Final = re.compile(rf"({'|'.join(_PATHS)})=(.*)", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::-)?\}|(\w+))")
_PROFILE: Final = ["(", "test", "!", "-r", "./.profile", "||", ".", "./.profile", ";"]
"""Words that mpirun puts before the command if the user's shell is sh."""


@dataclass(frozen=True)
class Remote:
    """Command line of a daemon, and the search paths that mpirun sets before it."""

    command: tuple[str, ...]
    paths: dict[str, str]


def parse(text: str, environment: Mapping[str, str]) -> Remote:
    """Parse the text. Raises BuilderFailure BadRequest if it does anything else than start a daemon."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise _refused(text) from error
    if words[: len(_PROFILE)] == _PROFILE and words[-1] == ")":
        words = words[len(_PROFILE) : -1]
    *before, last = _statements(words)
    paths: dict[str, str] = {}
    for statement in before:
        match = _ASSIGNMENT.fullmatch(statement[0]) if len(statement) == 1 else None
        if match is not None:
            known = {**environment, **paths}
            paths[match[1]] = _VARIABLE.sub(lambda found, known=known: known.get(found[1] or found[2], ""), match[2])
        elif not (len(statement) == 2 and statement[0] == "export" and statement[1] in _PATHS):
            raise _refused(text)
    if not last or PurePath(last[0]).name not in DAEMONS or any(set(word) <= set("()<>|&") for word in last):
        raise _refused(text)
    return Remote(tuple(last), paths)


def _statements(words: list[str]) -> list[list[str]]:
    statements: list[list[str]] = [[]]
    for word in words:
        if word == ";":
            statements.append([])
        else:
            statements[-1].append(word)
    return statements


def _refused(text: str) -> BuilderFailure:
    return BuilderFailure(
        ExitCode.BAD_REQUEST,
        Reason.BAD_REQUEST,
        f"The leader's command does not start MPI's daemon ({' or '.join(DAEMONS)}): {text[:120]!r}.",
        "Use the same image for all pods of the group. If it is the same, the launcher does not support its Open MPI.",
    )
