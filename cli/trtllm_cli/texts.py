"""Reads files, and the JSON and YAML in them, in bounded time and memory. A file that cannot be read is Unreadable."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from trtllm_cli.problem import Unreadable
from trtllm_cli.yamlvalues import DEEPEST, YamlProblem, yaml_documents

LARGEST: Final = 16 * 1024**2
"""Most bytes of a file. An object in Kubernetes has at most 1.5 MiB."""


def read_text(name: str) -> str:
    """Text of a file; `-` is standard input."""
    if name == "-":
        return read_stream(sys.stdin, "standard input")
    try:
        return read_bytes(Path(name)).decode()
    except UnicodeDecodeError:
        raise Unreadable(f"{name} is not UTF-8 text") from None


def read_stream(stream: TextIO, name: str) -> str:
    """The rest of an open text stream."""
    try:
        text = stream.read(LARGEST + 1)
    except UnicodeDecodeError:
        raise Unreadable(f"{name} is not UTF-8 text") from None
    _refuse_larger(len(text), name)
    return text


def read_bytes(file: Path) -> bytes:
    """Content of a file."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
    _refuse_larger(len(content), str(file))
    return content


def load_json(text: str | bytes, name: str) -> Any:
    """The value of a JSON text."""
    try:
        found = json.loads(text, object_pairs_hook=_object)
    except _GivenTwice as error:
        raise Unreadable(f"{name}: not JSON: {error}") from None
    except ValueError:
        raise Unreadable(f"{name} is not JSON") from None
    except RecursionError:
        raise Unreadable(_too_deep(name)) from None
    _refuse_deeper(found, name)
    return found


def load_documents(text: str, name: str) -> list[Any]:
    """Every document of a text: one JSON document, or any number of YAML documents."""
    if text.lstrip()[:1] == "{":
        with suppress(Unreadable):  # a YAML text may begin with { too, and a YAML error has a line number
            return [load_json(text, name)]
    try:
        return list(yaml_documents(text))
    except YamlProblem as error:
        line = f"line {error.line}: " if error.line is not None else ""
        raise Unreadable(f"{name}: {line}{error}") from None


class _GivenTwice(ValueError):
    """A key that an object has twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise _GivenTwice(f"{twice[:64]} is given twice")
    return found


def _refuse_larger(size: int, name: str) -> None:
    if size > LARGEST:
        raise Unreadable(f"{name} is larger than {LARGEST >> 20} MiB", "split it, or remove what is not needed")


def _refuse_deeper(value: Any, name: str) -> None:
    """Refuse more than DEEPEST levels. Works level by level: recursion could overflow."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise Unreadable(_too_deep(name))


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(name: str) -> str:
    return f"{name}: lists and maps are nested more than {DEEPEST} levels deep"
