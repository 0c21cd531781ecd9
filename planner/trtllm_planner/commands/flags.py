"""Flags of a program in one version. Tests compare them with upstream's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from functools import cached_property

from trtllm_planner.tensorrt_llm.versions import Version

ASSUMED_VERSION = Version(1, 2, 1)
"""Version that is assumed if an image does not name one: the last release with both runtimes."""
OPERATOR = "operator"
"""Owner of flags that the operator itself sets."""


class Kind(Enum):
    """Values that a flag takes."""

    SWITCH = "nothing"
    TEXT = "a text"
    INTEGER = "an integer"
    NUMBER = "a number"


@dataclass(frozen=True)
class Flag:
    """One flag of a command line."""

    name: str
    """Name with its dashes, such as --max_seq_len."""
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    many: bool = False
    """Whether several values may follow."""
    repeats: bool = False
    """Whether it may be given several times."""
    default: str | None = None
    """Value that the program uses if the flag is not given; only set if a message names it."""

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class FlagTable:
    """All flags of a program in one version."""

    program: str
    version: str
    """TensorRT-LLM's version as messages name it."""
    flags: tuple[Flag, ...]
    owners: Mapping[str, str] = field(default_factory=dict)
    """Flag -> the spec's field that sets it, or OPERATOR."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Flags of older versions and of other programs -> what to use instead."""
    shared: frozenset[str] = frozenset()
    """Flags that extraArgs may set as well if their field is not set, because the field lacks some of their values."""

    def find(self, name: str) -> Flag | None:
        """Find a flag by any of its spellings."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, Flag]:
        return {name: flag for flag in self.flags for name in flag.names}

    def has(self, name: str) -> bool:
        """Whether the version has the flag."""
        return self.find(name) is not None

    def owner(self, name: str) -> str | None:
        """Field that sets a flag, even one that this version lacks; None: only extraArgs sets it."""
        flag = self.find(name)
        return next((self.owners[item] for item in (flag.names if flag else (name,)) if item in self.owners), None)

    def near(self, name: str) -> tuple[str, ...]:
        """Flags with a similar spelling."""
        names = [item for flag in self.flags for item in flag.names]
        return tuple(get_close_matches(name, names, n=2, cutoff=0.75))


@dataclass(frozen=True)
class Given:
    """A flag on a command line, with its values."""

    name: str
    values: tuple[str, ...] = ()


def parse(arguments: Sequence[str], table: FlagTable) -> Iterator[Given]:
    """Yield flags with their values, and a word that belongs to no flag with an empty name."""
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not is_flag(word):
            yield Given("", (word,))
            continue
        name, equals, value = word.partition("=")
        if equals:
            yield Given(name, (value,))
            continue
        flag = table.find(name)
        most = (
            0 if flag is not None and flag.kind is Kind.SWITCH else 1 if flag is None or not flag.many else len(words)
        )
        values: list[str] = []
        while words and len(values) < most and not is_flag(words[0]):
            values.append(words.pop(0))
        yield Given(name, tuple(values))


def is_flag(word: str) -> bool:
    """Whether a word begins with a dash and is no negative number."""
    return word.startswith("-") and not word[1:2].isdecimal()


def newest(tables: Sequence[tuple[Version, tuple[Flag, ...]]], version: Version | None) -> tuple[Flag, ...]:
    """Flags of the newest of the tables (oldest first) that is not newer than the version."""
    wanted = assumed(version)
    return next((flags for since, flags in reversed(tables) if since <= wanted), tables[0][1])


def assumed(version: Version | None) -> Version:
    """Version of the image; ASSUMED_VERSION if its tag does not name one."""
    return ASSUMED_VERSION if version is None else version


def label(version: Version | None) -> str:
    """Name a version in messages."""
    return str(version) if version is not None else "of an unknown version"


def switches(*names: str) -> Iterator[Flag]:
    """Make flags that take no value."""
    return (Flag(name, Kind.SWITCH) for name in names)


def without(flags: Iterable[Flag], *names: str) -> tuple[Flag, ...]:
    """Leave some flags out."""
    return tuple(flag for flag in flags if flag.name not in names)
