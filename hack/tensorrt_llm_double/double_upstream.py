"""Facts about NVIDIA's programs per release: their options, and their checks after parsing, with their messages.

The files are tests/data/upstream of the repository; the image has a copy beside this module. Nothing here knows the
operator's own tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "upstream", _HERE.parents[1] / "tests" / "data" / "upstream")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\.dev\d+|rc(\d+))?$")
_RELEASE = 1 << 16
_ERRORS: Mapping[str, type[Exception]] = {
    "AssertionError": AssertionError,
    "AttributeError": AttributeError,
    "EnvironmentError": OSError,
    "FileNotFoundError": FileNotFoundError,
    "NotImplementedError": NotImplementedError,
    "RuntimeError": RuntimeError,
    "TypeError": TypeError,
    "ValueError": ValueError,
    "click.BadParameter": click.BadParameter,
    "pydantic": ValueError,
}
"""Exceptions by the first word of a check's `exception`."""


@dataclass(frozen=True)
class Option:
    """One option of a program."""

    names: tuple[str, ...]
    dest: str
    takes: str
    """`value`, `nothing`, `optional value`, `list`, `repeated` or `positional`."""
    kind: str | None = None
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    const: Any = None
    aliases: Mapping[str, str] | None = None
    """Further spellings of a choice."""
    absent: bool = False
    """True if the namespace lacks the name when the option is not given."""


@dataclass(frozen=True)
class Check:
    """Check of a program after parsing."""

    when: str
    message: str
    error: type[Exception]
    stage: str

    def raised(self, values: Mapping[str, Any]) -> Exception:
        """Exception with upstream's message, whose braces name the values."""
        return self.error(re.sub(r"\{([^{}]+)\}", lambda found: str(values[found[1]]), self.message))


@dataclass(frozen=True)
class Program:
    """A program of one release."""

    name: str
    options: tuple[Option, ...]
    checks: tuple[Check, ...]

    def refuse(self, when: str, values: Mapping[str, Any] | None = None) -> None:
        """Raise the release's error in this case; do nothing if it has no such check."""
        check = self.check(when)
        if check is not None:
            raise check.raised(values or {})

    def check(self, when: str) -> Check | None:
        """Check of a case, by its whole text."""
        return next((check for check in self.checks if check.when == when), None)


def program(name: str, version: str) -> Program:
    """Program of a version: `trtllm-build`, `trtllm-serve` or `convert-<family>`."""
    facts = read(name, version)
    return Program(
        name,
        tuple(_option(option) for option in facts["options"]),
        tuple(_check(check) for check in facts["post_parse_checks"] if check["effect"] == "fails"),
    )


def read(name: str, version: str) -> dict[str, Any]:
    """Facts of the newest release that is not newer than the version; of the oldest one if all are newer."""
    paths = {path.stem.removeprefix(f"{name}-"): path for path in _files(name)}
    if not paths:
        raise SystemExit(f"the double knows no {name}")
    return _value(paths[newest(paths, version)])


def table(name: str) -> dict[str, Any]:
    """Facts of a file that holds all releases."""
    return _value(_directory() / f"{name}.json")


def newest(versions: Iterable[str], version: str) -> str:
    """The newest of some versions that is not newer than a version; the oldest one if all are newer."""
    known, wanted = sorted(versions, key=order), order(version)
    return next((found for found in reversed(known) if order(found) <= wanted), known[0])


def order(version: str) -> tuple[int, ...]:
    """Key to sort versions by; a release candidate or a development version comes before its release."""
    match = _VERSION.match(version)
    if match is None:
        raise SystemExit(f"the double: {version!r} is no version")
    major, minor, patch, candidate = match.groups()
    last = int(candidate) if candidate else -1 if ".dev" in version else _RELEASE
    return int(major), int(minor), int(patch), last


def _directory() -> Path:
    return next(place for place in _PLACES if place.is_dir())


@cache
def _files(name: str) -> tuple[Path, ...]:
    found = _directory().glob(f"{name}-*.json")
    return tuple(path for path in found if _VERSION.match(path.stem.removeprefix(f"{name}-")))


@cache
def _value(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _option(facts: dict[str, Any]) -> Option:
    return Option(
        names=tuple(facts["names"]),
        dest=facts["dest"],
        takes=facts["takes"],
        kind=facts.get("type"),
        choices=tuple(choice for choice in facts.get("choices") or () if choice is not None),
        default=facts.get("default"),
        required=facts.get("required", False),
        const=facts.get("const"),
        aliases=facts.get("value_aliases"),
        absent="absent from the namespace" in facts.get("default_note", ""),
    )


def _check(facts: dict[str, Any]) -> Check:
    error = re.split(r"[ ;(]", facts["exception"])[0]
    return Check(facts["when"], facts["message"] or "", _ERRORS.get(error, RuntimeError), facts["stage"])
