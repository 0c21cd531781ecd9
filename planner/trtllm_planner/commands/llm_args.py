"""Fields of the file of options that trtllm-serve reads (LlmArgs): names and types per runtime and version.

llm_args.json is generated from what upstream documents (tests/data/upstream).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trtllm_api.enginebuild import Runtime
from trtllm_planner.tensorrt_llm.versions import Version, parse_version

TOP: Mapping[Runtime, str] = {Runtime.PYTORCH: "TorchLlmArgs", Runtime.TENSORRT: "TrtLlmArgs"}
"""Class of the whole file."""
_FILE = Path(__file__).with_name("llm_args.json")
_BOUNDS = re.compile(r"(list|set|dict)(?:\[(.*)\])?$")
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "1", "0"})


@dataclass(frozen=True)
class Known:
    """Documented fields of one version."""

    versions: tuple[str, ...]
    """Documented version, and the next one for release candidates between the two."""
    newer: bool
    """The image is newer than every documented version, so that it may have more fields."""
    ignores: bool
    """Unknown fields are ignored without a message."""

    def fields(self, name: str) -> Mapping[str, str] | None:
        """Fields of a class with their types; None if the class is not documented."""
        data = _data()
        found: dict[str, str] = {}
        for version in reversed(self.versions):
            if name not in data["classes"] or name in data["unread"][version]:
                return None
            found |= _at(data["classes"][name], version)
        return found

    def decoding_types(self) -> tuple[str, ...]:
        """Values of speculative_config.decoding_type."""
        return tuple(dict.fromkeys(name for version in self.versions for name in _data()["decoding_types"][version]))


def known(version: Version) -> Known:
    """Documentation that stands for a version."""
    data = _data()
    documented = [(found, text) for text in data["versions"] if (found := parse_version(text)) is not None]
    before = [text for found, text in documented if found <= version] or [documented[0][1]]
    after = [text for found, text in documented if found > version]
    candidate = version.candidate < Version(0, 0).candidate
    versions = (before[-1], after[0]) if after and candidate and before[-1] != str(version) else (before[-1],)
    return Known(
        versions, newer=not after and before[-1] != str(version), ignores=before[-1] in data["ignores_unknown"]
    )


def since(name: str, field: str) -> str | None:
    """First version whose class has the field; None if no version has it."""
    types = _data()["classes"].get(name, {}).get(field, {})
    return next((version for version, kind in types.items() if kind is not None), None)


def fits(value: Any, kind: str) -> bool:
    """Whether pydantic would take the value for a field of this type; classes take any mapping here."""
    return any(_fits_one(value, part) for part in _parts(kind))


def class_of(kind: str) -> str | None:
    """Class of a field's value, if it is exactly one."""
    names = [part for part in _parts(kind) if part in _data()["classes"]]
    return names[0] if len(names) == 1 else None


def words(kind: str) -> str:
    """Describe a type in a message."""
    names = {"bool": "true or false", "int": "an integer", "float": "a number", "str": "a text", "Path": "a text"}
    found = []
    for part in _parts(kind):
        if part.startswith("Literal["):
            found.append("one of " + ", ".join(map(str, _literals(part))))
        elif part.startswith(("list", "set")):
            found.append("a list")
        elif part.startswith("dict") or part.endswith("Config"):
            found.append("a mapping")
        elif part in names:
            found.append(names[part])
    return " or ".join(dict.fromkeys(found)) or "null"


def _fits_one(value: Any, kind: str) -> bool:
    if kind == "None":
        return value is None
    if kind in {"Any", "object"}:
        return True
    if kind == "bool":
        return value in (0, 1) if isinstance(value, int | float) else str(value).lower() in _TRUTHS
    if kind in {"int", "float"}:
        return _is_number(value, whole=kind == "int")
    if kind.startswith("Literal["):
        return value in _literals(kind)
    container = _BOUNDS.match(kind)
    if container is not None:
        return _fits_container(value, *container.groups())
    return isinstance(value, dict) if kind.endswith("Config") else isinstance(value, str)


def _fits_container(value: Any, kind: str, inner: str | None) -> bool:
    if kind == "dict":
        return isinstance(value, dict)
    return isinstance(value, list) and (inner is None or all(fits(item, inner) for item in value))


def _is_number(value: Any, *, whole: bool) -> bool:
    if not isinstance(value, int | float | str):
        return False
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return False
    return not whole or number.is_integer()


def _literals(kind: str) -> tuple[Any, ...]:
    return tuple(ast.literal_eval(kind.removeprefix("Literal")))


@cache
def _parts(kind: str) -> tuple[str, ...]:
    """Members of a union; a `|` inside brackets separates none."""
    return tuple(re.split(r" \| (?![^\[]*\])", kind))


def _at(history: Mapping[str, Mapping[str, str | None]], version: str) -> dict[str, str]:
    """Types that fields have in a documented version."""
    order = _data()["versions"]
    upto = order[: order.index(version) + 1]
    found = {field: [types[item] for item in upto if item in types] for field, types in history.items()}
    return {field: types[-1] for field, types in found.items() if types and types[-1] is not None}


@cache
def _data() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))
