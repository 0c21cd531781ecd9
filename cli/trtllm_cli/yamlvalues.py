"""Reads YAML as kubectl does, in bounded time and memory.

PyYAML parses; this module makes the values in one pass over its events. PyYAML's own constructors read some numbers and
booleans differently from kubectl (`1e3`, `y`, `12:30:45`), expand aliases without a limit, and take minutes for a few
megabytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MOST_VALUES: Final = 1_000_000
"""Most values of one text. A value behind an alias counts each time; 64 characters of a string count as one more."""
DEEPEST: Final = 100
"""Most levels of lists and maps. The deepest field of a Kubernetes object is on level 20 or so."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER: Final = re.compile(
    r"[-+]?(?:0[xX](?P<hex>[0-9a-fA-F]{1,16})|0[bB](?P<binary>[01]{1,64})|0[oO]?(?P<octal>[0-7]{1,22})"
    r"|(?P<decimal>0|[1-9][0-9]{0,19}))"
)
_BASES: Final = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset({"int", "float", "bool", "null"})


class YamlProblem(ValueError):
    """A mistake in a YAML text, and its line if that is known."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        self.line: int | None = mark.line + 1 if mark is not None else None
        super().__init__(problem)


def yaml_documents(text: str) -> Iterator[Any]:
    """Every document of a text."""
    try:
        yield from _Builder().documents(yaml.parse(text, _LOADER))
    except yaml.MarkedYAMLError as error:
        raise YamlProblem(f"not YAML: {error.problem or error}", error.problem_mark) from None
    except yaml.YAMLError as error:
        raise YamlProblem(f"not YAML: {' '.join(str(error).split())}") from None


def scalar(text: str) -> str | float | bool | None:
    """Value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text if text[0] == "." else text.replace("_", "")
    match = _INTEGER.fullmatch(plain)
    if match is not None and match.lastgroup is not None:
        whole = int(match[match.lastgroup], _BASES[match.lastgroup]) * (-1 if plain[0] == "-" else 1)
        if -(2**63) <= whole < 2**64:
            return whole
    number = float(plain) if _FLOAT.fullmatch(plain) else math.inf
    if math.isinf(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


@dataclass
class _Open:
    """A list or a map whose end has not been read."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    before: int
    """Values counted when it began."""
    key: str | None = None
    merging: bool = False
    """The next value is that of `<<`."""
    merged: list[dict[str, Any]] = field(default_factory=list)


class _Builder:
    """Makes values from the parser's events."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self._document: Any = None

    def documents(self, events: Iterator[Any]) -> Iterator[Any]:
        """One value for each document."""
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end(event)
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentEndEvent():
                    self._anchors.clear()
                    yield self._document

    def _scalar(self, event: Any) -> None:
        self._counted(1 + len(event.value) // 64, event)
        tag = str(event.tag or "").removeprefix(_TAG)
        if tag not in {"", "!", "str", *_SCALARS}:
            raise YamlProblem(f"the tag {event.tag} is not supported", event.start_mark)
        plain = tag in _SCALARS or (not tag and event.implicit[0])
        value = scalar(event.value) if plain else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1 + len(event.value) // 64)
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None and not top.merging:
            if plain and event.value == "<<":
                top.merging = True
            else:
                self._key(top.value, value, event)
                top.key = _key_text(value)
            return
        self._add(value, event)

    def _begin(self, event: Any, value: list[Any] | dict[str, Any]) -> None:
        self._counted(1, event)
        if str(event.tag or "!").removeprefix(_TAG) not in {"!", "map", "seq"}:
            raise YamlProblem(f"the tag {event.tag} is not supported", event.start_mark)
        self._refuse_as_key(event)
        if len(self._open) >= DEEPEST:
            raise YamlProblem(f"lists and maps are nested more than {DEEPEST} levels deep", event.start_mark)
        self._open.append(_Open(value, event.anchor, self._count))

    def _end(self, event: Any) -> None:
        ended = self._open.pop()
        if isinstance(ended.value, dict):
            for merged in ended.merged:
                for key, value in merged.items():
                    ended.value.setdefault(key, value)
        if ended.anchor is not None:
            self._anchors[ended.anchor] = (ended.value, 1 + self._count - ended.before)
        self._add(ended.value, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise YamlProblem(f"the alias *{event.anchor} has no anchor before it", event.start_mark)
        value, count = self._anchors[event.anchor]
        self._counted(count, event)
        self._refuse_as_key(event)
        self._add(value, event)

    def _add(self, value: Any, event: Any) -> None:
        if not self._open:
            self._document = value
            return
        top = self._open[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.merging:
            top.merged += _maps(value, event)
            top.merging = False
        elif top.key is not None:
            top.value[top.key], top.key = value, None

    def _key(self, known: dict[str, Any], value: Any, event: Any) -> None:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise YamlProblem("a key must be a string", event.start_mark)
        if _key_text(value) in known:
            raise YamlProblem(f"{_key_text(value)[:64]} is given twice", event.start_mark)

    def _refuse_as_key(self, event: Any) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None and not top.merging:
            raise YamlProblem("a key must be a string", event.start_mark)

    def _counted(self, more: int, event: Any) -> None:
        self._count += more
        if self._count > MOST_VALUES:
            raise YamlProblem(f"more than {MOST_VALUES} values after aliases are expanded", event.start_mark)


def _key_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _maps(value: Any, event: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in found):
        raise YamlProblem("<< needs a map or a list of maps", event.start_mark)
    return found
